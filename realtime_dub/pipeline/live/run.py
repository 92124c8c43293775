"""``realtime-dub --webcam ... --mic ...``: opens what was asked for, checks the budget, runs the loop, reports."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from fractions import Fraction
from functools import partial
from typing import Any

from realtime_dub import signals
from realtime_dub.clock import Clock, MonotonicClock
from realtime_dub.config import LiveConfig
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS
from realtime_dub.mouth.contract import LearnsOwnVoice
from realtime_dub.notes import notes_of
from realtime_dub.pipeline import assembly, camera
from realtime_dub.pipeline.camera import CameraMode
from realtime_dub.pipeline.camera_kept import kept_for
from realtime_dub.pipeline.live.inputs import StartsWith, VoiceInStep
from realtime_dub.pipeline.live.loop import LivePipeline
from realtime_dub.pipeline.plan import BudgetTooSmall
from realtime_dub.pipeline.process import large_pages, one_thread_each, short_waits
from realtime_dub.pipeline.reports import Reports, announce, announce_consent
from realtime_dub.pipeline.statistics import Recorder, Report
from realtime_dub.pipeline.timing import LiveSettings
from realtime_dub.publishers.base import ConvertsSlowly, Publisher
from realtime_dub.publishers.registry import default_publisher
from realtime_dub.sources import voices
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sources.paced import PacedVideo
from realtime_dub.sources.paced_voice import PacedVoice
from realtime_dub.sources.registry import CAMERAS, kind_of
from realtime_dub.terminal import console

LOOK_S = 0.05  # between two looks whether to stop


def run_live(config: LiveConfig, stop: threading.Event | None = None) -> Report:
    """Run until the video ends, ``seconds`` pass, ``stop`` is set, Ctrl-C or no output is left. Raises UserError before
    anything is written, or later what ended the inputs; the statistics file and the contact sheet are written in either
    case. Outputs that ended before their time are in the report's ``lost``.
    """
    clock = MonotonicClock()
    with one_thread_each(), ExitStack() as stack:
        run = _LiveRun(config, clock, stack)
        large_pages()
        try:
            with _live_line(run.recorder, clock, config.quiet), short_waits():
                asyncio.run(_until(run.pipeline, stop))
        finally:
            try:
                run.sign()
            finally:
                with signals.held_off():
                    report = run.finish()
    return report


async def _until(pipeline: LivePipeline, stop: threading.Event | None) -> None:
    running = asyncio.ensure_future(pipeline.run())
    while stop is not None and not running.done():
        await asyncio.wait({running}, timeout=LOOK_S)
        if stop.is_set() and not running.done():
            pipeline.stop()
            break
    await running


class _LiveRun:
    """A live run as the command line asks for it."""

    def __init__(self, config: LiveConfig, clock: Clock, stack: ExitStack) -> None:
        config = assembly.with_avatar(config, config.webcam)
        self._reports = Reports(config, assembly.whose_voice(config))
        publishers = _publishers(config, clock)
        generator = assembly.make_generator(config)
        stack.callback(generator.close)
        announce(generator, config.quiet)
        announce_consent(config, generator)
        self._reports.credentials.begin(generator, publishers)
        tracker = assembly.tracker_for(config, at_once=False)
        stack.callback(tracker.close)
        mode = _camera_mode(config)
        video = _video(config, clock, mode, any(isinstance(each, ConvertsSlowly) for each in publishers))
        voice, starts_with = _voice(config, clock, video)
        own_voice = _own_voice(config, clock, video)
        parts = video, voice, tracker, generator, publishers, starts_with, own_voice
        marks = assembly.make_marks(config.marks)
        members = assembly.LiveMembers(*parts, badge=config.badge_style, notice=config.notice, marks=marks)
        fps = Fraction(mode.fps).limit_denominator(1001)
        settings = LiveSettings(fps, config.budget_ms, config.seconds, arrival_ns=_late_ns(config))
        self._tells = (video, voice, own_voice, generator, *publishers)
        self._config, self._generator, self._publishers = config, generator, publishers
        self.recorder = Recorder(camera=f"{mode}, {mode.why}" if mode.why else "")
        try:
            self.pipeline = assembly.assemble_live(members, settings, clock, self.recorder, stack, self._reports.sheet)
        except BudgetTooSmall as error:
            console(stderr=True).print(error.table)
            raise

    def sign(self) -> None:
        """The films that were made. They are closed; whoever does not want to wait leaves them unsigned."""
        self._reports.sign(self._publishers, self.recorder)

    def finish(self) -> Report:
        """The report; with what is to be written about a run that has begun."""
        for note in (*notes_of(*self._tells), *_camera_late(self._config, self._generator)):
            self.recorder.note(note)
        if not self.recorder.frames["total"]:
            return self.recorder.report()
        return self._reports.finish(self.recorder)


def _camera_late(config: LiveConfig, generator: object) -> list[str]:
    """What to do about a camera that is late."""
    late_ms = generator.own_voice.late_ms if isinstance(generator, LearnsOwnVoice) else None
    if kind_of(config.webcam) not in CAMERAS or late_ms is None or late_ms <= 0:
        return []
    by = round(config.camera_late_ms + late_ms)
    return [f"your picture comes {late_ms:.0f} ms behind your voice: --camera-late {by} puts them in step"]


def _publishers(config: LiveConfig, clock: Clock) -> list[Publisher]:
    """Made, not opened: names that are wrong are found before anything else is."""
    options: dict[str, Any] = {"clock": clock, "live": True, "encoder": config.encoder, "codec": config.codec}
    made = [assembly.open_publisher(spec, **options) for spec in config.to] or [default_publisher()]
    if config.speaker is not None:
        from realtime_dub.publishers.speaker import SpeakerPublisher

        made.append(SpeakerPublisher(config.speaker, clock))
    return made


def _camera_mode(config: LiveConfig) -> CameraMode:
    """What was asked for, else what the machine holds. Raises DeviceError where there is no such camera."""
    asked = CameraMode(config.width, config.height, config.fps)
    if kind_of(config.webcam) != "webcam":
        return asked
    if config.size_asked:
        return replace(asked, why="as asked for")
    from realtime_dub.sources.webcam import check_there

    check_there(config.webcam)
    with ThreadPoolExecutor(1, "camera size") as thread:
        make = partial(assembly.make_generator, config)
        return thread.submit(camera.choose, make, config.fps_asked, kept=kept_for(config)).result()


def _video(config: LiveConfig, clock: Clock, mode: CameraMode, keep_coded: bool) -> VideoSource:
    return assembly.open_video(
        config.webcam,
        clock=clock,
        width=mode.width,
        height=mode.height,
        fps=mode.fps,
        smaller=mode.smaller,
        loop=config.loop,
        live=True,
        keep_coded=keep_coded,
        late_ns=_late_ns(config),
        **assembly.video_options(config),
    )


def _late_ns(config: LiveConfig) -> int:
    return round(config.camera_late_ms * MS)


def _voice(config: LiveConfig, clock: Clock, video: VideoSource) -> tuple[VoiceSource, StartsWith]:
    """The voice, and what it starts with: a file's own audio with its frames, what can wait with the ticks."""
    in_step = isinstance(video, PacedVideo) and config.mic == "video"
    voice = assembly.open_voice(
        config.mic,
        clock=clock,
        video_path=config.webcam if in_step else None,
        loop=config.loop,
        live=not in_step,
        **assembly.voice_options(config),
    )
    if isinstance(video, PacedVideo) and in_step:
        return VoiceInStep(voice, video, clock), "picture"
    waits = config.mic == "-" or isinstance(voice, PacedVoice)
    return voice, "ticks" if waits else "itself"


def _own_voice(config: LiveConfig, clock: Clock, video: VideoSource) -> VoiceSource | None:
    """The person's own, where another's is dubbed; a file's in step with the video. Raises ConfigError, DeviceError."""
    spec = config.own_mic
    if spec is None:
        return None
    if spec == config.mic:
        do = "leave --own-mic out: a voice of your own is learnt from as it is dubbed"
        raise ConfigError("cannot use --own-mic", f"{spec!r}: it is the voice of --mic, too", do)
    if spec == "-":
        raise ConfigError("cannot use --own-mic", "standard input", "name a microphone")
    in_step = isinstance(video, PacedVideo) and not voices.is_microphone(spec)
    options: dict[str, Any] = {"clock": clock, "loop": config.loop, "live": not in_step, "pcm": None}
    source = assembly.open_voice(spec, video_path=config.webcam if in_step else None, **options)
    return VoiceInStep(source, video, clock) if isinstance(video, PacedVideo) and in_step else source


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
