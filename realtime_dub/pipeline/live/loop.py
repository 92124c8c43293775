"""The live loop: asyncio paces, supervises and hands over; everything heavy runs on named threads.

The life of tick k, in time after its instant ``m_k``: the audio for it is complete and a frame of it is tracked; the
engine makes its mouth if that is expected to be in time; the composer puts it, or what ``schedule.Fallback`` says
instead, into the frame (``worker``); at ``T_k`` frame and audio are handed to the publishers together (``hand_over``).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

from realtime_dub.audio.samples import cleaned, is_clean
from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.face.unlooked import is_faceless
from realtime_dub.losses import GapCount, Lost
from realtime_dub.media import NS, AudioBlock, Samples, VoiceInfo, ns_to_samples
from realtime_dub.mouth.contract import Generated, MouthGenerator
from realtime_dub.notes import notes_of
from realtime_dub.pipeline.contracts import Compositor, ContactSheet
from realtime_dub.pipeline.in_step import InStep
from realtime_dub.pipeline.live.deadlines import Deadlines
from realtime_dub.pipeline.live.executor import Executor
from realtime_dub.pipeline.live.hand_over import HandOver, SheetFiller
from realtime_dub.pipeline.live.inputs import Inputs, Which
from realtime_dub.pipeline.live.mouths import Mouths
from realtime_dub.pipeline.live.outputs import Output
from realtime_dub.pipeline.live.own_mic import OwnMic
from realtime_dub.pipeline.live.ticks import LiveState, TickState
from realtime_dub.pipeline.live.voice_line import VoiceLine
from realtime_dub.pipeline.live.waiting import LoopCondition, first_of, stopped_by_signals
from realtime_dub.pipeline.live.worker import FrameChooser, TickWorker
from realtime_dub.pipeline.marking import Marks
from realtime_dub.pipeline.precedence import Place
from realtime_dub.pipeline.schedule import FrameStore, TrackedSample
from realtime_dub.pipeline.statistics import Recorder, Report
from realtime_dub.pipeline.timing import SAFETY_NS, Timing
from realtime_dub.pipeline.voice_feeder import MakeResampler, mono_resampler, needs_ns
from realtime_dub.trust.badge import Badge
from realtime_dub.trust.badge_style import USUAL, BadgeStyle
from realtime_dub.trust.notice import Notice

log = logging.getLogger("realtime_dub.pipeline")


@dataclass(frozen=True, eq=False)
class LiveParts:
    """What touches the world, and what works for the loop. Tests hand in virtual ones."""

    inputs: Inputs
    outputs: Sequence[Output]
    generator: MouthGenerator
    compositor: Compositor
    engine: Executor
    composer: Executor
    sheet: ContactSheet | None = None
    resampler: MakeResampler = mono_resampler
    own_mic: OwnMic | None = None
    place: Place | None = None
    marks: Marks | None = None
    badge: BadgeStyle = USUAL
    notice: Notice | None = None


class LivePipeline:
    """One live run. Made and run once, on one event loop. The inputs call ``on_...`` from their threads."""

    def __init__(self, clock: Clock, parts: LiveParts, voice: VoiceInfo, timing: Timing, recorder: Recorder) -> None:
        self._clock, self._parts, self._voice_name = clock, parts, voice.name
        self._timing, self._recorder = timing, recorder
        self._ends_with_voice = voice.ends_run
        needed_ns = needs_ns(parts.generator, timing.resample_ns)
        room_ns = timing.room_ns(needed_ns, parts.generator.latency().compute_ns, voice.block_ns)
        self._audio_due_ns = needed_ns + room_ns + SAFETY_NS  # after m_k: later audio is not waited for
        budget_ns = timing.plan.budget_ns
        self._state = LiveState(
            FrameStore(8 + int(budget_ns * timing.fps * 2 / NS), timing.ahead_ns),
            VoiceLine(voice.rate, voice.channels, budget_ns + NS, room_ns),
        )
        if parts.own_mic is not None:
            parts.own_mic.tell = self._tell
        self._gaps = GapCount()
        recorder.collect(self, parts.inputs, *parts.outputs)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._error: BaseException | None = None
        self._dead_outputs = 0
        self._start_ns: int | None = None  # the media instant of the first tick
        self._in_step: InStep | None = None  # once there is a grid

    @property
    def voice(self) -> VoiceLine:
        return self._state.voice

    # Called from other threads.

    def on_frame(self, sample: TrackedSample) -> None:
        self._recorder.stage("track", sample.track_ns)
        self._condition.post(lambda: self._tracked(sample))

    def on_voice(self, block: AudioBlock) -> None:
        if not is_clean(block.samples):  # one sample would stay in filters, levels and the net, and end an encoder
            block = replace(block, samples=cleaned(block.samples))
        self.voice.put(block, self._clock.now_ns())
        self._gaps.hear(block)
        self._condition.post(lambda: None)

    def on_own_voice(self, block: AudioBlock) -> None:
        if self._parts.own_mic is not None:
            self._parts.own_mic.put(block)

    def on_end(self, which: Which, error: BaseException | None) -> None:
        if which == "own voice":  # nobody waits for it
            if self._parts.own_mic is not None:
                self._parts.own_mic.end(error)
            return
        self._condition.post(lambda: self._end(which, error))

    def on_failed(self, name: str, error: Exception) -> None:
        """A publisher failed or was closed: the others go on; the run ends with the last of them. The report has it."""
        self._condition.post(lambda: self._lost_output(error))

    def lost(self) -> Lost:
        return Lost(gaps=self._gaps.gaps)

    def read_voice(self, instant_ns: int, count: int) -> Samples:
        """The delayed voice for a speaker: what shall sound at ``instant_ns``."""
        voice_ns = instant_ns - self._timing.plan.budget_ns
        heard = self.voice.peek(voice_ns, count)
        if self._parts.notice is None or self._start_ns is None:
            return heard
        return self._parts.notice.over(heard, ns_to_samples(voice_ns - self._start_ns, self.voice.rate))

    # The run.

    def stop(self) -> None:
        """Come to an end at the next tick. Called on the loop."""
        self._state.stopping = True
        self._condition.notify()

    async def run(self) -> Report:
        """Until the video ends, ``seconds`` pass, ``stop`` or Ctrl-C. Closes everything; raises what ended it."""
        self._condition = LoopCondition(self._clock)
        parts = self._parts
        making = parts.generator, parts.engine, self._timing, self._recorder, parts.own_mic, parts.place
        self.mouths = Mouths(self._clock, *making)
        with stopped_by_signals(self.stop):  # while closing, too: a second Ctrl-C takes no file its end
            try:
                parts.inputs.start(self)
                await self._paced()
            finally:
                self._state.stopping = True
                self._close()
                for note in (*self.voice.notes, *notes_of(parts.own_mic), self.mouths.no_voice(self._voice_name)):
                    if note is not None:
                        self._recorder.note(note)
        if self._error is not None:
            raise self._error
        return self._recorder.report()

    async def _paced(self) -> None:
        if (first := await self._first()) is None:
            return
        await self._warm_up(first)
        last = self._state.store.last
        assert last is not None  # the loop starts with a frame
        self._deadlines = Deadlines(self._timing, last.capture_ns, self._clock.now_ns())
        self._start_ns = self._deadlines.grid.start_ns
        self._in_step = in_step = InStep(self._deadlines.grid)
        self._recorder.begin()
        self.voice.begin()
        self._parts.inputs.ticking()
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._start_ticks(in_step), "starter")
                await self._hand_over_ticks()
                for task in tuple(self._tasks):
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _first(self) -> TrackedSample | None:
        state = self._state
        await self._condition.wait(lambda: state.store.last is not None or state.stopping or "video" in state.ended)
        first = state.store.last
        if first is None and not state.stopping:
            self._error = MediaError("there is no picture in", "the video source", "choose another")
        if first is not None and is_faceless(first.tracked):
            why = first.tracked.why or "no face"
            self._recorder.note(f"{why} in the first picture: it passes through unchanged until one can be dubbed")
        return first

    async def _warm_up(self, first: TrackedSample) -> None:
        parts = self._parts
        patch = await self.mouths.warm_up(first, self.voice, parts.resampler)
        if patch is not None and first.tracked.face is not None:
            await parts.composer.run(lambda: self._composed_once(first.tracked, patch))

    def _composed_once(self, tracked: TrackedFrame, patch: Generated) -> None:
        """The first time costs more than the others."""
        image = self._parts.compositor.compose(tracked, patch, 1.0)
        if self._parts.marks is not None:
            self._parts.marks.frame(tracked.frame, image, patch)

    # Ticks begin, and leave.

    async def _start_ticks(self, in_step: InStep) -> None:
        worker, before = self._worker(), TickState.before_the_first()
        for k in itertools.count():
            await self._clock.sleep_until(self._deadlines.start_ns(k) - self.mouths.haste_ns)
            tick = self._state.tick(k)
            self._spawn(worker.make(tick, before), f"tick {k}")
            before = tick
            if self._clock.now_ns() < self._deadlines.hand_over_ns(k):  # else it may have been given out
                in_step.step(k + 1)

    def _worker(self) -> TickWorker:
        parts, condition, deadlines, mouths = self._parts, self._condition, self._deadlines, self.mouths
        chooser = FrameChooser(condition, self._state, deadlines, mouths, self._audio_due_ns)
        making = parts.compositor, parts.composer, self._recorder
        return TickWorker(self._clock, condition, deadlines, chooser, mouths, *making, self._spawn, parts.marks)

    async def _hand_over_ticks(self) -> None:
        parts, state, deadlines = self._parts, self._state, self._deadlines
        telling = Badge(parts.badge), parts.notice, parts.marks
        hand_over = HandOver(self._clock, state, deadlines, parts.outputs, self._recorder, *telling)
        sheet = SheetFiller(parts.sheet, parts.composer, self._spawn)
        for k in itertools.count():
            await self._clock.sleep_until(deadlines.hand_over_ns(k))
            if self._at_end(k):
                return
            tick = state.tick(k)
            if not tick.done.is_set():
                waiting = asyncio.ensure_future(tick.done.wait())
                await self._condition.before(waiting, deadlines.last_moment_ns(k))
                waiting.cancel()
            sheet.show(k, *hand_over.give(tick))
            state.forget(k - 2)
            deadlines.grid.forget(k - 2)

    def _at_end(self, k: int) -> bool:
        state, last = self._state, self._state.store.last
        if state.stopping or self._deadlines.is_over(k):
            return True
        if self._ends_with_voice and "voice" in state.ended and self._is_heard(k):
            return True
        return "video" in state.ended and last is not None and self._deadlines.grid.media(k) > last.capture_ns

    def _is_heard(self, k: int) -> bool:
        """All of the voice was given by the ticks before this one."""
        end_ns = self.voice.end_ns
        return end_ns is None or self._deadlines.grid.media(k) >= end_ns

    def _tracked(self, sample: TrackedSample) -> None:
        self._state.store.put(sample)
        if self._in_step is not None and not sample.tracked.frame.stale:
            self._in_step.put(sample.capture_ns)

    # Supervision.

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end(self, which: Which, error: BaseException | None) -> None:
        self._state.ended.add(which)
        if error is not None and not self._state.stopping:
            self._error = self._error or error
            self.stop()

    def _tell(self, note: str) -> None:
        """At once, and in the report. From any thread."""
        if self._recorder.note(note):
            log.warning("%s", note)

    def _lost_output(self, error: Exception) -> None:
        self._dead_outputs += 1
        if self._dead_outputs >= len(self._parts.outputs):
            self.stop()
        elif not isinstance(error, EndOfStream):  # a window that its owner closed is no failure
            log.warning("%s; what else was asked for goes on", error)

    def _close(self) -> None:
        """Inputs first, so that nothing new comes; then what waits goes out."""
        parts = self._parts
        closing: list[Callable[[], None]] = [parts.inputs.close, parts.engine.close, parts.composer.close]
        closing += [output.close for output in parts.outputs] + [parts.generator.close]
        for close in closing:
            try:
                close()
            except Exception as error:
                self._error = self._error or error
