"""The latency budget: what each stage declares, what that adds up to, and the refusal where it does not fit.

Two paths meet at the engine. The voice has to be captured in blocks, resampled and heard some way past the instant of
the picture; the picture has to be captured and tracked. The longer one decides when a mouth can be started; engine,
compositing, hand-over and the slowest publisher come after it. After GStreamer's design document ``latency.md``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from realtime_dub.errors import BudgetError
from realtime_dub.media import MS

if TYPE_CHECKING:
    from rich.table import Table

MARGIN_NS = 10 * MS  # over the requirement where the caller names no budget
_STEP_NS = 10 * MS


@dataclass(frozen=True, slots=True)
class Stage:
    """What a stage adds to the way from capture to hand-over: at best and at most."""

    name: str
    min_ns: int
    max_ns: int


def _most(stages: Iterable[Stage]) -> int:
    return sum(stage.max_ns for stage in stages)


@dataclass(frozen=True, slots=True)
class BudgetPlan:
    """The stages of a run and the budget they share."""

    voice: tuple[Stage, ...]
    picture: tuple[Stage, ...]
    after: tuple[Stage, ...]
    budget_ns: int

    @classmethod
    def of(
        cls,
        voice: Iterable[Stage],
        picture: Iterable[Stage],
        after: Iterable[Stage],
        budget_ms: float | None = None,
        margin_ns: int = MARGIN_NS,
    ) -> BudgetPlan:
        """Plan with ``budget_ms``, or with the requirement and a margin. Raises BudgetTooSmall."""
        plan = cls(tuple(voice), tuple(picture), tuple(after), 0)
        wanted_ns = plan.required_ns + margin_ns
        budget_ns = -(-wanted_ns // _STEP_NS) * _STEP_NS if budget_ms is None else round(budget_ms * MS)
        plan = cls(plan.voice, plan.picture, plan.after, budget_ns)
        if budget_ns < plan.required_ns:
            raise BudgetTooSmall(plan)
        return plan

    @property
    def voice_ns(self) -> int:
        """From the instant of the voice to the moment the engine can have heard enough of it."""
        return _most(self.voice)

    @property
    def picture_ns(self) -> int:
        """From the instant of the voice to the moment a picture of it is tracked."""
        return _most(self.picture)

    @property
    def ready_ns(self) -> int:
        """When a mouth can be started at the latest, counted from the instant it speaks."""
        return max(self.voice_ns, self.picture_ns)

    @property
    def required_ns(self) -> int:
        return self.ready_ns + _most(self.after)

    @property
    def slack_ns(self) -> int:
        """What the budget leaves over, for jitter."""
        return self.budget_ns - self.required_ns

    def table(self) -> Table:
        """Which stage needs what; the path that does not decide is marked."""
        from rich.table import Table

        table = Table("stage", "at best, ms", "at most, ms", "counts", title="latency budget", title_justify="left")
        decides = self.voice if self.voice_ns >= self.picture_ns else self.picture
        for path in (self.voice, self.picture, self.after):
            counts = path is decides or path is self.after
            for stage in path:
                table.add_row(stage.name, _ms(stage.min_ns), _ms(stage.max_ns), "yes" if counts else "hidden")
        table.add_section()
        table.add_row("required", "", _ms(self.required_ns), "")
        table.add_row("budget", "", _ms(self.budget_ns), "")
        return table


class BudgetTooSmall(BudgetError):
    """The stages need more than the budget. ``table`` says which needs what."""

    def __init__(self, plan: BudgetPlan) -> None:
        self.plan = plan
        largest = max((*plan.voice, *plan.picture, *plan.after), key=lambda stage: stage.max_ns)
        super().__init__(
            f"a budget of {plan.budget_ns / MS:g} ms cannot hold:",
            f"the stages need {_ms(plan.required_ns)} ms, most of it {largest.name} ({_ms(largest.max_ns)} ms)",
            f"use --budget-ms {-(-plan.required_ns // MS)} or more",
        )

    @property
    def table(self) -> Table:
        return self.plan.table()


def _ms(value_ns: int) -> str:
    return f"{value_ns / MS:.1f}"
