"""The engine in the live loop: one mouth per tick where it is expected in time, fewer where it is not."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from realtime_dub.clock import Clock
from realtime_dub.errors import BundleError
from realtime_dub.media import MS, NS
from realtime_dub.mouth.contract import Generated, LearnsLater, MouthGenerator, ScalesWork, SparesWork
from realtime_dub.mouth.quality import AUTO, HIGH, LOW
from realtime_dub.pipeline.live.executor import Done, Executor
from realtime_dub.pipeline.live.own_mic import OwnMic
from realtime_dub.pipeline.live.ticks import TickState
from realtime_dub.pipeline.precedence import Place
from realtime_dub.pipeline.schedule import (
    Admission,
    DegradationPolicy,
    Fallback,
    Grid,
    Haste,
    Level,
    TickComposition,
    TrackedSample,
)
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.pipeline.timing import Timing
from realtime_dub.pipeline.voice_feeder import Made, MakeResampler, Sound, VoiceFeeder, needs_ns

_OBSERVE_EVERY = 3  # ticks
RATES = {Level.HALF: "half rate", Level.PASS: "off"}
_FEWER = "fewer mouths were made, none was published late"
TOLD = {Level.SMALL: "mouths were drawn with less detail", Level.HALF: _FEWER, Level.PASS: _FEWER}
TELLS_NS = 2 * NS  # of a voice have to be heard before it is said that there was none
LISTEN_NS = NS // 2  # within what the voice line keeps
HELD_NS = 40 * MS  # for so long, or a tick, a mouth is carried over unweakened; at half rate twice as long
_RECENT = 6  # ticks, of which two may be starved, not in a row, before silence is heard in place of their sound
log = logging.getLogger("realtime_dub.pipeline")

R = TypeVar("R")


class SpareTime:
    """Whether there is time for something that no mouth waits for.

    It may take as long as the slowest of the last three times. What was too slow is tried again after a while.
    """

    EXPECTED_NS, AGAIN_NS = 5 * MS, 5 * NS

    def __init__(self) -> None:
        self._took_ns = deque([self.EXPECTED_NS], maxlen=3)
        self._done_ns: int | None = None

    def is_enough(self, now_ns: int, latest_ns: int) -> bool:
        """It is expected to be over by ``latest_ns``."""
        if self._done_ns is not None and now_ns - self._done_ns >= self.AGAIN_NS:
            self._took_ns = deque([self.EXPECTED_NS], maxlen=3)
        return now_ns + max(self._took_ns) <= latest_ns

    def took(self, took_ns: int, now_ns: int) -> None:
        """It was done, and is over now."""
        self._took_ns.append(took_ns)
        self._done_ns = now_ns


class Mouths:
    """Admission, degradation and fallback around a generator on its thread. Called from the loop."""

    def __init__(
        self,
        clock: Clock,
        generator: MouthGenerator,
        engine: Executor,
        timing: Timing,
        recorder: Recorder,
        own_mic: OwnMic | None = None,
        place: Place | None = None,
    ) -> None:
        """``place``: among the runs that one machine serves."""
        self._clock, self._generator, self._engine, self._recorder = clock, generator, engine, recorder
        self._needs_ns = needs_ns(generator, timing.resample_ns)  # sound after the instant of a mouth
        self._haste, self._begins_ns = Haste(timing.window_ns), timing.plan.ready_ns
        self._much_ns = timing.period_ns // 2  # for one mouth: tracking and composing take their part
        self._scales = isinstance(generator, ScalesWork) and generator.quality == AUTO
        if isinstance(generator, LearnsLater):
            generator.learns_later = True  # observing comes behind composing
        window_ns = timing.window_ns + Haste.MOST_NS
        self.policy = DegradationPolicy(timing.period_ns, window_ns, self._scales)
        self._period_ns = timing.period_ns
        self._fallback, self._held = Fallback(), max(1, round(HELD_NS / timing.period_ns))
        self._cost = Admission(generator.latency().compute_ns)
        self._own_mic, self._place = own_mic, place
        self._observing, self._learning = SpareTime(), SpareTime()
        self._newest = -1  # tick that has had its turn
        self._free = asyncio.Lock()
        self._starved: deque[bool] = deque(maxlen=_RECENT)
        self._feeder: VoiceFeeder | None = None  # from the warming up on
        self._ended = False  # the generator cannot go on
        self._listened_ns = 0  # when, while no mouth was made

    def no_voice(self, name: str) -> str | None:
        """What there is to say where ``name`` had no voice in it; nothing of a run that was over before one began."""
        return self._feeder.no_voice(name) if self._feeder and self._feeder.read_ns >= TELLS_NS else None

    @property
    def haste_ns(self) -> int:
        """How much earlier than its voice is complete a mouth is begun."""
        return self._haste.ns

    @property
    def needs_ns(self) -> int:
        """How much of the voice after its instant a mouth waits for."""
        return self._needs_ns - self.haste_ns

    def latest_ns(self, deadline_ns: int) -> int:
        """The last moment at which a mouth for ``deadline_ns`` may be started."""
        return self._cost.latest_ns(deadline_ns)

    def decide(self, tick: TickState, shot: int) -> TickComposition:
        """What a tick shows. Called once per tick, in order."""
        held = self._held * (2 if self.policy.level is Level.HALF else 1)
        return self._fallback.step(tick.outcome, tick.result, shot, held)

    async def warm_up(self, first: TrackedSample, voice: Sound, resampler: MakeResampler) -> Generated | None:
        """One mouth from half a second before the first picture: first runs load libraries and fill caches."""
        self._feeder = VoiceFeeder(voice, self._generator, first.capture_ns - NS, resampler)
        at_ns = first.capture_ns - NS // 2
        done = await self._run_engine(lambda: self._listen(at_ns, at_ns + self._needs_ns, first))
        if self._own_mic is not None:
            await self._run_engine(self._own_mic.make_ready)
        return None if done is None else done.result.patch

    async def make(self, tick: TickState, sample: TrackedSample, grid: Grid, deadline_ns: int) -> None:
        """Fill in ``tick.outcome`` and ``tick.result``, if the mouth is wanted and admitted."""
        self._recorder.worked(self._rung(), self._period_ns)
        async with self._free:
            self._newest = tick.k
            if self._is_let_go(tick):
                return
            if self._ended:
                tick.outcome = "lost"
                return
            now_ns = self._clock.now_ns()
            if self._place is not None and self._place.yields(now_ns):
                tick.yielded = True
                await self._only_listen(grid.media(tick.k), now_ns)
                return
            wants = self.policy.wants(tick.k, now_ns)
            if wants == "skip":
                self._wanted(False)
                return
            if wants == "run" and not self._cost.fits(now_ns, self.policy.deadline_ns(deadline_ns)):
                self._cost.refuse()
                self._missed(tick)
                return
            self.policy.started(now_ns)
            await self._run(tick, sample, grid.media(tick.k), deadline_ns)

    def _is_let_go(self, tick: TickState) -> bool:
        """One block that is late costs a mouth and no more: its sound may still come for the hand-over."""
        again = bool(self._starved) and self._starved[-1]
        self._starved.append(tick.starved)
        return tick.starved and not again and self._starved.count(True) < 3

    async def observe(self, k: int, sample: TrackedSample, latest_ns: int) -> None:
        """Let the generator look at the person now and then, and hear their own voice, as far as there is time."""
        tracked, own_mic = sample.tracked, self._own_mic
        if k % _OBSERVE_EVERY == 0 and tracked.face is not None:
            await self._spare(k, "observe", self._observing, lambda: self._generator.observe(tracked), latest_ns)
        if own_mic is not None:
            await self._spare(k, "learn", self._learning, lambda: own_mic.teach(tracked), latest_ns)

    async def _spare(self, k: int, stage: str, time: SpareTime, work: Callable[[], None], latest_ns: int) -> None:
        """Do ``work`` behind the mouth of tick ``k``, if it is over by ``latest_ns`` and nobody waits."""
        if self._free.locked() or self._ended or self.policy.level > Level.SMALL:
            return
        async with self._free:
            if k != self._newest:  # a newer frame was seen meanwhile, and frames are shown in order
                return
            if not time.is_enough(self._clock.now_ns(), latest_ns):
                return
            if (done := await self._run_engine(work)) is not None:
                time.took(done.queued_ns + done.took_ns, self._clock.now_ns())  # the next mouth waits for both
                self._recorder.stage(stage, done.took_ns)

    async def _run(self, tick: TickState, sample: TrackedSample, media_ns: int, deadline_ns: int) -> None:
        probe, useful_ns = self.policy.level is Level.PASS, self.policy.deadline_ns(deadline_ns)
        haste_ns, until_ns = self.haste_ns, media_ns + self.needs_ns
        if (done := await self._run_engine(lambda: self._listen(media_ns, until_ns, sample))) is None:
            tick.outcome = "lost"
            return
        made, took_ns = done.result, done.took_ns
        now_ns = self._clock.now_ns()
        self._took(took_ns, now_ns - max(tick.chosen_ns, media_ns + self._begins_ns - haste_ns))
        tick.engine_ns, tick.blendshapes, tick.implausible = took_ns, made.blendshapes, made.implausible
        tick.queued_ns += done.queued_ns
        in_time = made.asked and now_ns <= deadline_ns
        if made.asked and now_ns <= useful_ns:
            self._wanted(in_time)
            with self._size_watched():
                self.policy.in_time(took_ns)
        elif made.asked and now_ns <= useful_ns + self.haste_ns - haste_ns:
            self._wanted(False)  # the next ones are begun so much earlier: nothing else has to be done about it
        else:
            self._missed(tick)
        if not probe and not made.implausible:
            self._keep(tick, made.patch, in_time)

    async def _only_listen(self, media_ns: int, now_ns: int) -> None:
        """Others have the machine. What is said is heard all the same, now and then: there is no end of it to be caught
        up with afterwards.
        """
        with self._size_watched():
            self.policy.begin_below()
        if self._feeder is not None and now_ns - self._listened_ns >= LISTEN_NS:
            self._listened_ns, feeder, until_ns = now_ns, self._feeder, media_ns + self.needs_ns
            await self._run_engine(lambda: feeder.hear_until(until_ns))

    def _wanted(self, in_time: bool) -> None:
        if self._place is not None:
            self._place.wanted(in_time, self._clock.now_ns())

    def _took(self, took_ns: int, needed_ns: int) -> None:
        """``needed_ns``: from the moment the mouth could have been begun, with the wait for the one before it."""
        self._cost.cost.add(took_ns)
        if self.policy.level <= Level.SMALL:
            self._haste.took(max(took_ns, needed_ns))
        self._recorder.stage("engine", took_ns)
        if isinstance(self._generator, SparesWork):
            self._generator.short = self.policy.level is not Level.FULL or self._cost.cost.value_ns > self._much_ns

    async def _run_engine(self, work: Callable[[], R]) -> Done[R] | None:
        """What ``work`` gave on the engine's thread, and how long it took; None where the engine cannot go on.

        A network that crashed or hangs is no reason to end a call: the person is seen and heard without it.
        """
        try:
            return await self._engine.run(work)
        except BundleError as error:
            self._ended = True
            ended = f"{error}; no more mouths are made, the picture passes through unchanged"
            if self._recorder.note(ended):
                log.warning("%s", ended)
            return None

    def _keep(self, tick: TickState, patch: Generated | None, in_time: bool) -> None:
        if in_time and not tick.decided.is_set():
            tick.outcome, tick.result = "result", patch
        elif patch is not None:
            self._fallback.offer(patch, tick.k)

    def _listen(self, media_ns: int, until_ns: int, sample: TrackedSample) -> Made:
        """The mouth for ``media_ns``, the voice heard until ``until_ns``. On the engine's thread."""
        assert self._feeder is not None
        if self._scales and isinstance(self._generator, ScalesWork):
            self._generator.works_at = HIGH if self.policy.level is Level.FULL else LOW
        self._feeder.hear_until(until_ns)
        return self._feeder.mouth(sample.tracked, media_ns)

    @contextmanager
    def _size_watched(self) -> Iterator[None]:
        """What mouths of another size took says nothing of those to come."""
        was_full = self.policy.level is Level.FULL
        yield
        if self._scales and was_full != (self.policy.level is Level.FULL):
            self._cost.forget()

    def _rung(self) -> str:
        """What the engine is asked for, in a word for the statistics."""
        if self.policy.level in RATES:
            return RATES[self.policy.level]
        return self._generator.works_at if isinstance(self._generator, ScalesWork) else "full"

    def _missed(self, tick: TickState) -> None:
        if tick.starved:  # the engine had less time than it was promised
            return
        self._wanted(False)
        level = self.policy.level
        with self._size_watched():
            self.policy.missed()
        if self.policy.level is not level:
            self._recorder.note(f"the engine was too slow for a while: {TOLD[self.policy.level]}")
