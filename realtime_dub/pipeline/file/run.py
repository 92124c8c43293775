"""``realtime-dub file``: the same stages on a virtual clock, as fast as they go, with the same result every time.

One tick per source frame, at the frame's own time; ``spans`` says where the result ends. Time 0 of the voice is time 0
of the video's file; the result begins with the first frame.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from realtime_dub import signals
from realtime_dub.blend.composite import Reads, shows
from realtime_dub.blend.patch import rests
from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.errors import LostOutput, MediaError, RealtimeDubError
from realtime_dub.face.types import FaceTracker
from realtime_dub.media import (
    MS,
    NS,
    AudioBlock,
    Frame,
    Tick,
    ns_to_samples,
    samples_to_ns,
)
from realtime_dub.mouth.contract import Called, Progress
from realtime_dub.notes import notes_of
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.coded import leaving
from realtime_dub.pipeline.file import tracking
from realtime_dub.pipeline.file.apart.film import FilmApart
from realtime_dub.pipeline.file.looks import cut_ns
from realtime_dub.pipeline.file.parts import FileParts, has_another_voice
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.file.spans import Span, Spans
from realtime_dub.pipeline.file.stages import DEPTH, BoundedWriter, PrefetchStage
from realtime_dub.pipeline.file.ticks import FrameComposer, MouthMaker
from realtime_dub.pipeline.process import engine_is_longest, give_way, one_thread_each
from realtime_dub.pipeline.reports import Reports
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.pipeline.statistics import Kind, Recorder, Report
from realtime_dub.pipeline.voice_feeder import Made
from realtime_dub.publishers.base import ReadsParts
from realtime_dub.trust.badge import Badge
from realtime_dub.voice.contract import VoiceFromVideo

if TYPE_CHECKING:
    from realtime_dub.pipeline.landmarks import LandmarkOutputs


_SHEET_EVERY = 25  # ticks
_AHEAD_NS = 600 * MS  # of the voice that an engine hears at once, beyond what a mouth needs: 64 hops with a frame's


@dataclass(frozen=True, slots=True, eq=False)
class _Mouthed:
    """A tracked frame with everything that its tick needs but the image."""

    sample: TrackedSample
    made: Made
    pts_ns: int  # from the first frame
    duration_ns: int
    audio: AudioBlock
    engine_ns: int


def run_file(config: FileConfig, progress: Progress | None = None, before: Called | None = None) -> Report:
    """Dub ``config.input`` into ``config.output``; ``progress(done, total)`` is called per tick, total None if unknown.

    ``before``: of what is done before the first tick, by its name, in the same way.

    Raises UserError; what was written by then is kept and plays. A full disk and the like are in the report's ``lost``.
    """
    with one_thread_each(), ExitStack() as stack:
        run = _FileRun(config, stack)
        try:
            run.dub(progress or _untold, before or (lambda what: _untold))
        except LostOutput as error:
            run.recorder.lost(str(error))
        except (KeyboardInterrupt, SystemExit):  # what there is by now was finished, and plays
            run.sign()
            raise
        run.sign()
        return run.report()


class _FileRun:
    def __init__(self, config: FileConfig, stack: ExitStack) -> None:
        self._config, self._stack = config, stack
        self._clock = VirtualClock()
        self._reports = Reports(config, assembly.whose_voice(config))
        self._sheet = self._reports.sheet
        self._parts = parts = FileParts(config, self._clock, stack)
        self._publishers = [each for each in (parts.publisher, parts.preview) if each is not None]
        self._reports.credentials.begin(parts.generator, self._publishers)
        # Asked once: a protocol looks for all of its names each time.
        self._reader = parts.publisher if isinstance(parts.publisher, ReadsParts) else None
        self._composer = FrameComposer(parts.compositor, parts.marks)
        self._audio = PulledVoice(parts.voice, parts.voice_info.rate, parts.voice_info.channels)
        self.recorder = Recorder()
        self.recorder.runs(0, parts.generator, str(config.badge_style))
        self._badge = Badge(config.badge_style)
        self._faces = 0
        self._maker: MouthMaker | None = None
        self._stages: list[PrefetchStage[Any]] = []

    def dub(self, progress: Progress, before: Called) -> None:
        """Enrol, then run the stages to the end. However it ends, what was written plays."""
        self._parts.publisher.open(self._parts.output_format())
        self._stack.callback(self._reports.credentials.load())
        try:
            if (landmarks := self._parts.landmarks) is not None:
                self._stack.callback(self._close_landmarks, landmarks)
                landmarks.begin(self._parts.output_format())
            self._enrol(before)
        except BaseException:
            self._parts.publisher.close()
            raise
        tracker = self._parts.open_tracker() if self._parts.apart is None else None
        self._stack.callback(self._end_stages)  # before what the stages use is closed
        tracked = self._seen(tracker)
        if self._parts.apart is None or isinstance(self._parts.voice, VoiceFromVideo):
            tracked = self._prefetch("track", tracked, self._ahead())
        mouthed = self._prefetch("engine", self._mouthed(tracked))
        self._write(mouthed, progress)

    def _write(self, mouthed: Iterator[_Mouthed], progress: Progress) -> None:
        encoder: BoundedWriter[Tick] = BoundedWriter("encode", self._encode)
        self._stack.callback(encoder.close)
        if engine_is_longest(self._parts.info.width, self._parts.info.height):
            encoder.first(give_way)
        self.recorder.begin()
        try:
            for seq, item in enumerate(mouthed):
                encoder.put(self._tick(seq, item))
                progress(seq + 1, self._parts.total)
            encoder.finish(self._parts.publisher.close)
        except (KeyboardInterrupt, SystemExit):
            with signals.held_off():
                encoder.finish(self._parts.publisher.close)
            raise
        except BaseException:
            encoder.close()
            with suppress(RealtimeDubError):  # the first error is the one to tell
                self._parts.publisher.close()
            raise

    def _close_landmarks(self, landmarks: LandmarkOutputs) -> None:
        """Once, and before the report, which tells what was lost."""
        try:
            landmarks.close()
        except MediaError as error:
            self.recorder.lost(str(error))

    def sign(self) -> None:
        """The films that were made, when they are closed."""
        if self._parts.landmarks is not None:
            self._close_landmarks(self._parts.landmarks)
        self._reports.sign(self._publishers, self.recorder)

    def report(self) -> Report:
        """The report, with everything that there is to say; written where that was asked for."""
        parts = self._parts
        if parts.landmarks is not None:
            self._close_landmarks(parts.landmarks)
        notes: list[str | None] = [*notes_of(parts.video, parts.voice, parts.generator, parts.publisher)]
        if not self._faces and parts.engine.needs_live_face:
            notes.append(f"no face in {self._config.input}: the picture passes through unchanged")
        if self._maker is not None:
            notes.append(self._maker.no_voice(self._parts.voice_info.name))
        for note in notes:
            if note is not None:
                self.recorder.note(note)
        return self._reports.finish(self.recorder)

    def _enrol(self, before: Called) -> None:
        """Show the generator the person before the first mouth is made."""
        if not self._parts.shows:
            return
        from realtime_dub.pipeline.file import enrolment
        from realtime_dub.pipeline.file.own_voice import film_voice

        parts = self._parts
        with film_voice(self._config.input) if has_another_voice(self._config) else nullcontext(None) as voice:
            if parts.apart is not None:
                learns = enrolment.learner(parts.generator, voice) is not None
                enrolment.show(*parts.apart.looks(learns), parts.generator, parts.apart, voice, before)
                parts.apart.shown()
                return
            tracker, ends_ns = parts.open_tracker(), cut_ns(self._config)
            enrolment.show_film(parts.open_video, parts.generator, tracker, voice, ends_ns, before)
        tracker.close()

    def _ahead(self) -> int:
        """How many frames are tracked ahead: as many as a voice that is made of them needs for the next mouth."""
        if not isinstance(self._parts.voice, VoiceFromVideo):
            return DEPTH
        latency = self._parts.generator.latency()
        need_ns = self._parts.voice_info.block_ns + latency.look_ahead_ns + latency.front_end_ns + NS // 4
        return DEPTH + self._parts.batch + math.ceil(need_ns * self._parts.info.fps / NS)

    def _prefetch(self, name: str, items: Iterator[Any], depth: int = DEPTH) -> PrefetchStage[Any]:
        stage: PrefetchStage[Any] = PrefetchStage(name, items, depth)
        self._stages.append(stage)
        return stage

    def _end_stages(self) -> None:
        """All are told to stop before the first is waited for: each may be waiting for the one before it."""
        for stage in self._stages:
            stage.stop()
        if self._parts.apart is not None:
            self._parts.apart.end()
        for stage in self._stages:
            stage.join()

    # The stages, each on its thread.

    def _seen(self, tracker: FaceTracker | None) -> Iterator[TrackedSample]:
        """The film's frames, tracked: by the process that does so, else by ``tracker`` on two threads more."""
        video = self._parts.video
        if isinstance(video, FilmApart):
            return self._samples(video.seen())
        assert tracker is not None
        frames = self._prefetch("decode", tracking.decoded(video, self._config))
        return self._samples(tracking.tracked(frames, tracker))

    def _samples(self, seen: Iterator[tracking.Seen]) -> Iterator[TrackedSample]:
        shown_to = self._parts.voice if isinstance(self._parts.voice, VoiceFromVideo) else None
        try:
            for each in seen:
                self.recorder.stage("decode", each.decode_ns)
                self.recorder.stage("track", each.track_ns)
                if shown_to is not None:
                    shown_to.watch(each.tracked)
                yield TrackedSample(each.tracked, each.track_ns)
        finally:
            if shown_to is not None:
                shown_to.end()

    def _mouthed(self, tracked: Iterator[TrackedSample]) -> Iterator[_Mouthed]:
        spans = self._spans().of(tracked)
        first = next(spans, None)
        if first is None:
            raise MediaError("there is no picture in", self._config.input, "choose a video that plays")
        zero_ns = first[0].capture_ns
        self._parts.begin_extras(zero_ns)
        ahead_ns = 0 if isinstance(self._parts.voice, VoiceFromVideo) else _AHEAD_NS  # it waits for its frames
        self._maker = maker = MouthMaker(self._parts.generator, self._audio, zero_ns, ahead_ns)
        for together in _grouped(itertools.chain([first], spans), self._parts.batch):
            yield from self._with_mouths(maker, together, zero_ns)
            self._audio.forget(together[-1][0].capture_ns - NS)

    def _spans(self) -> Spans:
        config = self._config
        endless, cut = self._parts.kind != "file", config.seconds is not None
        return Spans(self._audio, self._parts.info.fps, self.recorder.note, endless, cut, config.extend)

    def _encode(self, tick: Tick) -> None:
        began_ns = time.perf_counter_ns()
        self._parts.publisher.publish(tick)
        self.recorder.stage("encode", time.perf_counter_ns() - began_ns)

    # One tick.

    def _with_mouths(self, maker: MouthMaker, spans: Sequence[Span], zero_ns: int) -> Iterator[_Mouthed]:
        began_ns = time.perf_counter_ns()
        mouths = maker.make([sample for sample, _ in spans])
        took_ns = (time.perf_counter_ns() - began_ns) // len(spans)
        for (sample, duration_ns), made in zip(spans, mouths, strict=True):
            self.recorder.stage("engine", took_ns)
            pts_ns = sample.capture_ns - zero_ns
            yield _Mouthed(sample, made, pts_ns, duration_ns, self._under(zero_ns, pts_ns, duration_ns), took_ns)

    def _under(self, zero_ns: int, pts_ns: int, duration_ns: int) -> AudioBlock:
        """The audio under a frame. Borders are rounded from the start: no overlap, no gap, no drift."""
        rate = self._audio.rate
        first, end = ns_to_samples(pts_ns, rate), ns_to_samples(pts_ns + duration_ns, rate)
        start_ns = samples_to_ns(first, rate)
        return AudioBlock(self._audio.read(zero_ns + start_ns, end - first), rate, start_ns)

    def _read_of(self, seq: int, frame: Frame) -> Reads | None:
        """What is read of the image that is made of a frame; None = all of it."""
        seen = self._sheet is not None and seq % _SHEET_EVERY == 0
        if seen or self._parts.landmarks is not None or frame.coded is None or self._reader is None:
            return None
        beside = self._reader.reads_beside(frame.coded)
        return None if beside is None else Reads(beside, self._badge.box_in(frame.image))

    def _tick(self, seq: int, item: _Mouthed) -> Tick:
        frame, face, patch = item.sample.tracked.frame, item.sample.tracked.face, item.made.patch
        self._clock.advance_to(item.pts_ns)
        self._faces += face is not None
        began_ns = time.perf_counter_ns()
        image, kept, composition = self._composer.marked(item.sample, item.made, self._read_of(seq, frame))
        took_ns = time.perf_counter_ns() - began_ns if image is not frame.image else 0
        if took_ns:
            self.recorder.stage("compose", took_ns)
        seen = face is not None or shows(composition.patch, item.sample.tracked)
        kind: Kind = composition.kind if seen else "passthrough"
        self.recorder.handed_over(kind, None)
        if seen and rests(composition.patch):
            self.recorder.rested()
        if item.made.implausible:
            self.recorder.missing("implausible")
        self.recorder.compute(item.sample.track_ns + item.engine_ns + took_ns)
        self.recorder.offset(0 if patch is None else frame.pts_ns - patch.at_ns)
        if self._sheet is not None and seq % _SHEET_EVERY == 0:
            self._sheet.add(frame.image, face, image, seq)
        shapes, dubbed = item.made.blendshapes, image is not frame.image
        drawn, tracked = composition.patch, item.sample.tracked
        image, coded, changed = leaving(tracked, image, drawn, kept, self._badge, item.pts_ns)
        audio = item.audio if self._parts.marks is None else self._parts.marks.sound(item.audio, frame.pts_ns)
        tick = Tick(image, item.pts_ns, item.duration_ns, seq, audio, shapes, coded, changed, dubbed)
        if self._parts.landmarks is not None:
            self._parts.landmarks.add(tick, item.made.landmarks)
        return tick


def _untold(done: int, total: int | None) -> None:
    """Of what nobody is told."""


def _grouped(spans: Iterable[Span], most: int) -> Iterator[list[Span]]:
    """In order, as many together as an engine takes."""
    spans = iter(spans)
    while together := list(itertools.islice(spans, most)):
        yield together
