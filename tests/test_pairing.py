"""What is seen of a mouth is learnt beside the voice that it spoke, however late the camera or the microphone is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.types import Face, Pose, TrackedFrame
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS, Floats, Frame, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.lateness import LATE_NS, Lateness
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.mouth.mouthbank.own_voice import MOST_AT_ONCE, OwnVoiceStream, WaysOfTalking
from realtime_dub.mouth.mouthbank.pairing import WAITING, Lesson, Pairing
from realtime_dub.mouth.mouthbank.people import Person
from tests.tuning_helpers import demo_voice

pytestmark = pytest.mark.computes

STRAIGHT = Pose(np.eye(3, dtype=np.float32), 1.0, np.zeros(3, np.float32))
STEP_NS = 40 * MS
SECONDS = 24.0


# How late it is.


def walk(seconds: float, seed: int = 0) -> Floats:
    """An opening in steps of 10 ms that goes up and down as in speech."""
    rng = np.random.default_rng(seed)
    smooth = np.convolve(rng.normal(size=round(seconds * 100) + 100), np.hanning(14), "same")
    return np.asarray(np.maximum(0.1 + 0.05 * smooth, 0), np.float32)


def compared(late_ms: int, seconds: float, noise: float = 0.0, seen: Floats | None = None) -> Lateness:
    """Of a mouth that is seen ``late_ms`` after it was heard, or that says something else."""
    heard, lateness = walk(seconds + 2), Lateness()
    rng = np.random.default_rng(7)
    for at_ms in range(600, round(seconds * 1000) + 600, 40):
        rows = np.asarray((at_ms - LATE_NS // MS) // 10, np.int64)
        shown = (heard if seen is None else seen)[(at_ms - late_ms) // 10]
        lateness.see(at_ms * MS, float(shown) + noise * rng.normal(), heard[rows])
    return lateness


@pytest.mark.parametrize("late_ms", [-240, -120, -40, 40, 80, 160, 300])
def test_how_late_a_mouth_is_seen_is_found_within_a_few_seconds(late_ms: int) -> None:
    for noise, seconds in ((0.0, 4), (0.05, 20)):
        late_ns = compared(late_ms, seconds, noise).ns
        assert late_ns is not None
        assert abs(late_ns - late_ms * MS) <= 20 * MS


def test_what_is_off_by_less_than_a_frame_is_a_way_to_move() -> None:
    for late_ms in (-20, 0, 20):
        assert compared(late_ms, 20).ns == 0


def test_anothers_voice_comes_at_no_time() -> None:
    for seed in range(1, 6):
        assert compared(0, 20, seen=walk(30, seed)).ns is None
    assert compared(0, 20, seen=np.full(3_000, 0.1, np.float32)).ns is None  # nor does that of who is silent


def test_what_is_no_number_says_nothing() -> None:
    lateness = compared(80, 4)
    heard = np.full(len(LATE_NS), 0.1, np.float32)
    lateness.see(9 * NS, np.nan, heard)
    lateness.see(9 * NS, 0.1, np.append(heard[1:], np.inf))
    assert lateness.estimate() == compared(80, 4).estimate()


def test_another_microphone_is_found_out() -> None:
    lateness, heard = Lateness(), walk(200)
    for at_ms in range(600, 180_000, 40):
        late_ms = 40 if at_ms < 60_000 else -160
        rows = np.asarray((at_ms - LATE_NS // MS) // 10, np.int64)
        lateness.see(at_ms * MS, float(heard[(at_ms - late_ms) // 10]), heard[rows])
        if at_ms == 59_000:
            assert lateness.ns == pytest.approx(40 * MS, abs=5 * MS)
    assert lateness.ns == pytest.approx(-160 * MS, abs=5 * MS)


# What a face is learnt beside.


@cache
def mouths(late_ms: int, other: bool = False) -> tuple[Floats, ...]:
    """The net's mouths for the voice, one a frame, seen so much later; or for what is said 7 s later."""
    stream, voice = MotionStream(load_default("mouthbank")), demo_voice(SECONDS)
    heard, found = np.roll(voice, -7 * VOICE_RATE) if other else voice, []
    for at in range(0, len(voice), 640):
        stream.hear(heard[at : at + 640], samples_to_ns(at, VOICE_RATE))
        found.append(stream.at(samples_to_ns(at, VOICE_RATE) - (400 + late_ms) * MS).displacement)
    return tuple(found[10:])  # 400 ms


def somebody() -> Person:
    return Person.with_bank(Bank(neutral=TEMPLATE, closed=TEMPLATE, wide=0.0, frozen=True))


def faces(late_ms: int, other: bool = False) -> Iterator[TrackedFrame]:
    for k, moved in enumerate(mouths(late_ms, other)):
        face = TEMPLATE.copy()
        face[LOWER] += moved * np.float32(mouth_width(TEMPLATE))
        yield TrackedFrame(Frame(np.zeros((8, 8, 3), np.uint8), k * STEP_NS, k), Face(face, face, STRAIGHT))


def paired(late_ms: int, other: bool = False) -> list[Lesson]:
    """What there is to learn of a person who speaks, in the order in which it comes live."""
    voice, person = demo_voice(SECONDS), somebody()
    motion = MotionStream(load_default("mouthbank"), history_ns=20 * NS)
    pairing, found = Pairing(motion), []
    for k, tracked in enumerate(faces(late_ms, other)):
        motion.hear(voice[640 * k : 640 * (k + 1)], samples_to_ns(640 * k, VOICE_RATE))
        pairing.show(person, tracked, person.style)
        found += pairing.lessons()
    return found + list(pairing.last_lessons())


@pytest.mark.parametrize("late_ms", [-200, -80, 0, 80, 200])
def test_a_face_is_learnt_beside_the_voice_that_it_spoke(late_ms: int) -> None:
    lessons = paired(late_ms)
    assert len(lessons) > 0.9 * len(paired(0)) > 250
    missed = [np.abs((each.canonical - TEMPLATE)[LOWER] / mouth_width(TEMPLATE) - each.motion.displacement).max()
              for each in lessons]  # fmt: skip
    assert np.median(missed) < 0.03  # 10 ms are 0.02


def test_whoever_is_spoken_over_is_never_sure_to_be_the_one_who_speaks() -> None:
    lessons = paired(0, other=True)
    assert lessons  # what they foretell may tell another thing
    assert not any(each.sure or each.late_ns for each in lessons)


def learnt_live(late_ms: int) -> tuple[OwnVoiceStream, Adapter]:
    """As it comes."""
    voice, person, net = demo_voice(SECONDS), somebody(), load_default("mouthbank")
    own = OwnVoiceStream(net)
    for k, tracked in enumerate(faces(late_ms)):
        own.hear(voice[640 * k : 640 * (k + 1)], samples_to_ns(640 * k, VOICE_RATE))
        own.show(person, tracked, live=True)
        before = own.lessons.learnt
        own.learn()
        assert own.lessons.learnt - before <= MOST_AT_ONCE or before == 0  # those on trial count at once
    return own, person.bank.adapters[net.net]


@pytest.mark.parametrize("late_ms", [-120, 120])
def test_the_same_is_learnt_of_an_own_voice_however_late_the_picture_is(late_ms: int) -> None:
    own, adapter = learnt_live(late_ms)
    assert own.pairing.lateness.ns == pytest.approx(late_ms * MS, abs=10 * MS)
    _, in_step = learnt_live(0)
    assert adapter.frames == pytest.approx(in_step.frames, abs=20)
    apart, all_of_it = np.abs(adapter._weights - in_step._weights).mean(), np.abs(in_step._weights).mean()
    assert apart < 0.5 * all_of_it  # beside the wrong instant: several times as much


def test_the_dubbed_voice_is_learnt_from_when_there_is_time() -> None:
    adapters = []
    for every in (1, 3):
        motion, person, voice = MotionStream(load_default("mouthbank")), somebody(), demo_voice(SECONDS)
        talk = WaysOfTalking(load_default("mouthbank"), motion, "cpu", learns=True)
        talk.later = every > 1
        for k, tracked in enumerate(faces(80)):
            motion.hear(voice[640 * k : 640 * (k + 1)], samples_to_ns(640 * k, VOICE_RATE))
            talk.show_dubbed(person, tracked)
            if talk.later and k % every == 0:
                talk.catch_up()
        adapters.append(person.bank.adapters[talk.net].frames)
    assert adapters[0] > 200
    assert adapters[1] == pytest.approx(adapters[0], abs=20)


def test_faces_that_nobody_has_time_for_do_not_pile_up() -> None:
    motion, person = MotionStream(load_default("mouthbank")), somebody()
    talk = WaysOfTalking(load_default("mouthbank"), motion, "cpu", learns=True)
    talk.later = True
    tracked = next(faces(0))
    for k in range(WAITING + 100):
        frame = Frame(tracked.frame.image, k * STEP_NS, k)
        talk.show_dubbed(person, TrackedFrame(frame, tracked.face))
    pairing = talk._pairing
    assert pairing is not None
    assert len(pairing._unheard) == WAITING
    talk.forget()  # somebody else is there
    assert not pairing._unheard
