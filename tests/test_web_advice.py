"""What a session is told where mouths are not drawn: why, and a budget only where time is what is missing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from live_helpers import live
from test_web_sessions import visiting
from web_peers import Visitor, serving

from realtime_dub.media import NS
from realtime_dub.web.studio.advice import STEPS_MS, WARM_UP_S, WINDOW_S, Advice


class Run:
    """A session's counts, half a second at a time."""

    def __init__(self) -> None:
        self.advice, self.now_s = Advice(), 100.0
        self.frames: dict[str, int] = {}

    def over(self) -> None:
        """Another run takes over."""
        self.advice.restart()
        self.frames = {}

    def go_on(
        self, seconds: float = WARM_UP_S + WINDOW_S + 1, budget_ms: float = 250, voice: str = "mic", **shares: float
    ) -> Any:
        """``shares`` of the ticks; what is none of them is fresh. The last advice."""
        told: dict[str, Any] = {}
        for _ in range(round(2 * seconds)):
            for name, share in {**shares, "total": 1.0, "fresh": 1 - sum(shares.values())}.items():
                self.frames[name] = self.frames.get(name, 0) + round(100 * share)
            self.now_s += 0.5
            told = self.advice.to_dict(self.advice.update(self.frames, self.now_s), budget_ms, voice)
        return told["advice"]


def test_all_is_well_and_nothing_is_said() -> None:
    run = Run()
    assert run.go_on() is None
    assert run.go_on(slow=0.1) is None
    assert run.go_on(faceless=0.3) is None  # who turns away for a moment


@pytest.mark.parametrize(
    ("shares", "voice", "why", "words"),
    [
        ({"slow": 0.64}, "mic", "late", "64 % of the mouths"),
        ({"passthrough": 0.5}, "mic", "late", "50 % of the mouths"),
        ({"starved": 0.3}, "mic", "late voice", "30 % of the mouths"),
        ({"starved": 1.0}, "mic", "no voice", "microphone"),
        ({"starved": 1.0}, "room:hall", "no voice", "interpreter"),
        ({"faceless": 0.9}, "mic", "no face", "No face"),
        ({"faceless": 1.0, "starved": 1.0}, "mic", "no face", "light"),
        ({"yielded": 0.8, "slow": 0.2}, "mic", "others", "came sooner"),
    ],
)
def test_why_is_said_in_sentences(shares: dict[str, float], voice: str, why: str, words: str) -> None:
    told = Run().go_on(voice=voice, **shares)
    assert told["why"] == why
    assert words in f"{told['what']} {told['do']}"
    assert (told["budget_ms"] is not None) == why.startswith("late")


def test_nothing_is_said_before_it_has_been_so_for_seconds() -> None:
    assert Run().go_on(seconds=WINDOW_S / 2, slow=1.0) is None


def test_what_was_said_is_taken_back_when_it_is_over_and_not_in_between() -> None:
    run = Run()
    assert run.go_on(slow=0.4)["budget_ms"]
    told = run.go_on(slow=0.15)  # no flicker round one threshold
    assert (told["why"], told["budget_ms"]) == ("late", None)
    assert run.go_on() is None


def test_a_run_that_took_over_is_judged_by_its_own_seconds_alone() -> None:
    run = Run()
    assert run.go_on(slow=1.0)
    run.over()
    assert run.go_on(seconds=WARM_UP_S + WINDOW_S / 2, slow=1.0, budget_ms=300) is None
    run.over()
    assert run.go_on(seconds=WARM_UP_S, slow=1.0) is None  # it was busy with its beginning
    assert run.go_on() is None


def test_each_budget_leads_to_the_next_larger_one() -> None:
    run, budget, asked = Run(), 200, []
    for share in (0.9, 0.7, 0.5, 0.3):
        told = run.go_on(budget_ms=budget, slow=share)
        assert told["budget_ms"] in STEPS_MS
        assert told["budget_ms"] > budget
        asked.append(budget := told["budget_ms"])
        run.over()
    assert asked == [250, 300, 350, 400]


def test_a_budget_that_does_not_help_is_raised_twice_and_no_more() -> None:
    run, budget = Run(), 250
    for _ in range(2):
        told = run.go_on(budget_ms=budget, slow=0.6)
        budget = told["budget_ms"]
        run.over()
    told = run.go_on(budget_ms=budget, slow=0.6)
    assert told["budget_ms"] is None
    assert "close other programs" in told["do"]
    assert run.go_on(budget_ms=budget) is None
    run.over()
    assert run.go_on(budget_ms=250, slow=0.6)["budget_ms"] == 300  # another day


def test_no_budget_is_above_the_largest() -> None:
    assert Run().go_on(budget_ms=STEPS_MS[-1], slow=0.6)["budget_ms"] is None


def test_ticks_without_a_face_are_counted() -> None:
    frames = live(4, faceless=((0, NS * 1_000),)).report.frames
    assert frames["faceless"] == frames["passthrough"] == frames["total"]


@pytest.mark.slow
def test_a_session_is_told_that_nobody_speaks_in_its_room() -> None:
    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(voice="room:empty")
            await visitor.until(lambda: any(stats.get("advice") for stats in visitor.got.stats))
            told = visitor.got.stats[-1]
            assert told["advice"]["why"] == "no voice", told
            assert told["mouths"]["late_voice"] > 0.5, told
            await visitor.delete()

    asyncio.run(test())
