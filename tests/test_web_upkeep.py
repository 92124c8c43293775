"""What runs beside the visitors goes on when one step of it fails; who sends nothing for long enough leaves."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest
from patience import PATIENCE_S
from test_web_sessions import visiting
from web_peers import Visitor, serving

from realtime_dub.clock import MonotonicClock
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.publish import viewers
from realtime_dub.web.publish.viewers import Viewer, Viewers
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio import studio as studios
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.studio.uploads import Upload
from realtime_dub.web.upkeep import repeat


async def until(ready) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < end_s
        await asyncio.sleep(0.02)


async def broken(*_: object) -> None:
    raise RuntimeError("it broke")


def long_gone(studio: Studio, id: str) -> Session:
    """A session whose page never connected."""
    session = Session(id, studio, SessionOptions(role="interpreter", room="r"), MonotonicClock())
    session._connection._disconnected_s -= 100
    studio.sessions[id] = session
    return session


def test_the_sweeper_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
                                             caplog: pytest.LogCaptureFixture) -> None:  # fmt: skip
    monkeypatch.setattr(studios, "SWEEP_S", 0.02)

    async def test() -> None:
        studio = await asyncio.to_thread(Studio, ServeConfig())
        await studio.start()
        # A folder in the place of a file cannot be removed as one.
        studio.uploads._kept["folder"] = Upload("folder", tmp_path, "picture", 0, None, time.monotonic() - 1)
        await until(lambda: not studio.uploads._kept)
        await asyncio.sleep(0.1)
        stubborn = long_gone(studio, "stubborn")
        monkeypatch.setattr(stubborn, "close", broken)
        long_gone(studio, "other")
        await until(lambda: not studio.sessions)
        assert not studio._sweeper.done()
        await studio.close()

    with caplog.at_level(logging.ERROR):
        asyncio.run(test())
    assert "a background task failed and goes on" in caplog.text


def test_a_failure_that_lasts_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rounds = []

    async def counts() -> None:
        rounds.append(1)

    async def test() -> None:
        task = asyncio.create_task(repeat(0.001, broken, counts))
        await until(lambda: len(rounds) > 20)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(test())
    assert caplog.text.count("a background task failed and goes on") == 1


def test_viewers_are_swept_and_told_whatever_one_of_them_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SWEEP_S", "STATS_S"):
        monkeypatch.setattr(viewers, name, 0.02)

    async def test() -> None:
        timeline = OutputTimeline(MonotonicClock(), asyncio.get_running_loop())
        host = Viewers(ServeConfig(port=0), timeline)
        await host.start()
        told = []
        for id in ("breaks", "watches"):
            options = SessionOptions(role="viewer", room="live")
            host.sessions[id] = Viewer(id, options, host.config, timeline, Forwarder())
        monkeypatch.setattr(host.sessions["breaks"], "send_statistics", broken)

        async def tell() -> None:
            told.append(1)

        monkeypatch.setattr(host.sessions["watches"], "send_statistics", tell)
        await until(lambda: len(told) > 3)
        host.sessions["watches"]._connection._disconnected_s -= 100
        await until(lambda: "watches" not in host.sessions)
        await host.close()

    asyncio.run(test())


def test_who_sends_nothing_for_the_time_allowed_leaves() -> None:
    async def test() -> None:
        async with serving(idle_s=2) as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(budget_ms=800)
            await visitor.until(lambda: studio.find(visitor.id).input.size is not None)
            assert studio.find(visitor.id).overdue is None
            stopped_s = time.monotonic()
            for sender in visitor.pc.getSenders():
                sender.track.stop()
            await visitor.until(lambda: not studio.sessions)
            assert time.monotonic() - stopped_s > 1.5

    asyncio.run(test())
