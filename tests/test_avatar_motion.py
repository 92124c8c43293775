"""What moves an avatar beside its nets: walls around the head, blinks, and the file of a person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS
from realtime_dub.mouth.avatar.blinks import Blinks, shut, with_lids
from realtime_dub.mouth.avatar.head import GIVEN, Wander, walled
from realtime_dub.mouth.avatar.hearing import ROW_MS, Hearing, rows_of
from realtime_dub.mouth.avatar.person import IDLE, Person

pytestmark = pytest.mark.computes

TEN_MINUTES = 10 * 60 * 25  # frames


def person(**changes: object) -> Person:
    lids = np.zeros_like(TEMPLATE)
    lids[159, 1] = 0.1
    values = {
        "neutral": TEMPLATE,
        "width": np.float32(1),
        "rotation": np.eye(3, dtype=np.float32),
        "scale": np.float32(60),
        "shift": np.array([100, 120, -5], np.float32),
        "low": np.array([-0.1, -0.2, -0.1, -0.3, -0.2, -0.05], np.float32),
        "high": np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.05], np.float32),
        "spread": np.array([0.03, 0.05, 0.03, 0.1, 0.1, 0.02], np.float32),
        "step": np.array([0.003, 0.005, 0.003, 0.01, 0.01, 0.002], np.float32),
        "temperature": np.ones(6, np.float32),
        "lids": lids,
        "gaps_s": np.array([1.0, 2.0, 3.0], np.float32),
        "lengths_s": np.array([0.2, 0.3], np.float32),
    }
    return Person(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("drift", [0.0, 0.5, -3.0])
def test_a_head_stays_where_it_was_recorded_for_ten_minutes(drift: float) -> None:
    """A net that always wants to go on, to one side, or anywhere: it never leaves, nor hangs at a wall."""
    who = person()
    wander = Wander(who, seed=3)
    mean, spread = np.full(GIVEN, drift, np.float32), np.full(GIVEN, 1.0, np.float32)
    places = np.stack([wander(mean, spread, frame) for frame in range(TEN_MINUTES)])
    assert (places >= who.low).all()
    assert (places <= who.high).all()
    assert (places.std(0) > 0.005 * (who.high - who.low)).all()
    if not drift:
        halves = np.abs(places[: TEN_MINUTES // 2].mean(0) - places[TEN_MINUTES // 2 :].mean(0))
        assert (halves < 0.5 * who.spread).all()


def test_a_head_that_is_left_alone_comes_home() -> None:
    who = person()
    wander = Wander(who)
    wander.before[:6] = 1.0
    zeros = np.zeros(GIVEN, np.float32)
    far = [float(np.abs(wander(zeros, zeros, frame)).max()) for frame in range(250)]
    assert max(far) > 0.04
    assert far[-1] < 1e-4


def test_walls_are_soft_inside_and_never_passed() -> None:
    low, high = np.full(6, -1, np.float32), np.full(6, 2, np.float32)
    way = np.linspace(-50, 50, 4001, dtype=np.float32)
    there = np.stack([walled(np.full(6, at, np.float32), low, high)[0] for at in way])
    assert there.min() >= -1
    assert there.max() <= 2
    assert (np.diff(there) >= 0).all()
    free = (way > -0.2) & (way < 1.2)
    np.testing.assert_array_equal(there[free], way[free])
    assert np.diff(there).max() < 1.01 * (way[1] - way[0]) * 1.01
    still = np.zeros(6, np.float32)
    np.testing.assert_array_equal(walled(np.ones(6, np.float32), still, still), still)  # a head that never moved


def test_the_same_seed_is_the_same_head() -> None:
    mean, spread = np.zeros(GIVEN, np.float32), np.ones(GIVEN, np.float32)
    heads = [Wander(person(), seed) for seed in (1, 1, 2)]
    first, again, other = (np.stack([head(mean, spread, frame) for frame in range(50)]) for head in heads)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.01


def test_eyes_blink_as_often_and_as_long_as_recorded() -> None:
    who = person()
    blinks = Blinks(who.gaps_s, who.lengths_s, seed=1)
    step_ns = 10 * MS
    closed = np.array([blinks.closed(at * step_ns) for at in range(60_000)])  # ten minutes
    begun = np.flatnonzero((closed[1:] > 0) & (closed[:-1] == 0))
    assert len(begun) == pytest.approx(300, abs=25)  # one in two seconds
    assert closed.max() == pytest.approx(1, abs=0.02)
    assert (closed > 0).mean() == pytest.approx(0.25 / 2, abs=0.02)
    again = Blinks(who.gaps_s, who.lengths_s, seed=1)
    assert [again.closed(at * step_ns) for at in range(1000)] == closed[:1000].tolist()


def test_an_eye_shuts_quicker_than_it_opens() -> None:
    way = np.array([shut(at) for at in np.linspace(0, 1, 101)])
    assert way[0] == way[-1] == 0
    assert way[30:46].min() == pytest.approx(1)
    assert (np.diff(way[:31]) >= 0).all()
    assert (np.diff(way[45:]) <= 0).all()


def test_lids_go_with_a_blink_and_nothing_else() -> None:
    who = person()
    half = with_lids(who.neutral, who.lids, 0.5)
    assert half[159, 1] - who.neutral[159, 1] == pytest.approx(0.05, abs=1e-6)
    assert (half != who.neutral).sum() == 1
    assert with_lids(who.neutral, who.lids, 0.0) is who.neutral


def test_places_are_poses() -> None:
    who = person()
    place = np.array([0.05, -0.1, 0.02, 0.1, -0.05, 0.03], np.float32)
    pose = who.pose(place)
    assert pose.scale == pytest.approx(60 * np.exp(0.03), rel=1e-5)
    np.testing.assert_allclose(pose.shift, [106, 117, -5], atol=1e-3)
    back = who.places(pose.rotation[None], np.array([pose.scale], np.float32), pose.shift[None])
    np.testing.assert_allclose(back[0], place, atol=1e-5)


def test_a_person_is_kept_in_a_file(tmp_path: Path) -> None:
    who = person()
    assert who.write(tmp_path).name == IDLE
    again = Person.read(tmp_path)
    for name in Person.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(again, name), np.asarray(getattr(who, name)))
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"neutral": TEMPLATE[:468]}, "neutral has the shape"),
        ({"shift": np.array([np.nan, 0, 0], np.float32)}, "shift is not finite"),
        ({"width": np.float32(0)}, "width is not above zero"),
        ({"gaps_s": np.zeros(0, np.float32)}, "gaps_s are no lengths"),
        ({"lengths_s": np.array([-1.0], np.float32)}, "lengths_s are no lengths"),
        ({"low": np.ones(6, np.float32)}, "low is above high"),
    ],
)
def test_a_file_of_nobody_is_refused(tmp_path: Path, changes: dict[str, object], why: str) -> None:
    person(**changes).write(tmp_path)
    with pytest.raises(BundleError, match=f"damaged avatar.*{why}"):
        Person.read(tmp_path)


def test_a_file_that_lacks_something_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / IDLE, neutral=TEMPLATE)
    with pytest.raises(BundleError, match="cannot read avatar"):
        Person.read(tmp_path)
    np.savez(tmp_path / IDLE, neutral=np.array([object()]))
    with pytest.raises(BundleError, match="cannot read avatar"):
        Person.read(tmp_path)


def test_rows_are_the_same_in_pieces_and_silence_where_nothing_was_heard() -> None:
    rng = np.random.default_rng(0)
    sound = (0.05 * rng.standard_normal(16_000)).astype(np.float32)
    hearing = Hearing()
    assert hearing.label == load_default("mouthbank").label
    whole = rows_of(hearing, sound, 7 * NS)
    assert whole.shape == (1000 // ROW_MS, hearing.features)
    pieces = Hearing()
    for start in range(0, len(sound), 333):
        pieces.hear(sound[start : start + 333], start * NS // 16_000)
    known = pieces.known_until_ns()
    for at, row in enumerate(whole):
        if at * ROW_MS * MS <= known:
            np.testing.assert_allclose(pieces.rows(at * ROW_MS * MS, 1, 1)[0], row, atol=1e-4)
    np.testing.assert_array_equal(pieces.rows(-NS, 1, 1)[0], pieces.silence)
    np.testing.assert_array_equal(pieces.rows(known + NS, 1, 1)[0], pieces.silence)
    assert np.abs(whole - hearing.silence).max() > 0.1
