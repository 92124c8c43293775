"""How a tick is made: its frame, its mouth, what is composed of them."""

from __future__ import annotations

from realtime_dub.blend.composite import shows
from realtime_dub.clock import Clock
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Coded, Image
from realtime_dub.mouth.contract import Generated
from realtime_dub.pipeline.contracts import Compositor
from realtime_dub.pipeline.live.deadlines import Deadlines
from realtime_dub.pipeline.live.executor import Executor
from realtime_dub.pipeline.live.mouths import Mouths
from realtime_dub.pipeline.live.ticks import LiveState, Spawn, TickState
from realtime_dub.pipeline.live.waiting import LoopCondition
from realtime_dub.pipeline.marking import Marks
from realtime_dub.pipeline.schedule import TOLERANCE_NS, FrameChoice, TrackedSample
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.pipeline.timing import TIMER_NS


class FrameChooser:
    """Finds the frame of a tick, once its audio is complete; or whatever there is when no more time is left.

    However slow the engine is, audio is waited for as long as it may take: silence in its place would be a hole.
    """

    def __init__(
        self, condition: LoopCondition, state: LiveState, deadlines: Deadlines, mouths: Mouths, audio_due_ns: int
    ) -> None:
        """``audio_due_ns``: how long after its instant the audio of a mouth is waited for."""
        self._condition, self._state, self._deadlines, self._mouths = condition, state, deadlines, mouths
        self._audio_due_ns = audio_due_ns

    async def choose(self, k: int) -> FrameChoice | None:
        state, deadlines, wait = self._state, self._deadlines, self._condition.wait
        since_ns = deadlines.grid.media(k) + TOLERANCE_NS
        ready_ns = deadlines.ready_ns(k) - self._mouths.haste_ns
        await wait(lambda: state.store.has(since_ns) and self.heard(k), ready_ns)
        latest_ns = self._mouths.latest_ns(deadlines.engine_ns(k)) - TIMER_NS
        await wait(lambda: state.store.ready(since_ns) or "video" in state.ended, latest_ns)
        await wait(lambda: self.heard(k), max(latest_ns, deadlines.grid.media(k) + self._audio_due_ns))
        return state.store.choose(since_ns)

    def heard(self, k: int) -> bool:
        """The audio for the mouth of tick k is there, or none will come any more."""
        end_ns = self._state.voice.end_ns
        needed_ns = self._deadlines.grid.media(k) + self._mouths.needs_ns
        return "voice" in self._state.ended or (end_ns is not None and end_ns >= needed_ns)


class TickWorker:
    """Makes ticks, each on a task of its own, in step where one needs what the one before it has decided."""

    def __init__(
        self,
        clock: Clock,
        condition: LoopCondition,
        deadlines: Deadlines,
        chooser: FrameChooser,
        mouths: Mouths,
        compositor: Compositor,
        composer: Executor,
        recorder: Recorder,
        spawn: Spawn,
        marks: Marks | None = None,
    ) -> None:
        self._clock, self._condition, self._deadlines, self._chooser = clock, condition, deadlines, chooser
        self._mouths, self._compositor, self._composer = mouths, compositor, composer
        self._recorder, self._spawn, self._marks = recorder, spawn, marks

    async def make(self, tick: TickState, before: TickState) -> None:
        """From its choice of a frame to its image."""
        await before.chosen.wait()
        tick.choice = await self._chooser.choose(tick.k)
        tick.starved, tick.chosen_ns = not self._chooser.heard(tick.k), self._clock.now_ns()
        tick.chosen.set()
        if tick.choice is not None:
            await self._mouth(tick, tick.choice.sample)
        await before.decided.wait()
        shot = 0 if tick.choice is None else tick.choice.sample.tracked.shot
        tick.composition = self._mouths.decide(tick, shot)
        tick.decided.set()
        await self._compose(tick)
        tick.done.set()

    async def _mouth(self, tick: TickState, sample: TrackedSample) -> None:
        """Not later than compositing has to begin. A mouth that comes later still is kept to be carried over."""
        task = self._spawn(self._run_engine(tick, sample), f"engine {tick.k}")
        await self._condition.before(task, self._deadlines.engine_ns(tick.k))
        if sample.tracked.face is None and not shows(tick.result, sample.tracked):
            tick.outcome = "lost"

    async def _run_engine(self, tick: TickState, sample: TrackedSample) -> None:
        await self._mouths.make(tick, sample, self._deadlines.grid, self._deadlines.engine_ns(tick.k))
        self._spawn(self._observe(tick, sample), f"observe {tick.k}")

    async def _observe(self, tick: TickState, sample: TrackedSample) -> None:
        """Once the tick is composed: that is waited for."""
        await tick.done.wait()
        next_ns = self._mouths.latest_ns(self._deadlines.engine_ns(tick.k + 1))
        await self._mouths.observe(tick.k, sample, next_ns)

    async def _compose(self, tick: TickState) -> None:
        if tick.choice is None:
            return
        tracked, composing = tick.choice.sample.tracked, self._deadlines.composing
        patch, weight = tick.composition.patch, tick.composition.weight
        if patch is None or not shows(patch, tracked):
            composing.rest()
            tick.image, tick.coded = tracked.frame.image, tracked.frame.coded
            if self._marks is not None:
                self._marks.rest()
        elif composing.fits(self._clock.now_ns(), self._deadlines.last_moment_ns(tick.k)):
            until_ns = self._deadlines.engine_ns(tick.k)  # it has to begin: a slow engine has its turn for long
            done = await self._composer.run(lambda: self._marked(tracked, patch, weight), until_ns)
            tick.image, tick.coded = done.result
            composing.cost.add(done.took_ns)
            self._recorder.stage("compose", done.took_ns)
            tick.compose_ns = done.took_ns
            tick.queued_ns += done.queued_ns
        else:
            composing.refuse()

    def _marked(self, tracked: TrackedFrame, patch: Generated, weight: float) -> tuple[Image, Coded | None]:
        """On the composer's thread."""
        image = self._compositor.compose(tracked, patch, weight)
        if self._marks is None:
            return image, tracked.frame.coded
        return self._marks.frame(tracked.frame, image, patch)
