"""Adding up declared latencies, and refusing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from realtime_dub.errors import BudgetError
from realtime_dub.media import MS
from realtime_dub.pipeline.plan import MARGIN_NS, BudgetPlan, BudgetTooSmall, Stage

pytestmark = pytest.mark.computes

VOICE = [Stage("voice block", 0, 10 * MS), Stage("look-ahead", 60 * MS, 60 * MS)]
PICTURE = [Stage("frame interval", 0, 45 * MS), Stage("tracker", 0, 12 * MS)]
AFTER = [Stage("engine", 0, 15 * MS), Stage("compose", 0, 8 * MS)]

stages = st.lists(st.builds(Stage, st.just("a stage"), st.just(0), st.integers(0, 10**9)), min_size=1, max_size=5)


def test_the_longer_path_counts() -> None:
    plan = BudgetPlan.of(VOICE, PICTURE, AFTER, 160)
    assert plan.ready_ns == plan.voice_ns == 70 * MS
    assert plan.picture_ns == 57 * MS
    assert plan.required_ns == 93 * MS
    assert plan.slack_ns == 67 * MS


def test_without_a_budget_it_is_the_requirement_and_a_margin_in_tens() -> None:
    assert BudgetPlan.of(VOICE, PICTURE, AFTER).budget_ns == 110 * MS


@given(stages, stages, stages)
def test_the_default_always_holds(voice: list[Stage], picture: list[Stage], after: list[Stage]) -> None:
    plan = BudgetPlan.of(voice, picture, after)
    assert MARGIN_NS <= plan.slack_ns < MARGIN_NS + 10 * MS
    assert plan.budget_ns % (10 * MS) == 0


def test_too_small_is_refused_in_one_line_and_with_a_table() -> None:
    with pytest.raises(BudgetTooSmall) as caught:
        BudgetPlan.of(VOICE, PICTURE, AFTER, 92.9)
    line = str(caught.value)
    assert isinstance(caught.value, BudgetError)
    assert caught.value.exit_code == 2
    assert "\n" not in line
    assert "93.0 ms" in line
    assert "look-ahead" in line
    assert "--budget-ms 93" in line
    console = Console(record=True, width=100)
    console.print(caught.value.table)
    text = console.export_text()
    assert all(stage.name in text for stage in [*VOICE, *PICTURE, *AFTER])
    assert "hidden" in text
    assert BudgetPlan.of(VOICE, PICTURE, AFTER, 93).slack_ns == 0
