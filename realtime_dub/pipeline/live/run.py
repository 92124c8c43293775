"""``realtime-dub --webcam ... --mic ...``: opens what was asked for, checks the budget, runs the loop, reports."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction

from realtime_dub import signals
from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.config import LiveConfig
from realtime_dub.errors import BudgetError
from realtime_dub.media import MS, NS, OutputFormat, Samples, VideoInfo, VoiceInfo
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline.assembly import (
    film_of,
    make_compositor,
    make_generator,
    make_tracker,
    part,
    pcm_of,
    sound_of,
)
from realtime_dub.pipeline.live.executor import ThreadExecutor
from realtime_dub.pipeline.live.inputs import StartsWith, ThreadedInputs, VoiceInStep
from realtime_dub.pipeline.live.loop import LivePipeline
from realtime_dub.pipeline.live.mouths import LEAD_NS, Timing
from realtime_dub.pipeline.live.outputs import PublisherThread
from realtime_dub.pipeline.plan import BudgetPlan, BudgetTooSmall, Stage
from realtime_dub.pipeline.process import one_blas_thread, short_waits
from realtime_dub.pipeline.reports import Reports
from realtime_dub.pipeline.schedule import TOLERANCE_NS
from realtime_dub.pipeline.statistics import Recorder, Report
from realtime_dub.pipeline.voice_feeder import resampler_delay_ns
from realtime_dub.publishers.base import Publisher
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.terminal import console

TRACK = Stage("tracker", 2 * MS, 12 * MS)
COMPOSE = Stage("compose", 2 * MS, 8 * MS)
HAND_OVER = Stage("hand-over", 0, LEAD_NS)
SPEAKER_NS = 20 * MS  # that a speaker asks for sound before its time, beside its latency: a buffer, and jitter


def run_live(config: LiveConfig) -> Report:
    """Run until the picture ends, ``seconds`` pass, Ctrl-C or no output is left. Raises UserError before anything is
    written, or later what ended the inputs; the statistics file and the contact sheet are written in either case.
    Outputs that ended before their time are in the report's ``lost``.
    """
    clock = MonotonicClock()
    with one_blas_thread(), ExitStack() as stack:
        run = _Assembly(config, clock, stack)
        try:
            with _live_line(run.recorder, clock, config.quiet), short_waits():
                asyncio.run(run.pipeline.run())
        finally:
            with signals.held_off():
                report = run.finish()
    return report


def plan_budget(
    voice: VoiceInfo,
    generator: MouthGenerator,
    fps: Fraction,
    publish_ns: int,
    budget_ms: float | None,
    arrival_ns: int = 0,
) -> tuple[BudgetPlan, int]:
    """The plan of a live run, and the resampler's share in it. Raises BudgetTooSmall.

    ``arrival_ns``: how long a picture is on its way here after its capture, from a camera that is far away.
    """
    latency = generator.latency()
    resample_ns = resampler_delay_ns(voice.rate)
    heard = [
        Stage("voice block", 0, voice.block_ns),
        Stage("resampling", resample_ns, resample_ns),
        Stage("front end", latency.front_end_ns, latency.front_end_ns),
        Stage("look-ahead", latency.look_ahead_ns, latency.look_ahead_ns),
    ]
    seen = [Stage("frame interval", 0, int(NS / fps) + TOLERANCE_NS), TRACK]
    if arrival_ns:
        seen.insert(0, Stage("arrival", 0, arrival_ns))
    engine = Stage(f"engine {generator.name}", 0, latency.compute_ns)
    after = [engine, COMPOSE, HAND_OVER, Stage("publish", 0, publish_ns)]
    return BudgetPlan.of(heard, seen, after, budget_ms), resample_ns


class _Assembly:
    """Everything a live run is made of, opened in the order in which it costs least to find out that it cannot be."""

    def __init__(self, config: LiveConfig, clock: Clock, stack: ExitStack) -> None:
        self._config, self._clock, self._stack = config, clock, stack
        self._reports = Reports(config)
        self._made = publishers = self._publishers()
        self._generator = generator = make_generator(config)
        stack.callback(generator.close)
        tracker = make_tracker(config)
        stack.callback(tracker.close)
        compositor = make_compositor()
        picture, voice = self._sources()
        timing = self._timing(voice, generator, publishers)
        self.recorder = Recorder(timing.plan.budget_ns, generator.name, generator.bundle)
        outputs = [PublisherThread(each, clock, self.recorder, self._failed) for each in publishers]
        for output in outputs:
            stack.callback(output.close)
        self.pipeline = LivePipeline(
            clock,
            ThreadedInputs(self._video, self._voice, tracker, clock, self._starts_with),
            outputs,
            generator,
            compositor,
            self._executor("engine"),
            self._executor("composer"),
            voice,
            timing,
            self.recorder,
            self._reports.sheet,
        )
        # Last, and after the pipeline is there: a speaker asks for the voice from the moment it is open.
        for output in outputs:
            output.open(self._format(picture, voice, timing))
            self._check_speaker(output.publisher, voice, timing)
            if (address := getattr(output.publisher, "address", None)) is not None:
                print(f"watch at {address}", flush=True)  # also where quiet: nobody could find it otherwise

    def finish(self) -> Report:
        """The report; with what is to be written about a run that has begun."""
        for each in (self._video, self._voice, self._generator, *self._made):
            for note in getattr(each, "notes", ()):
                self.recorder.note(note)
        if not self.recorder.frames["total"]:
            return self.recorder.report()
        return self._reports.finish(self.recorder)

    def _publishers(self) -> list[Publisher]:
        """Made, not opened: names that are wrong are found before anything else is."""
        config = self._config
        made = [part("publisher")(spec, clock=self._clock, live=True) for spec in config.to]
        if not made:
            made = [part("default publisher")()]
        if config.speaker is not None:
            speaker = part("speaker")(config.speaker, self._clock)
            speaker.attach(self._read_voice)
            made.append(speaker)
        return made

    def _read_voice(self, instant_ns: int, count: int) -> Samples:
        return self.pipeline.read_voice(instant_ns, count)

    def _sources(self) -> tuple[VideoInfo, VoiceInfo]:
        config, clock = self._config, self._clock
        size = {"width": config.width, "height": config.height, "fps": config.fps}
        self._video: VideoSource = part("video")(
            config.webcam, clock=clock, loop=config.loop, live=True, **size, **film_of(config)
        )
        self._voice, self._starts_with = self._open_voice()
        self._stack.callback(self._video.close)
        picture = self._video.open()
        self._stack.callback(self._voice.close)
        return picture, self._voice.open()

    def _open_voice(self) -> tuple[VoiceSource, StartsWith]:
        """The voice, and what it starts with: a file's own sound with its picture, what can wait with the ticks."""
        config, clock = self._config, self._clock
        in_step = config.mic == "video" and isinstance(self._video, part("paced video"))
        voice: VoiceSource = part("voice")(
            config.mic,
            clock=clock,
            video_path=config.webcam if in_step else None,
            loop=config.loop,
            live=not in_step,
            pcm=pcm_of(config),
            **sound_of(config),
        )
        if in_step:
            return VoiceInStep(voice, self._video, clock), "picture"
        waits = config.mic == "-" or isinstance(voice, part("paced voice"))
        return voice, "ticks" if waits else "itself"

    def _timing(self, voice: VoiceInfo, generator: MouthGenerator, publishers: Sequence[Publisher]) -> Timing:
        config = self._config
        fps = Fraction(config.fps).limit_denominator(1001)
        # A speaker plays by the clock, ahead of its own latency: it delays nothing else.
        publish_ns = max((each.latency_ns for each in publishers if not hasattr(each, "attach")), default=0)
        try:
            plan, resample_ns = plan_budget(voice, generator, fps, publish_ns, config.budget_ms)
        except BudgetTooSmall as error:
            console(stderr=True).print(error.table)
            raise
        return Timing(fps, plan, resample_ns, publish_ns, COMPOSE.max_ns, config.seconds)

    def _format(self, picture: VideoInfo, voice: VoiceInfo, timing: Timing) -> OutputFormat:
        size = picture.width, picture.height
        return OutputFormat(*size, timing.fps, voice.rate, voice.channels, True, picture.full_range)

    def _check_speaker(self, publisher: Publisher, voice: VoiceInfo, timing: Timing) -> None:
        """What a sound card plays has to have been captured before it is asked for."""
        need_ns, budget_ns = voice.block_ns + publisher.latency_ns, timing.plan.budget_ns
        if hasattr(publisher, "attach") and need_ns > budget_ns:
            what = f"{publisher.name} asks for sound {publisher.latency_ns / MS:.0f} ms ahead"
            budget = f"a budget of {budget_ns / MS:g} ms cannot hold:"
            raise BudgetError(budget, what, f"use --budget-ms {-(-need_ns // MS)} or more")
        if hasattr(publisher, "attach"):
            self.pipeline.voice.leave(max(voice.block_ns, budget_ns - publisher.latency_ns - SPEAKER_NS))

    def _failed(self, name: str, error: Exception) -> None:
        self.pipeline.on_failed(name, error)

    def _executor(self, name: str) -> ThreadExecutor:
        executor = ThreadExecutor(name, self._clock)
        self._stack.callback(executor.close)
        return executor


@contextlib.contextmanager
def _live_line(recorder: Recorder, clock: Clock, quiet: bool) -> Iterator[None]:
    """The statistics of the moment on a terminal, drawn by a thread of rich's."""
    terminal = console(stderr=True)
    if quiet or not terminal.is_terminal:
        yield
        return
    from rich.live import Live

    with Live(
        get_renderable=lambda: recorder.line(clock.now_ns()), console=terminal, refresh_per_second=4, transient=True
    ):
        yield
