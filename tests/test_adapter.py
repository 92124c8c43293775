"""How a person talks is learnt from their own voice, by as much as it helps, and from nobody else's."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.types import Face, Pose, TrackedFrame
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, Frame
from realtime_dub.mouth.mouthbank import adapter as adapters
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.agreement import Agreement, agreement_of
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.motion import Motion
from realtime_dub.mouth.mouthbank.own_voice import AGREES, MOST_PUT_OFF, Lesson, Lessons, WaysOfTalking, belong
from realtime_dub.mouth.mouthbank.people import Person

pytestmark = pytest.mark.computes

FEATURES = 6
STRAIGHT = Pose(np.eye(3, dtype=np.float32), 1.0, np.zeros(3, np.float32))
OPENED = np.zeros((len(LOWER), 3), np.float32)
OPENED[np.searchsorted(LOWER, [14, 87, 317, 178, 402, 17]), 1] = 0.3  # the lower lip, mouth widths
SPREAD = np.zeros((len(LOWER), 3), np.float32)
SPREAD[np.searchsorted(LOWER, [61]), 0], SPREAD[np.searchsorted(LOWER, [291]), 0] = -0.1, 0.1  # the corners


def test_it_is_ridge_regression() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(0, 1, (200, FEATURES)).astype(np.float32)
    missed = rng.normal(0, 0.05, (200, len(LOWER), 3)).astype(np.float32)
    adapter = Adapter(FEATURES)
    for row, each in zip(rows, missed, strict=True):
        adapter.learn(row, each)
    x = np.hstack([rows, np.ones((200, 1))]).astype(np.float64)
    penalty = np.diag([adapters.RIDGE] * FEATURES + [adapters.RIDGE_MEAN])
    expected = np.linalg.solve(x.T @ x + penalty, x.T @ missed.reshape(200, -1))
    assert np.allclose(adapter._weights, expected, atol=1e-5)


def taught(noise: float = 0.0, frames: int = 1500) -> tuple[Adapter, np.ndarray]:
    """One that was shown a mouth that spreads where the net opens it, and the features at which it spreads by one."""
    rng = np.random.default_rng(1)
    adapter = Adapter(FEATURES)
    for _ in range(frames):
        row = rng.normal(0, 1, FEATURES).astype(np.float32)
        adapter.learn(row, SPREAD * row[0] + rng.normal(0, noise, SPREAD.shape).astype(np.float32) if noise < 1 else
                      rng.normal(0, 0.05, SPREAD.shape).astype(np.float32))  # fmt: skip
    return adapter, np.eye(FEATURES, dtype=np.float32)[0]


def test_it_is_shown_as_far_as_it_was_right() -> None:
    adapter, spread = taught(0.001)
    assert adapter.trust > 0.9
    assert np.allclose(adapter.moved(spread), SPREAD, atol=0.05)
    assert adapter.moved(spread)[np.searchsorted(LOWER, [291])[0], 0] > 0.05
    useless, _ = taught(1.0)
    assert useless.trust < 0.2
    young, _ = taught(0.001, adapters.LEAST_FRAMES - 1)
    assert young.trust == 0
    assert not young.moved(spread).any()


def test_nonsense_is_not_learnt() -> None:
    adapter, spread = taught(0.001)
    before = adapter.moved(spread).copy()
    for features, missed in (
        (np.full(FEATURES, np.nan, np.float32), SPREAD), (spread, np.full_like(SPREAD, np.inf)),
        (spread[:3], SPREAD), (spread, SPREAD * 100),
    ):  # fmt: skip
        adapter.learn(features, missed)
    assert np.array_equal(adapter.moved(spread), before)
    assert np.abs(adapter.moved(spread * 1000)).max() <= adapters.MOST_MOVED
    assert not adapter.moved(np.ones(3, np.float32)).any()


def test_a_bank_keeps_it(tmp_path) -> None:
    adapter, spread = taught(0.001)
    bank = Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.2, adapters={"net 1, 80 ms": adapter})
    bank.save(tmp_path / "me.bank")
    read = Bank.load(tmp_path / "me.bank").adapters
    assert list(read) == ["net 1, 80 ms"]
    assert np.allclose(read["net 1, 80 ms"].moved(spread), adapter.moved(spread), atol=1e-3)
    copied = bank.copy().adapters["net 1, 80 ms"]
    copied.learn(spread, -SPREAD)
    assert copied.frames == adapter.frames + 1
    for number in range(6):
        bank.keep_adapter(f"net {number}", Adapter(FEATURES))
    assert len(bank.adapters) == adapters.MOST_ADAPTERS
    assert "net 5" in bank.adapters


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("weights", np.zeros((7, 3))), ("weights", np.full((7, len(LOWER) * 3), np.nan)),
        ("weights", np.zeros((2_000, len(LOWER) * 3))), ("inverse", np.zeros((3, 3))),
        ("inverse", np.full((7, 7), 1e9)), ("numbers", np.array([1.0])), ("numbers", np.array([1, 1, np.inf, 0])),
        ("net", np.zeros(500, np.uint8)), ("net", np.array([0xFF, 0xFE], np.uint8)), ("net", np.zeros(3)),
    ],
)  # fmt: skip
def test_a_bank_with_another_thing_in_its_place_is_refused(tmp_path, name: str, values: np.ndarray) -> None:
    adapter, _ = taught(0.001, 100)
    Bank(neutral=TEMPLATE, adapters={"net": adapter}).save(tmp_path / "me.bank")
    with np.load(tmp_path / "me.bank") as stored:
        arrays = {key: stored[key] for key in stored.files} | {f"{name}0": values}
    with (tmp_path / "other.bank").open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(BundleError, match="cannot read bank"):
        Bank.load(tmp_path / "other.bank")


def talker(own: bool, frames: int = 400) -> tuple[Person, list[Lesson]]:
    """A person who opens the mouth as the net does, and spreads it too; or whose mouth says something else."""
    rng = np.random.default_rng(2)
    bank = Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.0, frozen=True)
    person, lessons = Person.with_bank(bank), []
    width = mouth_width(TEMPLATE)
    for _ in range(frames):
        row = rng.normal(0, 1, FEATURES).astype(np.float32)
        heard, seen = abs(row[1]), abs(row[1]) if own else abs(rng.normal())
        live = TEMPLATE.copy()
        live[LOWER] += (OPENED * 0.3 * seen + SPREAD * row[0]) * width
        lessons.append(Lesson(person, live, Motion(OPENED * np.float32(0.3 * heard), 1.0, True, row), person.style))
    return person, lessons


def test_agreement_tells_own_voice_from_anothers() -> None:
    for own in (True, False):
        _, lessons = talker(own)
        seen = np.array([(each.canonical - TEMPLATE)[14, 1] for each in lessons])
        foretold = np.array([each.motion.displacement.max() for each in lessons])
        r = agreement_of(seen, foretold)
        assert r is not None
        assert (r > AGREES) is own
        later = agreement_of(np.append(seen, np.nan), np.append(np.nan, foretold), lags=2)
        assert later == pytest.approx(r, abs=1e-6) if own else later > r
    assert agreement_of(seen[:10], foretold[:10]) is None
    assert agreement_of(np.zeros(100), foretold[:100]) == 0.0


def test_agreement_goes_on_with_what_is_seen_and_begins_anew_with_somebody_else() -> None:
    agreement, rng = Agreement(), np.random.default_rng(3)
    assert agreement.r is None
    for opened in rng.normal(size=300):
        agreement.add(opened, opened)
    assert agreement.r == pytest.approx(1, abs=1e-5)
    for opened in rng.normal(size=300):
        agreement.add(opened, rng.normal())
    assert abs(agreement.r or 1) < 0.25
    agreement.forget()
    assert agreement.r is None


@pytest.mark.parametrize(
    ("r", "frames", "foretells", "together"),
    [
        (0.4, 50, False, False), (0.4, 100, False, False), (0.75, 50, False, True), (0.4, 200, False, True),
        (0.4, 6_000, False, True), (0.3, 6_000, False, False), (0.15, 500, True, True), (None, 10, False, False),
    ],
)  # fmt: skip
def test_few_frames_have_to_agree_by_more(r: float | None, frames: int, foretells: bool, together: bool) -> None:
    assert belong(r, frames, foretells) is together


def test_another_voice_is_seldom_believed_by_chance() -> None:
    """Openings stay for some frames, as those of words do: of 50 few are independent."""
    rng, believed = np.random.default_rng(5), 0
    for _ in range(100):
        agreement, seen, foretold = Agreement(), 0.0, 0.0
        for _ in range(100):
            seen, foretold = (0.6 * each + rng.normal() for each in (seen, foretold))
            agreement.add(seen, foretold)
            if belong(agreement.r, len(agreement), False):
                believed += 1
                break
    assert believed <= 3


@pytest.mark.parametrize("all_at_once", [True, False])
def test_who_speaks_is_learnt_and_who_is_spoken_over_is_not(all_at_once: bool) -> None:
    for own in (True, False):
        person, lessons = talker(own)
        if all_at_once:
            Lessons("net").learn_all(lessons)
        else:
            learner = Lessons("net")
            deque(map(learner.learn, lessons), maxlen=0)
        assert bool(person.bank.adapters) is own
        if own:
            moved = person.bank.adapters["net"].moved(np.eye(FEATURES, dtype=np.float32)[0])
            assert moved[np.searchsorted(LOWER, [291])[0], 0] > 0.02


def dubbed(talk: WaysOfTalking, person: Person, lessons: list[Lesson]) -> Iterator[int]:
    """Frames of them under the dubbed voice; how many there were."""
    for k, lesson in enumerate(lessons):
        frame = Frame(np.zeros((8, 8, 3), np.uint8), k * 40 * MS, k)
        talk.learn_dubbed(
            person, TrackedFrame(frame, Face(lesson.canonical, lesson.canonical, STRAIGHT)), lesson.motion
        )
        yield k + 1


def test_lessons_that_wait_are_learnt_the_same_and_never_pile_up() -> None:
    adapters, waited = [], []
    for later in (False, True):
        talk, (person, lessons) = WaysOfTalking(load_default("mouthbank"), "cpu", learns=True), talker(own=True)
        talk.later = later
        for count in dubbed(talk, person, lessons):
            waited.append(len(talk._put_off))
            if count % 3 == 0:
                talk.catch_up()
                assert not talk._put_off
        talk.catch_up()
        adapters.append(person.bank.adapters[talk.net])
    assert set(waited[: len(lessons)]) == {0}
    assert max(waited[len(lessons) :]) == 3
    assert adapters[0].frames == adapters[1].frames > 60
    row = np.eye(FEATURES, dtype=np.float32)[0]
    assert np.array_equal(adapters[0].moved(row), adapters[1].moved(row))
    deque(dubbed(talk, person, lessons), maxlen=0)  # and there is no time any more
    assert len(talk._put_off) == MOST_PUT_OFF
    talk.forget()  # somebody else is there
    assert not talk._put_off


def test_nobody_is_learnt_before_it_is_known_how_they_rest() -> None:
    person, lessons = talker(own=True)
    person.bank.frozen = False
    learner = Lessons("net")
    deque(map(learner.learn, lessons), maxlen=0)
    assert not person.bank.adapters


def free_talker(own: bool, frames: int, seed: int = 4, known: float = 0.15) -> tuple[Person, list[Lesson]]:
    """A person whose mouth the net hardly knows: it follows what the net hears, and little of what it makes of it."""
    rng = np.random.default_rng(seed)
    bank = Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.0, frozen=True)
    person, lessons, width = Person.with_bank(bank), [], mouth_width(TEMPLATE)
    for _ in range(frames):
        row, other = rng.normal(0, 1, (2, FEATURES)).astype(np.float32)
        seen = row if own else other
        live = TEMPLATE.copy()
        live[LOWER] += OPENED * np.float32(0.3 * (1 + known * seen[1] + 0.5 * seen[2])) * width
        made = OPENED * np.float32(0.3 * (1 + 0.3 * row[1]))
        lessons.append(Lesson(person, live, Motion(made, 1.0, True, row), person.style))
    return person, lessons


@pytest.mark.parametrize("all_at_once", [True, False])
def test_who_speaks_freely_is_learnt_by_what_lessons_foretell(all_at_once: bool) -> None:
    for own in (True, False):
        person, lessons = free_talker(own, 300 if all_at_once else 900)
        learner = Lessons("net")
        if all_at_once:
            learner.learn_all(lessons)
        else:
            deque(map(learner.learn, lessons), maxlen=0)
        assert bool(person.bank.adapters) is own
        assert learner.learnt == (len(lessons) if own else 0)
        if own:
            moved = person.bank.adapters["net"].moved(np.eye(FEATURES, dtype=np.float32)[2])
            assert moved[np.searchsorted(LOWER, [14])[0], 1] > 0.02  # of 0.045


def test_a_voice_in_time_with_anothers_mouth_is_not_learnt_by_what_it_foretells() -> None:
    """Two who read in step: each foretells the other's mouth, but the net makes another one of that voice."""
    person, lessons = free_talker(own=True, frames=600, known=-0.1)
    Lessons("net").learn_all(lessons)
    deque(map(Lessons("net").learn, lessons), maxlen=0)
    assert not person.bank.adapters


def test_what_a_stranger_says_meanwhile_is_not_kept() -> None:
    """Somebody else speaks over a mouth that moves: what had been learnt of the person stays as it was."""
    person, lessons = free_talker(own=True, frames=900)
    learner = Lessons("net")
    deque(map(learner.learn, lessons), maxlen=0)
    other = free_talker(own=False, frames=2_500, seed=5)[1]
    others = [Lesson(person, each.canonical, each.motion, each.style) for each in other]
    deque(map(learner.learn, others[:1_000]), maxlen=0)
    kept, learnt = person.bank.adapters["net"].copy(), learner.learnt
    deque(map(learner.learn, others[1_000:]), maxlen=0)
    assert learner.learnt == learnt
    row = np.eye(FEATURES, dtype=np.float32)[2]
    assert np.array_equal(person.bank.adapters["net"].moved(row), kept.moved(row))
