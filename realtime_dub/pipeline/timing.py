"""The fixed times of a live run: what its stages declare, what that adds up to, and what is left for a mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from realtime_dub.errors import BudgetError
from realtime_dub.media import MS, NS, VoiceInfo
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline.in_step import STEP
from realtime_dub.pipeline.plan import MARGIN_NS, BudgetPlan, Stage
from realtime_dub.pipeline.schedule import GUARD_NS, TOLERANCE_NS
from realtime_dub.pipeline.voice_feeder import resampler_delay_ns
from realtime_dub.publishers.base import Publisher, ReadsVoice

# The loop wakes this long before a tick. Its timers are late by a millisecond and a bit as a rule, but by 20 ms once in
# ten minutes, when another thread holds the interpreter; with the frame's tolerance a tick stands 27 ms of that.
LEAD_NS = 12 * MS
# What is waited for until the last moment is waited for so much less, or the timer wakes when that has passed.
TIMER_NS = 5 * MS
# Audio is placed so much before the moment until which it is waited for.
SAFETY_NS = 10 * MS
SPEAKER_NS = 20 * MS  # that a speaker asks for audio before its time, beside its latency: a buffer, and jitter

TRACK = Stage("tracker", 2 * MS, 12 * MS)
COMPOSE = Stage("compose", 2 * MS, 8 * MS)
HAND_OVER = Stage("hand-over", 0, LEAD_NS)


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """What a live run is asked for, beside its parts."""

    fps: Fraction
    budget_ms: float | None = None  # None = what the stages declare and a margin
    seconds: float | None = None  # None = until it is stopped
    margin_ns: int = MARGIN_NS  # of a budget that nobody chose, over what the stages declare
    arrival_ns: int = 0  # how long a frame is on its way here after its capture, from a camera that is far away

    @property
    def seen(self) -> list[Stage]:
        """What it takes from an instant until a frame of it is tracked."""
        seen = [Stage("frame interval", 0, int(NS / self.fps) + TOLERANCE_NS), TRACK]
        return [Stage("arrival", 0, self.arrival_ns), *seen] if self.arrival_ns else seen

    @property
    def seen_ns(self) -> int:
        """That, at most."""
        return sum(stage.max_ns for stage in self.seen)


@dataclass(frozen=True, slots=True)
class Timing:
    """The fixed times of a run."""

    fps: Fraction
    plan: BudgetPlan
    resample_ns: int = 0
    publish_ns: int = 0  # of the slowest publisher
    compose_ns: int = COMPOSE.max_ns  # expected
    seconds: float | None = None

    @classmethod
    def of(
        cls, settings: LiveSettings, voice: VoiceInfo, generator: MouthGenerator, publishers: Sequence[Publisher] = ()
    ) -> Timing:
        """The times of a run of these parts. Raises BudgetTooSmall."""
        # A speaker plays by the clock, ahead of its own latency: it delays nothing else.
        publish_ns = max((each.latency_ns for each in publishers if not isinstance(each, ReadsVoice)), default=0)
        resample_ns = resampler_delay_ns(voice.rate)
        plan = plan_budget(settings, voice, generator, resample_ns, publish_ns)
        return cls(settings.fps, plan, resample_ns, publish_ns, seconds=settings.seconds)

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
        longest_ns = self.period_ns + self.period_ns // STEP  # a tick, while the grid is moved
        return max(block_ns, min(for_mouth_ns, left_ns - longest_ns))

    @property
    def window_ns(self) -> int:
        """From the moment a mouth can be started to the moment it has to be done."""
        plan = self.plan
        return plan.budget_ns - plan.ready_ns - self.compose_ns - LEAD_NS - self.publish_ns

    def speaker_room_ns(self, publisher: Publisher, voice: VoiceInfo) -> int:
        """How late audio may come for a speaker to play it. Raises BudgetError where the budget cannot hold that."""
        need_ns, budget_ns = voice.block_ns + publisher.latency_ns, self.plan.budget_ns
        if need_ns > budget_ns:
            what = f"{publisher.name} asks for sound {publisher.latency_ns / MS:.0f} ms ahead"
            budget = f"a budget of {budget_ns / MS:g} ms cannot hold:"
            raise BudgetError(budget, what, f"use --budget-ms {-(-need_ns // MS)} or more")
        return max(voice.block_ns, budget_ns - publisher.latency_ns - SPEAKER_NS)


def plan_budget(
    settings: LiveSettings, voice: VoiceInfo, generator: MouthGenerator, resample_ns: int, publish_ns: int = 0
) -> BudgetPlan:
    """What the stages of a live run declare, and the budget they share. Raises BudgetTooSmall."""
    latency = generator.latency()
    heard = [
        Stage("voice block", 0, voice.block_ns),
        Stage("resampling", resample_ns, resample_ns),
        Stage("front end", latency.front_end_ns, latency.front_end_ns),
        Stage("look-ahead", latency.look_ahead_ns, latency.look_ahead_ns),
    ]
    engine = Stage(f"engine {generator.name}", 0, latency.compute_ns)
    after = [engine, COMPOSE, HAND_OVER, Stage("publish", 0, publish_ns)]
    return BudgetPlan.of(heard, settings.seen, after, settings.budget_ms, settings.margin_ns)
