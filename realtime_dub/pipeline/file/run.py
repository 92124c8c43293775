"""``realtime-dub file``: the same stages on a virtual clock, as fast as they go, with the same result every time.

One tick per source frame, at the frame's own time. The picture decides how long the result is: a longer voice is cut, a
shorter one is followed by silence; ``extend`` holds the last frame until the voice ends. A still and the built-in face
have no end of their own: there the voice decides. Time 0 of the voice is time 0 of the picture's file; the result
begins with the first frame.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import Any

from realtime_dub import signals
from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError, EndOfStream, LostOutput, MediaError, RealtimeDubError
from realtime_dub.face.types import FaceTracker
from realtime_dub.media import (
    NS,
    AudioBlock,
    Blendshapes,
    Frame,
    OutputFormat,
    Tick,
    VideoInfo,
    VoiceInfo,
    ns_to_samples,
    samples_to_ns,
)
from realtime_dub.mouth.contract import MouthPatch, Proves, blendshapes_of
from realtime_dub.pipeline.assembly import (
    film_of,
    make_compositor,
    make_generator,
    make_tracker,
    part,
    pcm_of,
    sound_of,
)
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.file.stages import Ahead, Behind
from realtime_dub.pipeline.process import one_blas_thread
from realtime_dub.pipeline.reports import Reports
from realtime_dub.pipeline.schedule import Fallback, Seen
from realtime_dub.pipeline.statistics import Kind, Recorder, Report
from realtime_dub.pipeline.voice_feeder import Ear, askable_ns, needs_ns, resampler_delay_ns
from realtime_dub.sources.base import VideoSource, VoiceSource

Progress = Callable[[int, int | None], None]

_ENROL_NS = 20 * NS
_ENROL_PICTURES = 150
_SHEET_EVERY = 25  # ticks


@dataclass(frozen=True, slots=True, eq=False)
class _Mouthed:
    """A tracked frame with everything that its tick needs but the picture."""

    seen: Seen
    patch: MouthPatch | None
    pts_ns: int  # from the first frame
    duration_ns: int
    audio: AudioBlock
    engine_ns: int
    blendshapes: Blendshapes | None


def run_file(config: FileConfig, progress: Progress | None = None) -> Report:
    """Dub ``config.input`` into ``config.output``; ``progress(done, total)`` is called per tick, total None if unknown.

    Raises UserError; what was written by then is kept and plays. A full disk and the like are in the report's ``lost``.
    """
    with one_blas_thread(), ExitStack() as stack:
        run = _FileRun(config, stack)
        try:
            run.dub(progress or (lambda done, total: None))
        except LostOutput as error:
            run.recorder.lost(str(error))
        return run.report()


class _FileRun:
    def __init__(self, config: FileConfig, stack: ExitStack) -> None:
        self._config, self._stack = config, stack
        self._clock = VirtualClock()
        self._kind = _kind(config)
        self._reports = Reports(config)
        self._sheet = self._reports.sheet
        self._publisher = part("publisher")(
            str(config.output), clock=self._clock, live=False, crf=config.crf, preset=config.preset
        )
        self._generator = make_generator(config)
        stack.callback(self._generator.close)
        self._compositor = make_compositor()
        self._video, self._info = self._open_video()
        self._voice, voice = self._open_voice()
        self._extras = self._open_extras()
        self._sound = PulledVoice(self._voice, voice.rate, voice.channels)
        self._resample_ns = resampler_delay_ns(voice.rate)
        self._fallback = Fallback()
        self.recorder = Recorder(0, self._generator.name, self._generator.bundle)
        info = self._info
        self._format = OutputFormat(
            info.width, info.height, info.fps, voice.rate, voice.channels, False, info.full_range
        )
        self._faces = 0
        self._ear: Ear | None = None
        self._voice_name = voice.name
        self._stages: list[Ahead[Any]] = []

    def dub(self, progress: Progress) -> None:
        """Enrol, then run the stages to the end. However it ends, what was written plays."""
        self._publisher.open(self._format)
        try:
            self._enrol()
        except BaseException:
            self._publisher.close()
            raise
        tracker = self._tracker()
        self._stack.callback(self._end_stages)
        frames = self._ahead("decode", self._frames())
        tracked = self._ahead("track", self._tracked(frames, tracker))
        mouthed = self._ahead("engine", self._mouthed(tracked))
        encoder: Behind[Tick] = Behind("encode", self._encode)
        self._stack.callback(encoder.close)
        self.recorder.begin()
        try:
            for seq, item in enumerate(mouthed):
                encoder.put(self._tick(seq, item))
                progress(seq + 1, self._total())
            encoder.finish(self._publisher.close)
        except (KeyboardInterrupt, SystemExit):
            with signals.held_off():
                encoder.finish(self._publisher.close)
            raise
        except BaseException:
            encoder.close()
            with suppress(RealtimeDubError):  # the first error is the one to tell
                self._publisher.close()
            raise

    def report(self) -> Report:
        """The report, with everything that there is to say; written where that was asked for."""
        for each in (self._video, self._voice, self._generator, self._publisher):
            for note in getattr(each, "notes", ()):
                self.recorder.note(note)
        if not self._faces:
            self.recorder.note(f"no face in {self._config.input}: the picture passes through unchanged")
        if self._ear is not None and (note := self._ear.no_voice(self._voice_name)) is not None:
            self.recorder.note(note)
        return self._reports.finish(self.recorder)

    # What there is to begin with.

    def _open_video(self) -> tuple[VideoSource, VideoInfo]:
        config = self._config
        size = {"width": config.width, "height": config.height, "fps": config.fps}
        video: VideoSource = part("video")(
            config.input, clock=self._clock, loop=False, live=False, **size, **film_of(config)
        )
        self._stack.callback(video.close)
        return video, video.open()

    def _open_voice(self) -> tuple[VoiceSource, VoiceInfo]:
        config = self._config
        own = config.input if self._kind == "file" else None
        voice: VoiceSource = part("voice")(
            config.mic,
            clock=self._clock,
            video_path=own,
            loop=False,
            live=False,
            pcm=pcm_of(config),
            **sound_of(config),
        )
        self._stack.callback(voice.close)
        return voice, voice.open()

    def _open_extras(self) -> Any:
        """What the film carries beside picture and sound, for an output that can hold it."""
        if self._kind != "file" or not hasattr(self._publisher, "carry"):
            return None
        own = part("sound choice")(self._config.audio_stream, self._config.language)
        extras = part("extras")(
            self._config.input, self._config.video_stream, own if self._config.mic == "video" else None
        )
        self._stack.callback(extras.close)
        self._begin_extras(extras, extras.pictures_start_ns)  # chapters are written before the first picture
        self._publisher.carry(extras)
        return extras

    def _begin_extras(self, extras: Any, zero_ns: int) -> None:
        ends_ns = [] if self._config.extend else [self._info.duration_ns or extras.pictures_end_ns]
        ends_ns += [None if self._config.seconds is None else round(self._config.seconds * NS)]
        extras.begin(zero_ns, min((each for each in ends_ns if each is not None), default=None))

    def _tracker(self) -> FaceTracker:
        tracker = make_tracker(self._config)
        self._stack.callback(tracker.close)
        return tracker

    def _ahead(self, name: str, items: Iterator[Any]) -> Ahead[Any]:
        stage: Ahead[Any] = Ahead(name, items)
        self._stages.append(stage)
        return stage

    def _end_stages(self) -> None:
        """All are told to stop before the first is waited for: each may be waiting for the one before it."""
        for stage in self._stages:
            stage.stop()
        for stage in self._stages:
            stage.join()

    def _enrol(self) -> None:
        """Show the generator the person before the first mouth is made: up to 150 pictures of the first 20 s."""
        if self._kind != "file" or self._config.identity is not None or self._config.engine == "passthrough":
            return
        shown_ns = min(_ENROL_NS, self._info.duration_ns or _ENROL_NS)
        every = max(1, math.ceil(self._info.fps * shown_ns / NS / _ENROL_PICTURES))
        tracker, pictures = self._tracker(), part("pictures")()
        with ExitStack() as stack:
            video: VideoSource = part("video")(
                self._config.input, clock=self._clock, loop=False, live=False, **film_of(self._config)
            )
            stack.callback(video.close)
            video.open()
            for frame in itertools.takewhile(lambda frame: frame.pts_ns < _ENROL_NS, _pull(video)):
                if frame.seq % every == 0:
                    tracked = tracker.track(frame)
                    self._generator.observe(tracked)
                    pictures.show(tracked)
        if isinstance(self._generator, Proves):
            self._generator.prove(pictures.chosen(), tracker)

    # The stages, each on its thread.

    def _frames(self) -> Iterator[Frame]:
        frames = self._timed("decode", _pull(self._video))
        if self._config.seconds is None:
            return frames
        end_ns = round(self._config.seconds * NS)
        return itertools.takewhile(lambda frame: frame.pts_ns < end_ns, frames)

    def _tracked(self, frames: Iterator[Frame], tracker: FaceTracker) -> Iterator[Seen]:
        for frame in frames:
            began_ns = time.perf_counter_ns()
            tracked = tracker.track(frame)
            took_ns = time.perf_counter_ns() - began_ns
            self.recorder.stage("track", took_ns)
            yield Seen(tracked, took_ns)

    def _mouthed(self, tracked: Iterator[Seen]) -> Iterator[_Mouthed]:
        spans = self._spans(tracked)
        first = next(spans, None)
        if first is None:
            raise MediaError("there is no picture in", self._config.input, "choose a video that plays")
        zero_ns = first[0].capture_ns
        if self._extras is not None:
            self._begin_extras(self._extras, zero_ns)
        self._ear = ear = Ear(self._sound, self._generator, zero_ns - NS)
        for seen, duration_ns in itertools.chain([first], spans):
            patch, shapes, took_ns = self._mouth(ear, seen)
            at_ns = seen.capture_ns - zero_ns
            yield _Mouthed(seen, patch, at_ns, duration_ns, self._audio(zero_ns, at_ns, duration_ns), took_ns, shapes)
            self._sound.forget(seen.capture_ns - NS)

    def _encode(self, tick: Tick) -> None:
        began_ns = time.perf_counter_ns()
        self._publisher.publish(tick)
        self.recorder.stage("encode", time.perf_counter_ns() - began_ns)

    # One tick.

    def _spans(self, tracked: Iterator[Seen]) -> Iterator[tuple[Seen, int]]:
        """Each frame and how long it is shown: to the next one's time; under ``_ends``, what comes after the last."""
        period_ns = round(NS / self._info.fps)
        last: Seen | None = None
        for seen in tracked:
            if self._kind != "file" and not self._sound.goes_on(seen.capture_ns):
                break
            if last is not None:
                yield last, seen.capture_ns - last.capture_ns
            last = seen
        if last is not None:
            duration_ns = last.tracked.frame.duration_ns or period_ns
            yield last, duration_ns
            yield from self._after(last, last.capture_ns + duration_ns)

    def _after(self, last: Seen, end_ns: int) -> Iterator[tuple[Seen, int]]:
        """The last frame held, at the nominal rate, until the voice ends."""
        if self._kind != "file" or self._config.seconds is not None:
            return
        if not self._sound.goes_on(end_ns):
            self._note_shorter(end_ns)
            return
        if not self._config.extend:
            self.recorder.note("the voice is longer than the picture and is cut; --extend holds the last picture")
            return
        for count in itertools.count():
            at_ns, next_ns = (end_ns + int(k * NS / self._info.fps) for k in (count, count + 1))
            if not self._sound.goes_on(at_ns):
                return
            frame = replace(last.tracked.frame, pts_ns=at_ns, seq=last.tracked.frame.seq + 1 + count)
            yield Seen(replace(last.tracked, frame=frame)), next_ns - at_ns

    def _note_shorter(self, end_ns: int) -> None:
        missing_ns = end_ns - self._sound.end_ns
        if missing_ns > NS // 10:
            self.recorder.note(f"the voice ends {missing_ns / NS:.1f} s before the picture: silence from there on")

    def _mouth(self, ear: Ear, seen: Seen) -> tuple[MouthPatch | None, Blendshapes | None, int]:
        began_ns = time.perf_counter_ns()
        ear.hear_until(seen.capture_ns + needs_ns(self._generator, self._resample_ns))
        at_ns = askable_ns(self._generator, seen.capture_ns)
        patch = None if at_ns is None else self._generator.generate(seen.tracked, at_ns)
        ear.heard.mouth(seen.tracked, patch)
        shapes = None if at_ns is None else blendshapes_of(self._generator)
        took_ns = time.perf_counter_ns() - began_ns
        self.recorder.stage("engine", took_ns)
        return patch, shapes, took_ns

    def _audio(self, zero_ns: int, at_ns: int, duration_ns: int) -> AudioBlock:
        """The sound under a frame. Borders are rounded from the start: no overlap, no gap, no drift."""
        rate = self._sound.rate
        first, end = ns_to_samples(at_ns, rate), ns_to_samples(at_ns + duration_ns, rate)
        start_ns = samples_to_ns(first, rate)
        return AudioBlock(self._sound.read(zero_ns + start_ns, end - first), rate, start_ns)

    def _tick(self, seq: int, item: _Mouthed) -> Tick:
        frame, face, shot = item.seen.tracked.frame, item.seen.tracked.face, item.seen.tracked.shot
        self._clock.advance_to(item.pts_ns)
        self._faces += face is not None
        show = self._fallback.step("lost" if face is None else "result", item.patch, shot)
        image, took_ns = frame.image, 0
        if show.patch is not None and face is not None:
            began_ns = time.perf_counter_ns()
            image = self._compositor.compose(item.seen.tracked, show.patch, show.weight)
            took_ns = time.perf_counter_ns() - began_ns
            self.recorder.stage("compose", took_ns)
        kind: Kind = "passthrough" if face is None else show.kind
        self.recorder.handed_over(kind, None)
        self.recorder.compute(item.seen.track_ns + item.engine_ns + took_ns)
        self.recorder.offset(frame.pts_ns - (item.patch.at_ns if item.patch is not None else frame.pts_ns))
        if self._sheet is not None and seq % _SHEET_EVERY == 0:
            self._sheet.add(frame.image, face, image, seq)
        return Tick(image, item.pts_ns, item.duration_ns, seq, item.audio, item.blendshapes)

    def _total(self) -> int | None:
        if self._config.seconds is not None:
            return None
        if self._info.frames is not None or self._info.duration_ns is None:
            return self._info.frames
        return round(self._info.duration_ns * self._info.fps / NS)

    def _timed(self, name: str, items: Iterator[Frame]) -> Iterator[Frame]:
        while True:
            began_ns = time.perf_counter_ns()
            item = next(items, None)
            if item is None:
                return
            self.recorder.stage(name, time.perf_counter_ns() - began_ns)
            yield item


def _pull(video: VideoSource) -> Iterator[Frame]:
    while True:
        try:
            yield video.read()
        except EndOfStream:
            return


def _kind(config: FileConfig) -> str:
    """file, image or demo. Raises ConfigError for what is live."""
    kind: str = part("kind of video")(config.input)
    if kind not in ("file", "image", "demo"):
        raise ConfigError("no file:", config.input, "name a video or a picture, or use --webcam for a live run")
    return kind
