"""The person's own microphone beside an interpreter's voice: heard where there is time, and only learnt from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from live_helpers import RATE, START_NS, EveryThird, PupilGenerator, Run, VirtualExecutor, live, sound

from benchmarks.media import voice
from realtime_dub.clock import MonotonicClock
from realtime_dub.config import LiveConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS, AudioBlock, VoiceInfo
from realtime_dub.mouth.contract import VOICE_RATE, OwnVoiceLearnt
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.camera import USUAL
from realtime_dub.pipeline.live import run as live_run
from realtime_dub.pipeline.live.executor import Done
from realtime_dub.pipeline.live.mouths import SpareTime
from realtime_dub.pipeline.live.own_mic import BEHIND_NS, LOST_NS, MOST_NS, OwnMic
from tests.faces import frame_of, portrait, tracked_portrait

STEP_NS = 40 * MS
INFO = VoiceInfo(RATE, 1, True, "desk", 10 * MS)


def taught(learn_ms: float, seconds: float = 8, **options: object) -> Run:
    """A run in which teaching the generator takes so long, a mouth 8 ms."""
    pupil = PupilGenerator()
    cost = {"learn": learn_ms, "observe": 2, "generate": 8}
    engine_ns = options.pop("engine_ns", lambda since_ns: 0)
    return live(
        seconds,
        generator=pupil,
        engine_ns=lambda since_ns: max(engine_ns(since_ns), round(cost.get(pupil.asked, 0) * MS)),  # type: ignore[operator]
        **options,  # type: ignore[arg-type]
    )


# When it is heard, in virtual time.


def test_all_of_it_is_heard_where_there_is_time_and_no_mouth_is_late() -> None:
    run = taught(2)
    frames, pupil = run.report.frames, run.generator
    assert frames["fresh"] == frames["total"]
    assert len(pupil.shown) >= 0.95 * frames["total"]
    starts = np.array([pts_ns for pts_ns, samples in pupil.own if len(samples)])
    lengths = np.array([len(samples) for _, samples in pupil.own if len(samples)])
    assert np.abs(np.diff(starts) - lengths[:-1] * NS // VOICE_RATE).max() <= NS // RATE
    heard = np.concatenate([samples for _, samples in pupil.own])
    before = np.flatnonzero(heard)[0]  # the microphone begins with the video
    first, heard = round((starts[0] - START_NS) * RATE / NS) + 3 * before, heard[before:]
    assert np.array_equal(heard, sound(first, 3 * len(heard))[::3, 0])
    assert run.report.own_voice == pupil.own_voice
    assert {"learn", "observe"} <= set(run.report.stages_ms)


@pytest.mark.parametrize(("learn_ms", "most"), [(15, 0), (30, 0), (60, 4)])
def test_a_generator_that_learns_slowly_is_not_late_for_it(learn_ms: float, most: int) -> None:
    run, without = taught(learn_ms, 6), taught(0, 6)
    missed = run.report.frames["total"] - run.report.frames["fresh"]
    assert missed <= most, run.report.frames  # how long it takes is found out by the first one, as of every job
    assert [kind for at, kind, _, _ in run.kinds if at > 2 * NS].count("fresh") == sum(
        at > 2 * NS for at, *_ in without.kinds
    )


def test_a_turn_that_learning_waits_for_is_part_of_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next mouth waits behind it for both."""
    told: list[int] = []
    monkeypatch.setattr(SpareTime, "took", lambda self, took_ns, now_ns: told.append(took_ns))

    async def run_in_turn(self: VirtualExecutor, job: Callable[[], Any], until_ns: int | None = None) -> Done[Any]:
        async with self.lock:
            result = job()
            await self.clock.sleep_until(self.clock.now_ns() + 5 * MS)
            return Done(result, 2 * MS, 3 * MS)

    monkeypatch.setattr(VirtualExecutor, "run", run_in_turn)
    live(3, generator=PupilGenerator())
    assert len(told) >= 50
    assert set(told) == {5 * MS}


def test_what_was_too_slow_for_a_while_is_tried_again() -> None:
    slow, end = SpareTime(), 100 * MS
    assert slow.is_enough(0, end)
    for _ in range(3):
        slow.took(200 * MS, 0)
    assert not slow.is_enough(NS, NS + end)
    assert slow.is_enough(SpareTime.AGAIN_NS, SpareTime.AGAIN_NS + end)
    assert not slow.is_enough(SpareTime.AGAIN_NS, SpareTime.AGAIN_NS + MS)


def test_nothing_is_learnt_while_the_engine_is_too_slow() -> None:
    run = taught(2, 12, engine_ns=lambda since_ns: 300 * MS if 3 * NS <= since_ns < 8 * NS else 0)
    shown = [tracked.frame.pts_ns - START_NS for tracked in run.generator.shown]
    assert not [at for at in shown if 4 * NS <= at < 8 * NS]
    assert [at for at in shown if at >= 10 * NS]
    starts = [pts_ns for pts_ns, samples in run.generator.own if len(samples)]
    assert max(np.diff(starts)) > 3 * NS  # what there was no time for is left out,
    assert max(len(samples) for _, samples in run.generator.own) <= MOST_NS * VOICE_RATE // NS + 1


def test_a_pause_of_the_microphone_holds_up_nothing() -> None:
    run = taught(2, 8, own_gaps=((3 * NS, 6 * NS),))
    assert run.report.frames["fresh"] == run.report.frames["total"]
    assert len(run.generator.shown) >= 0.95 * run.report.frames["total"]
    late = [pts_ns for pts_ns, samples in run.generator.own if pts_ns > START_NS + 7 * NS]
    assert late


# What is told.


def block(at: int, gap: bool = False, value: float = 0.1) -> AudioBlock:
    return AudioBlock(np.full((RATE // 100, 1), value, np.float32), RATE, at * 10 * MS, gap=gap)


def test_that_it_went_away_is_told_once() -> None:
    mic, told = OwnMic(INFO, PupilGenerator()), []
    mic.tell = told.append
    for k in range(10 + 2 * LOST_NS // (10 * MS)):
        mic.put(block(k, gap=k >= 10))
    mic.end(OSError("gone"))
    assert told == ["the own microphone 'desk' gives no sound: nothing is learnt from it until it does"]
    assert mic.notes == []


def test_why_nothing_came_of_it_is_told_at_the_end() -> None:
    pupil, told = PupilGenerator(), []
    mic = OwnMic(INFO, pupil)
    mic.tell = told.append
    assert mic.notes == ["nothing was learnt from the own microphone 'desk': no sound came"]
    pupil.hear_own(np.zeros(160, np.float32), 0)
    assert "for long enough" in mic.notes[0]
    mic.end(None)  # a file that is over
    assert told == []
    mic.end(OSError("unplugged"))
    assert told == ["nothing more is learnt from the own microphone 'desk': unplugged"]


class Breaks(PupilGenerator):
    def hear_own(self, samples: np.ndarray, pts_ns: int) -> None:
        raise BundleError("the network crashed")


def test_a_network_that_crashes_in_it_ends_the_learning_alone() -> None:
    run = live(3, generator=Breaks())
    assert run.report.frames["fresh"] == run.report.frames["total"]
    assert not run.generator.shown
    assert "nothing more is learnt from the own microphone 'own script': the network crashed" in run.report.notes


def test_what_is_no_sound_and_what_lies_behind_is_left_out() -> None:
    pupil = PupilGenerator()
    mic = OwnMic(INFO, pupil, lambda rate: EveryThird())
    mic.put(block(0, value=np.nan))
    mic.teach(tracked_portrait())
    assert np.isfinite(pupil.own[-1][1]).all()
    for k in range(1, 3 * BEHIND_NS // (10 * MS)):
        mic.put(block(k))
    mic.teach(tracked_portrait())
    assert pupil.own[-1][0] >= 3 * BEHIND_NS - MOST_NS - 20 * MS


# What is learnt of it, by the real engine.


@cache
def speech(seconds: float = 8) -> np.ndarray:
    """16 kHz (n,), one that goes on."""
    said = voice("demo")
    return np.resize(said, round(seconds * VOICE_RATE)).astype(np.float32)


def music(seconds: float = 8) -> np.ndarray:
    """A tune in chords."""
    at = np.arange(round(seconds * VOICE_RATE)) / VOICE_RATE
    notes = 220 * 2 ** (np.floor(at * 4) % 5 / 12)
    return (0.1 * sum(np.sin(2 * np.pi * notes * k * at) for k in (1, 1.25, 1.5))).astype(np.float32)


@cache
def openings(later: int = 0) -> np.ndarray:
    """The net's mouths for :func:`speech` (frames, len(LOWER), 3), or for what is said so many samples later."""
    stream, heard, ahead = MotionStream(load_default("mouthbank", None)), np.roll(speech(), -later), 10
    found = []
    for k in range(len(heard) // 640):
        stream.hear(heard[k * 640 : (k + 1) * 640], k * STEP_NS)
        if k >= ahead:
            found.append(stream.at((k - ahead) * STEP_NS).displacement)
    return np.stack(found)


def known() -> Bank:
    face = tracked_portrait().face
    assert face is not None
    return Bank(neutral=face.canonical, closed=face.canonical, wide=0.0, frozen=True)


def talks(own: np.ndarray, mouth: np.ndarray) -> MouthbankGenerator:
    """Live, under a voice that is silent: ``own`` is heard, and the lips move as ``mouth`` has them."""
    generator, tracked = MouthbankGenerator(identity=known(), silence="live"), tracked_portrait()
    generator.hear(np.zeros(2 * VOICE_RATE, np.float32), 0)
    face = tracked.face
    assert face is not None
    mic = OwnMic(VoiceInfo(VOICE_RATE, 1, True, "desk", 10 * MS), generator)
    for k, moved in enumerate(mouth):
        sound_now = own[k * 640 : (k + 1) * 640, None]
        mic.put(AudioBlock(sound_now, VOICE_RATE, k * STEP_NS))
        shape = face.canonical.copy()
        shape[LOWER] += moved * mouth_width(face.canonical)
        mic.teach(TrackedFrame(frame_of(portrait(), k), replace(face, canonical=shape)))
    return generator


def test_who_speaks_into_it_is_learnt_although_another_is_dubbed() -> None:
    generator = talks(speech(), openings())
    learnt = generator.own_voice
    assert 0.7 * len(openings()) / 25 < learnt.heard_s <= len(openings()) / 25 + 0.1  # silence is not counted
    assert learnt.frames > 60
    (adapter,) = generator.identity.adapters.values()
    assert adapter.frames == learnt.frames


@pytest.mark.parametrize(
    ("own", "mouth"),
    [
        (lambda: speech(), lambda: openings(3 * VOICE_RATE)),  # somebody else's
        (lambda: speech(), lambda: np.zeros_like(openings())),
        (music, openings),
        (lambda: np.zeros(8 * VOICE_RATE, np.float32), openings),
    ],
    ids=["another's voice", "a mouth that is shut", "music", "silence"],
)
def test_nothing_else_is_learnt(own: Callable[[], np.ndarray], mouth: Callable[[], np.ndarray]) -> None:
    generator = talks(own(), mouth())
    assert generator.own_voice.frames == 0
    assert not generator.identity.adapters


def test_the_voice_that_is_dubbed_is_not_learnt_from_beside_it() -> None:
    generator = MouthbankGenerator(identity=known())
    assert generator._talk.learns_dubbed
    generator.hear_own(np.zeros(0, np.float32), 0)
    assert not generator._talk.learns_dubbed
    assert generator.own_voice.heard_s == 0


# What may be asked for.


def opened(**values: object) -> None:
    config = build(LiveConfig, webcam="demo", to=("null",), **values)
    clock = MonotonicClock()
    live_run._own_voice(config, clock, live_run._video(config, clock, USUAL, False))


@pytest.mark.parametrize("mic", ["default", "demo", "Desk (hw:1,0)"])
def test_the_voice_that_is_dubbed_is_no_other_one(mic: str) -> None:
    with pytest.raises(ConfigError, match="it is the voice of --mic, too; leave --own-mic out"):
        opened(mic=mic, own_mic=mic)


def test_standard_input_cannot_be_it() -> None:
    with pytest.raises(ConfigError, match="cannot use --own-mic standard input; name a microphone"):
        opened(mic="demo", own_mic="-")


class Late(PupilGenerator):
    def __init__(self, late_ms: float | None) -> None:
        super().__init__()
        self.late_ms = late_ms

    @property
    def own_voice(self) -> OwnVoiceLearnt:
        return OwnVoiceLearnt(9, 80, late_ms=self.late_ms)


def test_whoever_has_a_late_camera_is_told_what_to_do() -> None:
    config = build(LiveConfig, webcam="0", mic="default", camera_late_ms=30)
    (note,) = live_run._camera_late(config, Late(60.4))
    assert note == "your picture comes 60 ms behind your voice: --camera-late 90 puts them in step"
    for generator in (Late(None), Late(0), Late(-80), object()):
        assert not live_run._camera_late(config, generator)
    assert not live_run._camera_late(build(LiveConfig, webcam="demo", mic="default"), Late(60))


@pytest.mark.parametrize("values", [{"engine": "passthrough"}, {"learn": "off"}])
def test_whoever_learns_nothing_takes_none(values: dict[str, str]) -> None:
    config = build(LiveConfig, mic="demo", own_mic="default", **values)
    generator = assembly.make_generator(config)
    members = assembly.LiveMembers(None, None, None, generator, ())  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="nothing would be learnt from --own-mic"):
        assembly._LiveAssembly(members, None, None, None)._open_own(None)  # type: ignore[arg-type]


def test_with_it_the_other_voice_is_anothers() -> None:
    assert not assembly.speaks_for_another(build(LiveConfig, webcam="0", mic="default"))
    assert assembly.speaks_for_another(build(LiveConfig, webcam="0", mic="default", own_mic="Desk"))
