"""The engine in the live loop: one mouth per tick where it is expected in time, fewer where it is not."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction

from realtime_dub.clock import Clock
from realtime_dub.media import MS, NS, Blendshapes, Image
from realtime_dub.mouth.contract import MouthGenerator, MouthPatch, blendshapes_of
from realtime_dub.pipeline.live.executor import Executor
from realtime_dub.pipeline.plan import BudgetPlan
from realtime_dub.pipeline.schedule import (
    GUARD_NS,
    TOLERANCE_NS,
    Admission,
    Fallback,
    Grid,
    Ladder,
    Level,
    Outcome,
    Pick,
    Seen,
    Show,
)
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.pipeline.voice_feeder import Ear, MakeResampler, Sound, askable_ns, needs_ns

# The loop wakes this long before a tick. Its timers are late by a millisecond and a bit as a rule, but by 20 ms once in
# ten minutes, when another thread holds the interpreter; with the frame's tolerance a tick stands 27 ms of that.
LEAD_NS = 12 * MS
# What is waited for until the last moment is waited for so much less, or the timer wakes when that has passed.
TIMER_NS = 5 * MS
# Sound is placed so much before the moment until which it is waited for.
SAFETY_NS = 10 * MS
_OBSERVE_EVERY = 3  # ticks
_RECENT = 6  # ticks, of which two may be starved, not in a row, before silence is heard in place of their sound


@dataclass(frozen=True, slots=True)
class Timing:
    """The fixed times of a run."""

    fps: Fraction
    plan: BudgetPlan
    resample_ns: int = 0
    publish_ns: int = 0  # of the slowest publisher
    compose_ns: int = 8 * MS  # expected
    seconds: float | None = None

    @property
    def period_ns(self) -> int:
        return int(NS / self.fps)

    @property
    def ahead_ns(self) -> int:
        """How far ahead a frame may be: a period, and half the room that a frame in step has, against trembling."""
        return self.period_ns + (GUARD_NS - TOLERANCE_NS) // 2

    def room_ns(self, needs_ns: int, compute_ns: int, block_ns: int) -> int:
        """How long after its instant a sample may come for its mouth to be made and for its tick to take it along.

        Never less than the source has declared: what is later then is not the voice.
        """
        left_ns = self.plan.budget_ns - LEAD_NS - self.publish_ns
        for_mouth_ns = left_ns - self.compose_ns - compute_ns - needs_ns - SAFETY_NS
        return max(block_ns, min(for_mouth_ns, left_ns - self.period_ns))

    @property
    def window_ns(self) -> int:
        """From the moment a mouth can be started to the moment it has to be done."""
        plan = self.plan
        return plan.budget_ns - plan.ready_ns - self.compose_ns - LEAD_NS - self.publish_ns


@dataclass(slots=True, eq=False)
class Job:
    """What becomes of one tick."""

    k: int
    pick: Pick | None = None
    outcome: Outcome = "missed"
    starved: bool = False  # its sound had not come when its mouth had to be begun: it is made of silence
    result: MouthPatch | None = None
    blendshapes: Blendshapes | None = None
    show: Show = field(default_factory=lambda: Show(None, 0.0, "passthrough"))
    image: Image | None = None
    engine_ns: int = 0
    compose_ns: int = 0
    picked: asyncio.Event = field(default_factory=asyncio.Event)
    shown: asyncio.Event = field(default_factory=asyncio.Event)  # what to show is settled: the next tick's turn
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Mouths:
    """Admission, ladder and fallback around a generator on its thread. Called from the loop."""

    def __init__(
        self, clock: Clock, generator: MouthGenerator, engine: Executor, timing: Timing, recorder: Recorder
    ) -> None:
        self._clock, self._generator, self._engine, self._recorder = clock, generator, engine, recorder
        self.needs_ns = needs_ns(generator, timing.resample_ns)  # sound after the instant of a mouth
        self.ladder = Ladder(timing.period_ns, timing.window_ns)
        self.fallback = Fallback()
        self._cost = Admission(generator.latency().compute_ns)
        self._observing = Admission(5 * MS)
        self._free = asyncio.Lock()
        self._starved: deque[bool] = deque(maxlen=_RECENT)
        self._ear: Ear | None = None  # from the warming up on

    def no_voice(self, name: str) -> str | None:
        """What there is to say where ``name`` had no voice in it."""
        return self._ear.no_voice(name) if self._ear else None

    def latest_ns(self, deadline_ns: int) -> int:
        """The last moment at which a mouth for ``deadline_ns`` may be started."""
        return self._cost.latest_ns(deadline_ns)

    async def warm_up(self, first: Seen, voice: Sound, resampler: MakeResampler) -> MouthPatch | None:
        """One mouth from half a second before the first picture: first runs load libraries and fill caches."""
        self._ear = Ear(voice, self._generator, first.capture_ns - NS, resampler)
        at_ns = first.capture_ns - NS // 2
        (_, patch, _), _ = await self._engine.run(lambda: self._listen(at_ns, first))
        return patch

    async def make(self, job: Job, seen: Seen, grid: Grid, deadline_ns: int) -> None:
        """Fill in ``job.outcome`` and ``job.result``, if the mouth is wanted and admitted."""
        async with self._free:
            if self._is_let_go(job):
                return
            now_ns = self._clock.now_ns()
            wants = self.ladder.wants(job.k, now_ns)
            if wants == "skip":
                return
            if wants == "run" and not self._cost.fits(now_ns, deadline_ns):
                self._missed(job)
                return
            self.ladder.started(now_ns)
            await self._run(job, seen, grid.media(job.k), deadline_ns)

    def _is_let_go(self, job: Job) -> bool:
        """One block that is late costs a mouth and no more: its sound may still come for the hand-over."""
        again = bool(self._starved) and self._starved[-1]
        self._starved.append(job.starved)
        return job.starved and not again and self._starved.count(True) < 3

    async def observe(self, k: int, seen: Seen, latest_ns: int) -> None:
        """Let the generator look at the person now and then, if that is over by ``latest_ns`` and nobody waits."""
        if (
            k % _OBSERVE_EVERY
            or seen.tracked.face is None
            or self._free.locked()
            or self.ladder.level is not Level.FULL
        ):
            return
        async with self._free:
            if self._observing.fits(self._clock.now_ns(), latest_ns):
                _, took_ns = await self._engine.run(lambda: self._generator.observe(seen.tracked))
                self._observing.cost.add(took_ns)
                self._recorder.stage("observe", took_ns)

    async def _run(self, job: Job, seen: Seen, media_ns: int, deadline_ns: int) -> None:
        probe = self.ladder.level is Level.PASS
        (asked, patch, shapes), took_ns = await self._engine.run(lambda: self._listen(media_ns, seen))
        self._cost.cost.add(took_ns)
        self._recorder.stage("engine", took_ns)
        job.engine_ns = took_ns
        in_time = asked and self._clock.now_ns() <= deadline_ns
        job.blendshapes = shapes
        if in_time:
            self.ladder.in_time(took_ns)
        else:
            self._missed(job)
        if not probe:
            self._keep(job, patch, in_time)

    def _keep(self, job: Job, patch: MouthPatch | None, in_time: bool) -> None:
        if in_time and not job.shown.is_set():
            job.outcome, job.result = "result", patch
        elif patch is not None:
            self.fallback.offer(patch)

    def _listen(self, media_ns: int, seen: Seen) -> tuple[bool, MouthPatch | None, Blendshapes | None]:
        """On the engine's thread. False where the generator has not heard enough."""
        assert self._ear is not None
        self._ear.hear_until(media_ns + self.needs_ns)
        at_ns = askable_ns(self._generator, media_ns)
        if at_ns is None:
            return False, None, None
        patch = self._generator.generate(seen.tracked, at_ns)
        self._ear.heard.mouth(seen.tracked, patch)
        return True, patch, blendshapes_of(self._generator)

    def _missed(self, job: Job) -> None:
        if job.starved:  # the engine had less time than it was promised
            return
        level = self.ladder.level
        self.ladder.missed()
        if self.ladder.level is not level:
            self._recorder.note("the engine was too slow for a while: fewer mouths were made, none was published late")
