"""Offers with nobody behind them take no seat, and 80 changes at once make no crowd of pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest
from aiohttp import ClientSession
from test_web_sessions import run, visiting
from web_peers import Visitor, serving

from realtime_dub.web.limits import MOST_PENDING, MOST_RUNS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.pending import make_room
from realtime_dub.web.studio.studio import Studio


class Comer:
    def __init__(self, id: str, since_s: float, came: bool = False) -> None:
        self.id, self.since_s, self.came = id, since_s, came


def test_the_oldest_that_has_not_come_gives_way_unless_it_is_young() -> None:
    async def test() -> None:
        sessions = {"seated": Comer("seated", 0.0, came=True)}
        sessions |= {f"{k}": Comer(f"{k}", 10 + k / 100) for k in range(MOST_PENDING)}

        async def end(id: str, why: str) -> None:
            del sessions[id]

        with pytest.raises(Refusal):
            await make_room(sessions.values(), end, 11.0)
        await make_room(sessions.values(), end, 13.0)
        assert "0" not in sessions
        assert len(sessions) == MOST_PENDING

    asyncio.run(test())


def test_offers_with_nobody_behind_them_shut_nobody_out() -> None:
    async def nobody(http: ClientSession, url: str) -> None:
        async with visiting(Visitor(http, url)) as visitor:
            assert (await visitor.offer("/api/sessions", {"options": {"engine": "passthrough"}}))[0] == 201

    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url):
            await asyncio.gather(*(nobody(http, url) for _ in range(3)))
            async with visiting(Visitor(http, url)) as visitor:
                await visitor.connect(engine="passthrough")
                await visitor.until(lambda: visitor.got.pictures)
                async with visiting(Visitor(http, url)) as other:
                    assert (await other.offer("/api/sessions", {}))[0] == 503
                assert await visitor.delete() == 204
            assert not any(session.came for session in studio.sessions.values())
            for id in tuple(studio.sessions):
                await studio.end(id, "test")

    run(test)


def test_of_two_that_come_at_once_one_has_the_seat() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url), contextlib.AsyncExitStack() as stack:
            visitors = [await stack.enter_async_context(visiting(Visitor(http, url))) for _ in range(2)]
            await asyncio.gather(*(each.connect(engine="passthrough") for each in visitors))
            await visitors[0].until(lambda: len(studio.sessions) == 1)
            (session,) = studio.sessions.values()
            visitor = next(each for each in visitors if each.id == session.id)
            await visitor.until(lambda: visitor.got.pictures)
            assert await visitor.delete() == 204

    run(test)


def test_eighty_changes_at_once_make_one_pipeline_with_the_newest() -> None:
    async def most(studio: Studio, id: str, over: asyncio.Event) -> tuple[int, int]:
        runs = threads = 0
        while not over.is_set():
            runs = max(runs, len(studio.find(id)._runs.newest_first))
            threads = max(threads, sum(not each.name.startswith("asyncio_") for each in threading.enumerate()))
            await asyncio.sleep(0.005)
        return runs, threads

    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: visitor.got.pictures)
            alone = sum(not each.name.startswith("asyncio_") for each in threading.enumerate())
            session, over = studio.find(visitor.id), asyncio.Event()
            watching = asyncio.create_task(most(studio, visitor.id, over))
            await asyncio.gather(*(session.change({"face": str(1 + k % 4), "strength": k / 80}) for k in range(80)))
            await session.change({"face": "right", "strength": 1.5})
            await visitor.until(lambda: [each.setup.face for each in session._runs.newest_first] == ["right"])
            over.set()
            runs, threads = await watching
            assert runs <= MOST_RUNS
            assert threads <= 2 * alone
            assert session.present_run.setup.strength == 1.5
            assert await visitor.delete() == 204

    run(test)
