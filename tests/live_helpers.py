"""A live pipeline in virtual time: real classes, whose costs and devices follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from realtime_dub.blend.composite import Reads
from realtime_dub.clock import TURNS, VirtualClock
from realtime_dub.face.types import Face, FaceTracker, Pose, TrackedFrame
from realtime_dub.media import MS, NS, AudioBlock, Frame, VoiceInfo, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE, Latency, LearnsOwnVoice, MouthPatch, OwnVoiceLearnt
from realtime_dub.mouth.mouthbank.calibration import CalibrationFrames
from realtime_dub.pipeline.live.executor import Done
from realtime_dub.pipeline.live.loop import LiveParts, LivePipeline
from realtime_dub.pipeline.live.outputs import Stamped
from realtime_dub.pipeline.live.own_mic import OwnMic
from realtime_dub.pipeline.plan import BudgetPlan, Stage
from realtime_dub.pipeline.precedence import Place
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.pipeline.statistics import Recorder, Report
from realtime_dub.pipeline.timing import Timing
from realtime_dub.pipeline.voice_feeder import mono_resampler, resampler_delay_ns

START_NS = 7 * NS  # the clock does not start at 0
RATE = 48_000
POSE = Pose(np.eye(3, dtype=np.float32), 50.0, np.zeros(3, np.float32))
FACE = Face(np.zeros((478, 3), np.float32), np.zeros((478, 3), np.float32), POSE)


def frame_at(pts_ns: int, seq: int, stale: bool = False) -> Frame:
    """A small picture whose top left pixel counts the frames."""
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = seq % 251, seq // 251, 0
    return Frame(image, pts_ns, seq, stale=stale)


class PuppetGenerator:
    """A mouth whose red is 255 for every instant, as long as it has heard that far."""

    name, bundle, backend = "puppet", "puppet 1", "none"

    def __init__(self, look_ahead_ms: int = 40, speaks: Callable[[int], bool] = lambda at_ns: True) -> None:
        self.look_ahead_ms = look_ahead_ms
        self._latency = Latency(look_ahead_ms * MS, 0, 15 * MS)
        self._speaks = speaks
        self._heard_ns = -(1 << 62)
        self.heard: list[np.ndarray] = []
        self.pts: list[int] = []
        self.observed = 0
        self.calibrated: list[tuple[int, list[int]]] = []  # how many were observed by then, and which pictures came

    def latency(self) -> Latency:
        return self._latency

    def hear(self, samples: np.ndarray, pts_ns: int) -> None:
        self.heard.append(samples)
        self.pts.append(pts_ns)
        self._heard_ns = pts_ns + samples_to_ns(len(samples), VOICE_RATE) - self._latency.look_ahead_ns

    def heard_until_ns(self) -> int:
        return self._heard_ns

    def observe(self, tracked: TrackedFrame) -> None:
        self.observed += 1

    def frames_to_calibrate(self) -> CalibrationFrames:
        return CalibrationFrames()

    def calibrate(self, pictures: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
        assert all(tracker.track(tracked.frame).face is not None for tracked in pictures)
        self.calibrated.append((self.observed, [tracked.frame.seq for tracked in pictures]))

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        assert at_ns <= self._heard_ns
        if tracked.face is None or not self._speaks(at_ns):
            return None
        return MouthPatch(np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.uint8), (2, 2, 2, 2), POSE, at_ns)

    def close(self) -> None:
        pass


class PupilGenerator(PuppetGenerator):
    """Keeps what it is told of the person's own voice, and what it was asked for last."""

    learns_own = True

    def __init__(self) -> None:
        super().__init__()
        self.own: list[tuple[int, np.ndarray]] = []
        self.shown: list[TrackedFrame] = []
        self.asked = ""

    @property
    def own_voice(self) -> OwnVoiceLearnt:
        return OwnVoiceLearnt(sum(len(samples) for _, samples in self.own) / VOICE_RATE, len(self.shown))

    def begin_own(self, tunes: bool, progress: object = None) -> None:
        raise AssertionError("a live run is no film")

    def hear_own(self, samples: np.ndarray, pts_ns: int) -> None:
        self.own.append((pts_ns, samples))

    def learn_own(self, tracked: TrackedFrame, live: bool = False) -> None:
        assert live
        self.asked = "learn"
        self.shown.append(tracked)

    def finish_own(self) -> None:
        raise AssertionError("a live run has no end to learn at")

    def observe(self, tracked: TrackedFrame) -> None:
        self.asked = "observe"
        super().observe(tracked)

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        self.asked = "generate"
        return super().generate(tracked, at_ns)


class PaintCompositor:
    """Writes the weight into one pixel of a copy."""

    def compose(
        self, tracked: TrackedFrame, patch: MouthPatch, weight: float, reads: Reads | None = None
    ) -> np.ndarray:
        image = tracked.frame.image.copy()
        image[4, 4, 2] = round(255 * weight)
        return image


class EveryThird:
    """48 kHz -> 16 kHz without delay: what these tests need of a resampler."""

    def process(self, samples: np.ndarray) -> np.ndarray:
        return samples[::3]


class LateClock(VirtualClock):
    """Wakes whoever sleeps a little late. A second of a run has hundreds of wakings: none is waited for in vain."""

    def __init__(self, start_ns: int, late_ns: int) -> None:
        super().__init__(start_ns)
        self._late_ns = late_ns

    async def sleep_until(self, when_ns: int) -> None:
        await super().sleep_until(when_ns + self._late_ns)

    async def settle(self) -> None:
        ready = asyncio.get_running_loop()._ready
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if not ready:
                return


@dataclass
class VirtualExecutor:
    """Runs the job at once and is done after ``cost_ns(now)`` of virtual time."""

    clock: VirtualClock
    cost_ns: Callable[[int], int]
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, job, until_ns=None):
        async with self.lock:
            result = job()
            took_ns = self.cost_ns(self.clock.now_ns())  # asked behind the job: it may say what it was
            await self.clock.sleep_until(self.clock.now_ns() + took_ns)
            return Done(result, took_ns)

    def close(self) -> None:
        pass


@dataclass
class ScriptedInputs:
    """A camera and a microphone, or ``voice``. ``camera``: capture times; ``stalls``, ``gaps``: spans without any."""

    clock: VirtualClock
    camera_fps: Fraction = Fraction(25)
    track_ns: int = 4 * MS
    first_ns: int = 3 * MS  # the first capture, since the start
    stalls: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    faceless: tuple[tuple[int, int], ...] = ()
    late_ns: Callable[[int], int] = lambda seq: 0  # by how much each frame is captured later than its turn
    frames: int = 1 << 30
    voice: list[tuple[int, AudioBlock | None]] | None = None  # when each block comes, or the end; None = a microphone
    own_gaps: tuple[tuple[int, int], ...] = ()  # of the person's own voice
    tasks: list[asyncio.Task] = field(default_factory=list)

    def start(self, sink) -> None:
        each = self._camera(sink), self._voice(sink), self._microphone(sink.on_own_voice, self.own_gaps)
        self.tasks = [asyncio.create_task(work) for work in each]

    def ticking(self) -> None:
        pass

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()

    async def _camera(self, sink) -> None:
        for seq in range(self.frames):
            capture_ns = START_NS + self.first_ns + int(seq * NS / self.camera_fps) + self.late_ns(seq)
            await self.clock.sleep_until(capture_ns + self.track_ns)
            if not within(self.stalls, capture_ns):
                face = None if within(self.faceless, capture_ns) else FACE
                sink.on_frame(TrackedSample(TrackedFrame(frame_at(capture_ns, seq), face), self.track_ns))
        sink.on_end("video", None)

    async def _voice(self, sink) -> None:
        if self.voice is not None:
            for at_ns, block in self.voice:
                await self.clock.sleep_until(at_ns)
                if block is None:
                    sink.on_end("voice", None)
                else:
                    sink.on_voice(block)
            return
        await self._microphone(sink.on_voice, self.gaps)

    async def _microphone(self, take, gaps) -> None:
        count = RATE // 100
        for seq in range(1 << 30):
            start_ns = START_NS + samples_to_ns(seq * count, RATE)
            await self.clock.sleep_until(start_ns + 10 * MS)
            if not within(gaps, start_ns):
                take(AudioBlock(sound(seq * count, count), RATE, start_ns))


def sound(first: int, count: int) -> np.ndarray:
    """Samples that say which they are."""
    return (((np.arange(first, first + count) + 1) % 8_000) / 8_000).astype(np.float32)[:, None]


def within(spans: tuple[tuple[int, int], ...], at_ns: int) -> bool:
    """Spans are in ns since the start."""
    return any(low <= at_ns - START_NS < high for low, high in spans)


@dataclass
class Taken:
    at_ns: int
    stamped: Stamped


@dataclass
class RecordingOutput:
    clock: VirtualClock
    taken: list[Taken] = field(default_factory=list)
    closed: bool = False

    def offer(self, stamped: Stamped) -> None:
        self.taken.append(Taken(self.clock.now_ns(), stamped))

    def close(self) -> None:
        self.closed = True

    @property
    def sound(self) -> np.ndarray:
        return np.concatenate([each.stamped.tick.audio.samples for each in self.taken])


@dataclass
class Run:
    """What a virtual run left behind."""

    report: Report
    output: RecordingOutput
    kinds: list[tuple[int, str, int, bool]]  # when, kind, age, lagged
    generator: PuppetGenerator
    pipeline: LivePipeline


class ListRecorder(Recorder):
    """Keeps every tick's count beside the histograms."""

    def watch(self, clock: VirtualClock) -> list[tuple[int, str, int, bool]]:
        self.clock, self.kinds = clock, []
        return self.kinds

    def handed_over(self, kind, age_ns, lagged=False) -> None:
        self.kinds.append((self.clock.now_ns() - START_NS, kind, age_ns, lagged))
        super().handed_over(kind, age_ns, lagged)


def plan(budget_ms: float = 160, look_ahead_ms: int = 40, frame_ns: int = 40 * MS) -> BudgetPlan:
    voice = [Stage("voice block", 0, 10 * MS), Stage("look-ahead", look_ahead_ms * MS, look_ahead_ms * MS)]
    picture = [Stage("frame interval", 0, frame_ns), Stage("track", 0, 10 * MS)]
    after = [Stage("engine", 0, 15 * MS), Stage("compose", 0, 8 * MS), Stage("hand-over", 0, 2 * MS)]
    return BudgetPlan.of(voice, picture, after, budget_ms)


def live(
    seconds: float,
    engine_ns: Callable[[int], int] = lambda since_ns: 8 * MS,
    compose_ns: Callable[[int], int] = lambda since_ns: 4 * MS,
    fps: Fraction = Fraction(25),
    budget_ms: float = 160,
    generator: PuppetGenerator | None = None,
    limit: float | None = None,
    asleep: tuple[int, int] | None = None,
    rate: int = RATE,
    wakes_late_ns: int = 0,
    place: Place | None = None,
    **inputs: object,
) -> Run:
    """A run of ``seconds`` of virtual time. Costs are functions of the time since the start.

    ``asleep``: from when to when nothing is woken, in ns since the start. ``wakes_late_ns``: as real timers do.
    """
    made: list[Run] = []

    async def go() -> None:
        clock = LateClock(START_NS, wakes_late_ns)
        given = seconds, engine_ns, compose_ns, fps, budget_ms, generator, limit, asleep, rate, clock, place, inputs
        made.append(await _live(*given))

    asyncio.run(go())  # it asks for the repr of what its coroutine returns, which of a run takes as long as the run
    return made[0]


async def _live(
    seconds, engine_ns, compose_ns, fps, budget_ms, generator, limit, asleep, rate, clock, place, inputs
) -> Run:
    generator = generator or PuppetGenerator()
    resampler = lambda rate: EveryThird() if rate == RATE else mono_resampler(rate)  # noqa: E731
    own = VoiceInfo(RATE, 1, True, "own script", 10 * MS)
    own_mic = OwnMic(own, generator, resampler) if isinstance(generator, LearnsOwnVoice) else None
    recorder = ListRecorder(budget_ns=round(budget_ms * MS), engine=generator.name, bundle=generator.bundle)
    recorder.runs(recorder.budget_ns, generator)
    kinds, output = recorder.watch(clock), RecordingOutput(clock)
    pipeline = LivePipeline(
        clock,
        LiveParts(
            ScriptedInputs(clock, **inputs),
            [output],
            generator,
            PaintCompositor(),
            VirtualExecutor(clock, lambda now_ns: engine_ns(now_ns - START_NS)),
            VirtualExecutor(clock, lambda now_ns: compose_ns(now_ns - START_NS)),
            resampler=resampler,
            own_mic=own_mic,
            place=place,
        ),
        VoiceInfo(rate, 1, True, "script", 10 * MS),
        Timing(
            fps,
            plan(budget_ms, generator.look_ahead_ms, max(40 * MS, int(NS / fps))),
            resample_ns=0 if rate == RATE else resampler_delay_ns(rate),
            seconds=limit,
        ),
        recorder,
    )
    task = asyncio.create_task(pipeline.run())
    if asleep is not None:
        await clock.run_until(START_NS + asleep[0])
        clock.advance_to(START_NS + asleep[1])
    await clock.run_until(START_NS + int(seconds * NS))
    if not task.done():
        pipeline.stop()
        await clock.run_until(clock.now_ns() + NS)
    report = await task
    await asyncio.sleep(0)
    left = [each for each in asyncio.all_tasks() if each is not asyncio.current_task() and not each.cancelling()]
    assert not left, left
    return Run(report, output, kinds, generator, pipeline)
