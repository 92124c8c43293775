"""The live loop: asyncio paces, supervises and hands over; everything heavy runs on named threads.

The life of tick k, in time after its instant ``m_k``: the sound for it is complete and a frame of it is tracked; the
engine makes its mouth if that is expected to be in time; the composer puts it, or what ``sync.Fallback`` says instead,
into the frame; at ``T_k`` picture and sound are handed to the publishers together.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.losses import GapCount, Lost
from realtime_dub.media import NS, AudioBlock, Image, Samples, Tick, VoiceInfo, samples_to_ns
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline.assembly import Compositor, ContactSheet
from realtime_dub.pipeline.live.executor import Executor
from realtime_dub.pipeline.live.inputs import Inputs, Which
from realtime_dub.pipeline.live.mouths import LEAD_NS, SAFETY_NS, TIMER_NS, Job, Mouths, Timing
from realtime_dub.pipeline.live.outputs import Output, Stamped
from realtime_dub.pipeline.live.voice_line import VoiceLine
from realtime_dub.pipeline.live.waiting import Gate, first_of, stopped_by_signals
from realtime_dub.pipeline.schedule import TOLERANCE_NS, Admission, FrameStore, Grid, Pick, Seen, Show, phase_lock
from realtime_dub.pipeline.statistics import Kind, Recorder, Report
from realtime_dub.pipeline.voice_feeder import MakeResampler, mono_resampler, needs_ns

_SHEET_EVERY = 25  # ticks
_MOST_HELD = 3  # ticks in a row that show the last picture on
_UNCHANGED = Show(None, 0.0, "passthrough")
_HELD = Show(None, 0.0, "reused")

log = logging.getLogger("realtime_dub.pipeline")


class LivePipeline:
    """One live run. Everything that touches the world is handed in; tests hand in virtual ones.

    Made and run once, on one event loop. The inputs call ``on_seen``, ``on_voice`` and ``on_end`` from their threads.
    """

    def __init__(
        self,
        clock: Clock,
        inputs: Inputs,
        outputs: Sequence[Output],
        generator: MouthGenerator,
        compositor: Compositor,
        engine: Executor,
        composer: Executor,
        voice: VoiceInfo,
        timing: Timing,
        recorder: Recorder,
        sheet: ContactSheet | None = None,
        resampler: MakeResampler = mono_resampler,
    ) -> None:
        self._clock, self._inputs, self._outputs = clock, inputs, tuple(outputs)
        self._generator, self._compositor, self._engine, self._composer = generator, compositor, engine, composer
        self._voice_name = voice.name
        self._timing, self._plan, self._recorder = timing, timing.plan, recorder
        self._sheet, self._resampler = sheet, resampler
        self._needs_ns = needs_ns(generator, timing.resample_ns)
        room_ns = timing.room_ns(self._needs_ns, generator.latency().compute_ns, voice.block_ns)
        self._sound_due_ns = self._needs_ns + room_ns + SAFETY_NS  # after m_k: later sound is not waited for
        self.voice = VoiceLine(voice.rate, voice.channels, timing.plan.budget_ns + NS, room_ns)
        self._gaps = GapCount()
        recorder.collect(self, inputs, *self._outputs)
        self._store = FrameStore(8 + int(timing.plan.budget_ns * timing.fps * 2 / NS), timing.ahead_ns)
        self._composing = Admission(timing.compose_ns)
        self._jobs: dict[int, Job] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._ended: set[Which] = set()
        self._error: BaseException | None = None
        self._dead_outputs = 0
        self._stopping = False
        self._shown: tuple[Seen, Image] | None = None  # the last picture that left
        self._held = 0  # ticks that showed it on

    # Called from other threads.

    def on_seen(self, seen: Seen) -> None:
        self._recorder.stage("track", seen.track_ns)
        self._gate.post(lambda: self._store.put(seen))

    def on_voice(self, block: AudioBlock) -> None:
        self.voice.put(block, self._clock.now_ns())
        self._gaps.hear(block)
        self._gate.post(lambda: None)

    def lost(self) -> Lost:
        return Lost(gaps=self._gaps.gaps)

    def on_end(self, which: Which, error: BaseException | None) -> None:
        self._gate.post(lambda: self._end(which, error))

    def on_failed(self, name: str, error: Exception) -> None:
        """A publisher failed or was closed: the others go on; the run ends with the last of them. The report has it."""
        self._gate.post(lambda: self._lost_output(error))

    def read_voice(self, instant_ns: int, count: int) -> Samples:
        """The delayed voice for a speaker: what shall sound at ``instant_ns``."""
        return self.voice.peek(instant_ns - self._plan.budget_ns, count)

    # The run.

    def stop(self) -> None:
        """Come to an end at the next tick. Called on the loop."""
        self._stopping = True
        self._gate.notify()

    async def run(self) -> Report:
        """Until the picture ends, ``seconds`` pass, ``stop`` or Ctrl-C. Closes everything; raises what ended it."""
        self._gate = Gate(self._clock)
        self.mouths = Mouths(self._clock, self._generator, self._engine, self._timing, self._recorder)
        with stopped_by_signals(self.stop):  # while closing, too: a second Ctrl-C takes no file its end
            try:
                self._inputs.start(self)
                await self._paced()
            finally:
                self._stopping = True
                self._close()
                for note in (*self.voice.notes, self.mouths.no_voice(self._voice_name)):
                    if note is not None:
                        self._recorder.note(note)
        if self._error is not None:
            raise self._error
        return self._recorder.report()

    async def _paced(self) -> None:
        if (first := await self._first()) is None:
            return
        await self._warm_up(first)
        self._grid = Grid(self._first_tick_ns(), self._timing.fps, self._plan.budget_ns)
        self._recorder.begin()
        self.voice.begin()
        self._inputs.ticking()
        try:
            async with asyncio.TaskGroup() as self._group:
                self._spawn(self._start_ticks(), "starter")
                await self._hand_over_ticks()
                for task in tuple(self._tasks):
                    task.cancel()
        except BaseExceptionGroup as errors:
            raise first_of(errors) from None

    async def _first(self) -> Seen | None:
        await self._gate.wait(lambda: self._store.last is not None or self._stopping or "video" in self._ended)
        first = self._store.last
        if first is None and not self._stopping:
            self._error = MediaError("there is no picture in", "the video source", "choose another")
        if first is not None and first.tracked.face is None:
            why = first.tracked.why or "no face"
            self._recorder.note(f"{why} in the first picture: it passes through unchanged until one can be dubbed")
        return first

    async def _warm_up(self, first: Seen) -> None:
        patch = await self.mouths.warm_up(first, self.voice, self._resampler)
        if patch is not None and first.tracked.face is not None:
            await self._composer.run(lambda: self._compositor.compose(first.tracked, patch, 1.0))

    def _first_tick_ns(self) -> int:
        last = self._store.last
        assert last is not None  # the loop starts with a picture
        not_before_ns = self._clock.now_ns() + self._plan.budget_ns - self._plan.voice_ns
        return phase_lock(last.capture_ns, self._timing.fps, self._plan.budget_ns, not_before_ns)

    # One tick is made.

    async def _start_ticks(self) -> None:
        before = Job(-1)
        before.picked.set()
        before.shown.set()
        for k in itertools.count():
            await self._clock.sleep_until(self._grid.media(k) + self._plan.voice_ns)
            job = self._job(k)
            self._spawn(self._make(job, before), f"tick {k}")
            before = job

    async def _make(self, job: Job, before: Job) -> None:
        await before.picked.wait()
        job.pick = await self._pick(job.k)
        job.starved = not self._heard(self._grid.media(job.k))
        job.picked.set()
        if job.pick is not None:
            await self._mouth(job, job.pick.seen)
        await before.shown.wait()
        shot = 0 if job.pick is None else job.pick.seen.tracked.shot
        job.show = self.mouths.fallback.step(job.outcome, job.result, shot)
        job.shown.set()
        await self._compose(job)
        job.done.set()

    async def _pick(self, k: int) -> Pick | None:
        """The tick's frame, once its sound is complete; or whatever there is when no more time is left.

        However slow the engine is, sound is waited for as long as it may take: silence in its place would be a hole.
        """
        media_ns = self._grid.media(k)
        since_ns = media_ns + TOLERANCE_NS
        await self._gate.wait(
            lambda: self._store.has(since_ns) and self._heard(media_ns), media_ns + self._plan.ready_ns
        )
        latest_ns = self.mouths.latest_ns(self._engine_deadline_ns(k)) - TIMER_NS
        await self._gate.wait(lambda: self._can_show(since_ns), latest_ns)
        await self._gate.wait(lambda: self._heard(media_ns), max(latest_ns, media_ns + self._sound_due_ns))
        return self._store.pick(since_ns)

    def _can_show(self, since_ns: int) -> bool:
        return self._store.ready(since_ns) or "video" in self._ended

    def _heard(self, media_ns: int) -> bool:
        end_ns = self.voice.end_ns
        return "voice" in self._ended or (end_ns is not None and end_ns >= media_ns + self._needs_ns)

    async def _mouth(self, job: Job, seen: Seen) -> None:
        """Not later than compositing has to begin. A mouth that comes later still is kept to be carried over."""
        task = self._spawn(self._run_engine(job, seen), f"engine {job.k}")
        await self._gate.before(task, self._engine_deadline_ns(job.k))
        if seen.tracked.face is None:
            job.outcome = "lost"

    async def _run_engine(self, job: Job, seen: Seen) -> None:
        await self.mouths.make(job, seen, self._grid, self._engine_deadline_ns(job.k))
        next_ns = self.mouths.latest_ns(self._engine_deadline_ns(job.k + 1))
        self._spawn(self.mouths.observe(job.k, seen, next_ns), f"observe {job.k}")

    async def _compose(self, job: Job) -> None:
        if job.pick is None:
            return
        tracked, patch, weight = job.pick.seen.tracked, job.show.patch, job.show.weight
        if patch is None or tracked.face is None:
            job.image = tracked.frame.image
        elif self._composing.fits(self._clock.now_ns(), self._last_moment_ns(job.k)):
            job.image, took_ns = await self._composer.run(lambda: self._compositor.compose(tracked, patch, weight))
            self._composing.cost.add(took_ns)
            self._recorder.stage("compose", took_ns)
            job.compose_ns = took_ns
        else:
            self._composing.cost.add(self._timing.compose_ns)  # or one slow spell would keep it out for good

    def _hand_over_ns(self, k: int) -> int:
        return self._grid.at(k) - self._timing.publish_ns - LEAD_NS

    def _last_moment_ns(self, k: int) -> int:
        """A picture that is not done by then is not waited for: half of the tolerance is left to the loop's timers."""
        return self._hand_over_ns(k) + LEAD_NS + TOLERANCE_NS // 2

    def _engine_deadline_ns(self, k: int) -> int:
        return self._composing.latest_ns(self._hand_over_ns(k))

    # The ticks leave.

    async def _hand_over_ticks(self) -> None:
        for k in itertools.count():
            await self._clock.sleep_until(self._hand_over_ns(k))
            if self._at_end(k):
                return
            job = self._job(k)
            if not job.done.is_set():
                waiting = asyncio.ensure_future(job.done.wait())
                await self._gate.before(waiting, self._last_moment_ns(k))
                waiting.cancel()
            self._hand_over(job)
            self._jobs.pop(k - 2, None)

    def _at_end(self, k: int) -> bool:
        seconds, last = self._timing.seconds, self._store.last
        if self._stopping or (seconds is not None and self._grid.offset(k) >= round(seconds * NS)):
            return True
        return "video" in self._ended and last is not None and self._grid.media(k) > last.capture_ns

    def _hand_over(self, job: Job) -> None:
        now_ns = self._clock.now_ns()
        seen, image, show, lagged = self._picture(job, now_ns)
        frame = seen.tracked.frame
        kind: Kind = "passthrough" if seen.tracked.face is None else show.kind
        self._recorder.handed_over(kind, now_ns - frame.pts_ns, lagged)
        self._count_missing(job)
        self._recorder.compute(seen.track_ns + job.engine_ns + job.compose_ns)
        speaks_ns = (
            show.patch.at_ns if show.kind == "fresh" and show.patch and image is not frame.image else frame.pts_ns
        )
        sound_ns, audio = self._sound(job.k)
        start_ns, end_ns = self._grid.offset(job.k), self._grid.offset(job.k + 1)
        tick = Tick(image, start_ns, end_ns - start_ns, job.k, audio, job.blendshapes)
        for output in self._outputs:
            output.offer(Stamped(tick, None if lagged else speaks_ns, sound_ns))
        if self._sheet is not None and job.k % _SHEET_EVERY == 0:
            self._add_to_sheet(self._sheet, seen, image, job.k)

    def _picture(self, job: Job, now_ns: int) -> tuple[Seen, Image, Show, bool]:
        """What leaves now: the tick's picture if it is done and young enough; else the oldest frame that is, unchanged.

        The last value says that there is none: an old picture once more, lagged.
        """
        oldest_ns = now_ns - self._plan.budget_ns
        late = job.pick is not None and not job.pick.lagged and job.pick.seen.capture_ns < oldest_ns
        if late and self._shown is not None and self._held < _MOST_HELD:
            # A newer frame would be ahead of the sound and have the live mouth.
            self._held += 1
            return *self._shown, _HELD, True
        found = self._young_picture(job, oldest_ns)
        self._shown, self._held = found[:2], 0
        return found

    def _young_picture(self, job: Job, oldest_ns: int) -> tuple[Seen, Image, Show, bool]:
        if job.done.is_set() and job.pick is not None and job.image is not None:
            seen = job.pick.seen
            if job.pick.lagged or seen.capture_ns >= oldest_ns:
                return seen, job.image, job.show, job.pick.lagged
        for seen in self._candidates(job, oldest_ns):
            if seen.capture_ns >= oldest_ns:
                return seen, seen.tracked.frame.image, _UNCHANGED, False
        last = self._store.last
        assert last is not None  # the loop starts with a picture
        return last, last.tracked.frame.image, _UNCHANGED, True

    def _candidates(self, job: Job, oldest_ns: int) -> Iterator[Seen]:
        for k in range(job.k, job.k + len(self._jobs)):
            if k in self._jobs and (pick := self._jobs[k].pick) is not None:
                yield pick.seen
        if (young := self._store.young(oldest_ns)) is not None:
            yield young

    def _sound(self, k: int) -> tuple[int, AudioBlock]:
        """The sound of tick k: the instant of its first sample, and the block on the output's time line."""
        rate = self.voice.rate
        first, count = self._grid.samples(k, rate)
        sound_ns = self.voice.snap(self._grid.media(0)) + samples_to_ns(first, rate)
        return sound_ns, AudioBlock(self.voice.read(sound_ns, count), rate, samples_to_ns(first, rate))

    def _count_missing(self, job: Job) -> None:
        if job.starved:
            self._recorder.missing("starved")
        elif job.outcome == "missed" and job.pick is not None and not job.pick.lagged:
            self._recorder.missing("slow")

    def _add_to_sheet(self, sheet: ContactSheet, seen: Seen, image: Image, seq: int) -> None:
        frame, face = seen.tracked.frame, seen.tracked.face

        async def add() -> None:
            await self._composer.run(lambda: sheet.add(frame.image, face, image, seq))

        self._spawn(add(), "contact sheet")

    # Supervision.

    def _job(self, k: int) -> Job:
        return self._jobs.setdefault(k, Job(k))

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _end(self, which: Which, error: BaseException | None) -> None:
        self._ended.add(which)
        if error is not None and not self._stopping:
            self._error = self._error or error
            self.stop()

    def _lost_output(self, error: Exception) -> None:
        self._dead_outputs += 1
        if self._dead_outputs >= len(self._outputs):
            self.stop()
        elif not isinstance(error, EndOfStream):  # a window that its owner closed is no failure
            log.warning("%s; what else was asked for goes on", error)

    def _close(self) -> None:
        """Inputs first, so that nothing new comes; then what waits goes out."""
        closing: list[Callable[[], None]] = [self._inputs.close, self._engine.close, self._composer.close]
        closing += [output.close for output in self._outputs] + [self._generator.close]
        for close in closing:
            try:
                close()
            except Exception as error:
                self._error = self._error or error
