"""Where the server is too slow for two, who came first keeps his mouths, and the other one is told why he has none."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from test_web_sessions import run, visiting
from web_peers import ROOMY_MS, Visitor, serving

from realtime_dub.clock import MonotonicClock
from realtime_dub.pipeline import precedence


def told(visitor: Visitor) -> dict[str, Any]:
    return visitor.got.stats[-1] if visitor.got.stats else {"frames": {}, "advice": None}


def has_begun(frames: dict[str, int]) -> bool:
    """Mouths are made, or the machine is too slow for them already."""
    return bool(frames.get("fresh") or frames.get("slow") or frames.get("yielded"))


def test_the_last_visitor_gives_way_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precedence, "OF_NO_USE", 1.0)  # on a busy machine, too

    async def test() -> None:
        async with serving() as (studio, http, url), contextlib.AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(visiting(Visitor(http, url))) for _ in range(2)]
            for each in (first, second):  # in this order
                await each.connect(engine="mouthbank", budget_ms=ROOMY_MS)
                await each.until(lambda each=each: has_begun(told(each)["frames"]))
            places = studio.precedence.places
            assert len(places) == 2
            for _ in range(precedence.OF):  # he has too few, whatever the machine is like
                places[0].wanted(False, MonotonicClock().now_ns())
            await second.until(lambda: (told(second)["advice"] or {}).get("why") == "others")
            assert "came sooner" in told(second)["advice"]["what"]
            assert told(second)["frames"]["yielded"] > 0
            assert "yielded" not in told(first)["frames"]
            last = places[1]
            assert await first.delete() == 204
            assert studio.precedence.places == [last]

    run(test)
