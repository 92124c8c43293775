"""What many ask for at once, or one asks for many times, is made once."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from web_peers import serving

from realtime_dub.web.http.told import Told
from realtime_dub.web.studio.metrics import Metrics

BURST = 40


class Made:
    """Counts what is made; fails for the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        self.count, self._failures = 0, failures

    async def __call__(self) -> bytes:
        self.count += 1
        await asyncio.sleep(0.01)
        if self.count <= self._failures:
            raise RuntimeError("no")
        return b"%d" % self.count


def test_all_who_ask_meanwhile_are_told_the_same_and_later_ones_anew() -> None:
    async def test() -> None:
        made = Made()
        told = Told(made, kept_s=0.1)
        assert await asyncio.gather(*(told.get() for _ in range(BURST))) == [b"1"] * BURST
        assert await told.get() == b"1"
        await asyncio.sleep(0.15)
        assert await told.get() == b"2"

    asyncio.run(test())


def test_a_failure_is_told_and_not_kept() -> None:
    async def test() -> None:
        told = Told(Made(failures=1), kept_s=60)
        failed = await asyncio.gather(*(told.get() for _ in range(3)), return_exceptions=True)
        assert [type(each) for each in failed] == [RuntimeError] * 3
        assert await told.get() == b"2"

    asyncio.run(test())


def test_who_leaves_while_it_is_made_takes_it_from_nobody_else() -> None:
    async def test() -> None:
        told = Told(Made(), kept_s=60)
        first, second = asyncio.create_task(told.get()), asyncio.create_task(told.get())
        await asyncio.sleep(0)
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        assert await second == b"1"

    asyncio.run(test())


def test_a_burst_for_the_metrics_costs_the_server_one(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = []
    text = Metrics.text
    monkeypatch.setattr(Metrics, "text", lambda self: texts.append(text(self)) or texts[-1])

    async def test() -> None:
        async with serving() as (_, http, url):
            for _ in range(BURST):
                async with http.get(f"{url}/metrics") as answer:
                    assert (answer.status, b"realtime_dub_sessions 0.0" in await answer.read()) == (200, True)

    asyncio.run(test())
    assert 1 <= len(texts) <= 3  # one a second: forty take less than two
