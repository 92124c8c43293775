"""A motion net is tuned to one person by what they said, as far as that holds for what was not shown."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.types import Face, Points, Pose, TrackedFrame
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, Floats, Frame, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.adapter import MOST_MOVED, Adapter
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import Motion, MotionStream, trunk_of
from realtime_dub.mouth.mouthbank.own_voice import OwnVoiceStream
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.personal import own_motion
from realtime_dub.mouth.mouthbank.trunk import Trunk, TrunkStream
from realtime_dub.mouth.mouthbank.tuning import EVEN, LEAST_LESSONS, Pupil, Tape, Tuned, have_one_body, tune
from tests.tuning_helpers import demo_voice, trunk

pytestmark = pytest.mark.computes

STRAIGHT = Pose(np.eye(3, dtype=np.float32), 1.0, np.zeros(3, np.float32))


def told(frames: int, seed: int = 1) -> Floats:
    """What might be told of a voice: it changes slowly (frames, 8)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(frames + 8, 8))
    return np.asarray(np.stack([rows[k : k + frames] for k in range(8)]).sum(0) / 2.8, np.float32)


def taped(rows: Floats, breaks: int = 1) -> Tape:
    tape = Tape()
    for part in np.array_split(rows, breaks):
        tape.begin()
        tape.add(part)
    return tape


def motion(net: Trunk, rows: Floats, at: npt.NDArray[np.float64]) -> Points:
    """At places between computed frames (n, len(LOWER), 3)."""
    said = TrunkStream(net).run(rows) @ net.basis
    low = at.astype(int)
    part = (at - low)[:, None]
    between = said[low] * (1 - part) + said[low + 1] * part
    return np.asarray(between.reshape(-1, len(LOWER), 3), np.float32)


def another(net: Trunk, seed: int = 5) -> Trunk:
    """Whoever moves the mouth otherwise for the same voice, in a way that no last layer could say."""
    return net.changed(0.15 * np.random.default_rng(seed).normal(size=net.shape.size).astype(np.float32))


def learnt(net: Trunk, tape: Tape, at: npt.NDArray[np.float64], missed: Points) -> Tuned | None:
    (tuned,) = tune([Pupil(net, at, missed)], tape)
    return tuned


def size(missed: Points) -> float:
    return float(np.linalg.norm(missed, axis=-1).mean())


@pytest.mark.parametrize("breaks", [1, 7])
def test_what_is_learnt_holds_for_what_was_not_shown(breaks: int) -> None:
    net, rows = trunk(), told(3_000)
    person, at = another(net), np.arange(60, 2_990, 2.0) + 0.3
    missed = motion(person, rows, at) - motion(net, rows, at)
    tuned = learnt(net, taped(rows, breaks), at, missed)
    assert tuned is not None
    assert tuned.frames == len(at)
    assert tuned.trust == 1
    later, when = told(800, seed=2), np.arange(60, 790, 1.7)
    before = motion(person, later, when) - motion(net, later, when)
    after = motion(person, later, when) - motion(net.changed(tuned.change), later, when)
    assert size(after) < 0.75 * size(before)


def test_the_same_lessons_teach_the_same() -> None:
    net, rows, at = trunk(), told(1_200), np.arange(60, 1_190, 2.0)
    missed = motion(another(net), rows, at) - motion(net, rows, at)
    first, second = (learnt(net, taped(rows), at, missed) for _ in range(2))
    assert first is not None
    assert second is not None
    assert np.array_equal(first.change, second.change)


def test_nothing_is_believed_that_does_not_hold() -> None:
    net, rows, at = trunk(), told(2_000), np.arange(60, 1_990, 2.0)
    noise = np.random.default_rng(3).normal(0, 0.05, (len(at), len(LOWER), 3)).astype(np.float32)
    tuned = learnt(net, taped(rows), at, noise)
    assert tuned is None or tuned.trust < 0.1
    few = at[: LEAST_LESSONS - 1]
    assert learnt(net, taped(rows), few, motion(another(net), rows, few) - motion(net, rows, few)) is None
    short = taped(told(50))  # a tape that is shorter than a row of a batch, and full of lessons
    crowd = np.linspace(20, 48, 4 * LEAST_LESSONS)
    assert learnt(net, short, crowd, np.full((len(crowd), len(LOWER), 3), 0.01, np.float32)) is not None


def test_the_share_of_a_trunk_grows_with_what_it_has_learnt_from() -> None:
    adapter, rng = Adapter(4), np.random.default_rng(0)
    for _ in range(500):
        row = rng.normal(size=4).astype(np.float32)
        adapter.learn(row, np.full((len(LOWER), 3), 0.04 * row[0], np.float32))
    nothing = np.zeros((len(LOWER), 3), np.float32)
    said = Motion(nothing, 1.0, True, np.array([1, 0, 0, 0], np.float32), nothing + np.float32(0.1))
    layer = adapter.moved(np.array([1, 0, 0, 0], np.float32))
    assert 0.02 < layer.mean() < 0.05
    change = np.zeros(5, np.float16)
    for frames, share in ((0, 0.0), (EVEN, 0.5), (9 * EVEN, 0.9)):
        seen = own_motion(said, adapter, Tuned(change, frames, 1.0), 1.0)
        assert seen == pytest.approx(share * 0.1 + (1 - share) * layer, abs=1e-6)
    assert own_motion(said, None, Tuned(change, EVEN, 0.5), 1.0) == pytest.approx(np.full_like(layer, 0.025))
    assert own_motion(replace(said, tuned=nothing + 9), None, Tuned(change, EVEN, 1.0), 1.0) == pytest.approx(
        np.full_like(layer, MOST_MOVED / 2)
    )
    untold = replace(said, tuned=None)
    assert own_motion(untold, adapter, Tuned(change, EVEN, 1.0), 1.0) == pytest.approx(layer)
    assert own_motion(untold, None, None, 1.0) is None
    shares = [
        float(np.mean(own_motion(said, adapter, Tuned(change, EVEN, 1.0), at) - layer)) for at in (0, 0.03, 0.1, 1)
    ]
    assert shares[0] == pytest.approx(0, abs=1e-6)  # of lips that touch the trunk knows less
    assert abs(shares[0]) < abs(shares[1]) < abs(shares[2]) < abs(shares[3])
    assert own_motion(said, adapter, None, 1.0) == pytest.approx(layer)


def tuned_bank(change: npt.NDArray[np.generic], numbers: tuple[float, float] = (900, 0.7)) -> Bank:
    bank = Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.2)
    bank.keep_tuned("net 1, 80 ms", Tuned(np.asarray(change), int(numbers[0]), numbers[1]))  # type: ignore[arg-type]
    return bank


@pytest.mark.parametrize("plain", [False, True])
def test_a_bank_keeps_it(tmp_path: Path, plain: bool) -> None:
    change = np.linspace(-0.5, 0.5, 700_000).astype(np.float16)
    tuned_bank(change).save(tmp_path / "me.bank", plain)
    read = Bank.read((tmp_path / "me.bank").read_bytes(), "me.bank", plain).tuned
    assert list(read) == ["net 1, 80 ms"]
    assert np.array_equal(read["net 1, 80 ms"].change, change)
    assert (read["net 1, 80 ms"].frames, read["net 1, 80 ms"].trust) == (900, pytest.approx(0.7))
    copied = tuned_bank(change).copy()
    copied.tuned.clear()
    for k in range(9):
        copied.keep_tuned(f"net {k}", read["net 1, 80 ms"])
    assert list(copied.tuned) == ["net 5", "net 6", "net 7", "net 8"]


@pytest.mark.parametrize(
    "changes",
    [
        {"tuned0": np.full(10, np.nan, np.float16)},
        {"tuned0": np.full(10, np.inf, np.float16)},
        {"tuned0": np.full(10, 100, np.float16)},
        {"tuned0": np.zeros(10, np.float64)},
        {"tuned0": np.zeros((2, 5), np.float16)},
        {"tuned0": np.zeros(3_000_000, np.float16)},
        {"tunednumbers0": np.zeros(3)},
        {"tunednumbers0": np.array([np.nan, 1])},
        {"tunednet0": np.zeros(500, np.uint8)},
        {"tunednet0": np.array([0xFF, 0xFE], np.uint8)},
        {f"tunednet{k}": np.zeros(3, np.uint8) for k in range(5)},
        {"tunednet1": np.zeros(3, np.uint8)},
    ],
)
def test_a_bank_with_what_cannot_be_a_change_is_refused(
    tmp_path: Path, changes: dict[str, npt.NDArray[np.generic]]
) -> None:
    tuned_bank(np.zeros(10, np.float16)).save(tmp_path / "me.bank")
    with np.load(tmp_path / "me.bank") as arrays:
        stored = {name: arrays[name] for name in arrays.files}
    packed = io.BytesIO()
    np.savez(packed, **(stored | changes))  # type: ignore[arg-type]
    with pytest.raises(BundleError, match="cannot read bank"):
        Bank.read(packed.getvalue(), "me.bank")


def talking(voice: Floats, own: Trunk, strange: bool) -> tuple[Person, OwnVoiceStream]:
    """A person who says ``voice``, with a mouth as ``own`` moves it, shown to a stream that tunes."""
    bundle = load_default("mouthbank")
    bank = Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.0, frozen=True)
    person, learner = Person.with_bank(bank), OwnVoiceStream(bundle, tunes=True)
    mouth, width = MotionStream(bundle), np.float32(mouth_width(TEMPLATE))
    net = trunk_of(bundle)
    assert net is not None
    mouth.tune(Tuned((own.flat - net.flat).astype(np.float16), 1, 1.0))
    for k, at in enumerate(range(0, len(voice), 640)):
        piece, pts_ns = voice[at : at + 640], samples_to_ns(at, VOICE_RATE)
        learner.hear(piece, pts_ns)
        mouth.hear(voice[-at - 640 : len(voice) - at] if strange else piece, pts_ns)
        said = mouth.at(now := max(0, (k - 8) * 40 * MS))
        face = TEMPLATE.copy()
        if said.tuned is not None:
            face[LOWER] += (said.displacement + said.tuned) * width
        shown = Frame(np.zeros((8, 8, 3), np.uint8), now, k)
        learner.show(person, TrackedFrame(shown, Face(face, face, STRAIGHT)))
    learner.finish()
    return person, learner


def test_two_look_aheads_learn_together_what_each_would_learn_alone() -> None:
    net, rows, rng = trunk(), told(3_000), np.random.default_rng(8)
    head = np.zeros(net.shape.size, np.float32)
    head[net.shape.body :] = rng.normal(0, 0.1, net.shape.size - net.shape.body)
    nets, people = (net, net.changed(head)), (another(net), another(net).changed(head))
    assert have_one_body(nets)
    assert not have_one_body((net, another(net)))
    at = np.arange(60, 2_990, 2.0) + 0.3
    missed = [motion(person, rows, at) - motion(own, rows, at) for own, person in zip(nets, people, strict=True)]
    few = Pupil(nets[1], at[: LEAST_LESSONS // 2], missed[1][: LEAST_LESSONS // 2])
    pupils = [Pupil(nets[0], at, missed[0]), few, Pupil(nets[1], at, missed[1])]
    first, nothing, second = tune(pupils, taped(rows))
    assert nothing is None
    assert first is not None
    assert second is not None
    assert np.array_equal(first.change[: net.shape.body], second.change[: net.shape.body])
    later, when = told(800, seed=2), np.arange(60, 790, 1.7)
    for own, person, tuned in zip(nets, people, (first, second), strict=True):
        before = motion(person, later, when) - motion(own, later, when)
        after = motion(person, later, when) - motion(own.changed(tuned.change), later, when)
        assert size(after) < 0.75 * size(before)


def test_lessons_of_every_other_frame_stand_for_both() -> None:
    net, at = trunk(), np.arange(60, 2_860, 4.0)
    missed = np.zeros((len(at), len(LOWER), 3), np.float32)
    assert Pupil(net, at, missed).frames == 2 * len(at)
    assert Pupil(net, at / 2, missed).frames == len(at)
    for every in (1, 2):  # of as few as may be tuned by, some judge
        assert Pupil(net, np.arange(60, 60 + 2 * LEAST_LESSONS, 2.0 * every), missed).judging.any()
    assert Pupil(net, at * 50, missed).frames == 2 * len(at)


def test_rows_begin_where_there_are_lessons() -> None:
    net, rows = trunk(), told(20_000)
    at = np.arange(15_000, 17_000, 2.0)
    missed = motion(another(net), rows, at) - motion(net, rows, at)
    tuned = learnt(net, taped(rows), at, missed)
    assert tuned is not None
    assert tuned.trust == 1


@pytest.mark.slow
def test_who_talks_long_enough_is_tuned_to_and_drawn_by_it() -> None:
    bundle, voice = load_default("mouthbank"), demo_voice(30)
    net = trunk_of(bundle)
    assert net is not None
    rng = np.random.default_rng(0)
    own = net.changed(0.02 * rng.normal(size=net.shape.size).astype(np.float32))
    person, learner = talking(voice, own, strange=False)
    assert learner.lessons.learnt > LEAST_LESSONS
    tuned = person.bank.tuned[bundle.net]
    assert tuned.trust == 1
    generator = MouthbankGenerator(identity=person.bank)
    generator.hear(voice[:32_000], 0)
    wished = MotionStream(bundle)
    wished.tune(Tuned((own.flat - net.flat).astype(np.float16), 1, 1.0))
    wished.hear(voice[:32_000], 0)
    missed = []
    for ns in range(400 * MS, 1_800 * MS, 40 * MS):
        made, right = generator._motion.at(ns), wished.at(ns)
        assert made.tuned is not None
        assert right.tuned is not None
        missed.append((size(right.tuned), size(right.tuned - made.tuned)))
    before, after = np.mean(missed, 0)
    assert after < 0.8 * before


def test_each_of_several_people_is_tuned_to_for_every_look_ahead() -> None:
    net, rows, rng = trunk(), told(3_000), np.random.default_rng(4)
    head = np.zeros(net.shape.size, np.float32)
    head[net.shape.body :] = rng.normal(0, 0.1, net.shape.size - net.shape.body)
    learners = [OwnVoiceStream(load_default("mouthbank", ms)) for ms in (80, 160)]
    banks, parts = [Bank() for _ in range(3)], (slice(0, 600), slice(600, 1_300), slice(1_300, None))
    at = np.arange(60, 2_990, 2.0)
    for learner, own in zip(learners, (net, net.changed(head)), strict=True):
        learner.tape, learner.lessons.trunk = taped(rows, 3), own
        for k, (bank, part) in enumerate(zip(banks, parts, strict=True)):
            missed = motion(another(own, k), rows, at[part]) - motion(own, rows, at[part])
            learner.lessons.untuned.append((bank, Pupil(own, at[part], missed)))
    steps: list[tuple[int, int | None]] = []
    learners[0].progress = lambda done, total: steps.append((done, total))
    learners[0].finish(*learners[1:])
    nets, body = [learner.lessons.net for learner in learners], net.shape.body
    assert [list(bank.tuned) for bank in banks] == [nets, nets, []]  # the third said too little
    first, second = ([bank.tuned[each].change[:body] for each in nets] for bank in banks[:2])
    assert np.array_equal(*first)
    assert np.array_equal(*second)
    assert not np.array_equal(first[0], second[0])
    assert [step for step in steps if step[0] == step[1]] == [(75, 75), (88, 88)]
    assert [learner.lessons.tuned for learner in learners] == [1_300, 1_300]


@pytest.mark.slow
def test_nothing_is_tuned_to_whoever_is_spoken_over() -> None:
    net = trunk_of(load_default("mouthbank"))
    assert net is not None
    person, _ = talking(demo_voice(30), net, strange=True)
    assert not person.bank.tuned
