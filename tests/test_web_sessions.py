"""The studio with real connections: aiortc plays the browser."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCSessionDescription
from web_peers import FPS, ROOMY_MS, Visitor, serving

from realtime_dub.web.studio.studio import Studio


@contextlib.asynccontextmanager
async def visiting(visitor: Visitor) -> AsyncIterator[Visitor]:
    try:
        yield visitor
    finally:
        await visitor.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())


def onsets(visitor: Visitor) -> tuple[list[float], list[float]]:
    """Presentation times of the flashes and of the clicks that came back, on the picture's line."""
    bright = [(pts, image[4:12, 4:12].mean() > 100) for _, pts, image in visitor.got.pictures]
    flashes = [pts for (_, before), (pts, now) in itertools.pairwise(bright) if now and not before]
    samples = np.concatenate([each for _, _, each in visitor.got.sounds])
    at = np.concatenate([pts + np.arange(len(each)) / 48_000 for _, pts, each in visitor.got.sounds])
    at += visitor.got.sound_later_s
    loud = at[np.abs(samples.astype(int)) > 1500]
    return flashes, list(loud[np.diff(loud, prepend=-1.0) > 0.25])


@pytest.mark.slow
def test_frames_come_back_dubbed_and_in_step() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            told = await visitor.connect(budget_ms=ROOMY_MS)
            assert told["type"] == "answer"
            assert told["options"]["voice"] == "mic"
            await visitor.until(lambda: visitor.got.stats and visitor.got.stats[-1]["frames"].get("fresh", 0) > 50)
            # A machine that is busy with something else delays the voice; what it needs no more is cut from pauses.
            for seconds in (5, 10, 15, 20, 25):
                await visitor.until(lambda seconds=seconds: len(visitor.got.pictures) > seconds * FPS)
                flashes, clicks = onsets(visitor)
                # The sound may lag by a frame: the newest picture not older than its instant is shown.
                nearest = [min((click - flash for click in clicks), key=abs) for flash in flashes[-5:-1]]
                if abs(float(np.median(nearest))) < 0.06:
                    break
            assert abs(float(np.median(nearest))) < 0.06, (flashes, clicks)
            stamps = np.array([pts for _, pts, _ in visitor.got.sounds])
            steps = np.diff(stamps) / 0.02
            np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
            assert ((np.round(steps) == 1) | (steps > 50)).all(), steps  # without a hole, but where the machine stood
            assert {len(samples) for _, _, samples in visitor.got.sounds} == {960}
            stats = visitor.got.stats[-1]
            assert stats["budget_ms"] == ROOMY_MS
            assert stats["bitrate_kbps"] > 20
            assert stats["frames"]["total"] == sum(stats["frames"][kind] for kind in ("fresh", "reused", "passthrough"))
            visitor.channel.send('{"t": "ping", "at": 7}')
            await visitor.until(lambda: bool(visitor.got.pongs))
            assert visitor.got.pongs[0]["at"] == 7
            assert await visitor.delete() == 204
            assert studio.sessions == {}

    run(test)


@pytest.mark.slow
def test_the_mouth_moves_and_the_rest_stays() -> None:
    """Twice the strength against none, with the same loud voice: the pictures differ around the mouth."""

    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url, height=480)) as visitor:
            await visitor.connect(strength=2.0, budget_ms=ROOMY_MS)
            await visitor.until(lambda: visitor.got.stats and visitor.got.stats[-1]["frames"].get("fresh", 0) > 60)
            pictures = np.stack([image for _, _, image in visitor.got.pictures[-50:]]).astype(np.float32)
            moved = np.abs(pictures - np.median(pictures, axis=0)).mean(axis=-1).max(axis=0)
            height = moved.shape[0]
            still = moved[40 : height // 4, 60:]
            assert moved[height // 2 :].max() > 4 * max(4.0, float(np.median(still)))
            assert await visitor.delete() == 204

    run(test)


def test_choosers_act_live() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: len(visitor.got.pictures) > 20)
            session = studio.find(visitor.id)
            before = len(visitor.got.pictures)
            assert (await visitor.patch(strength=0.5))[1]["options"]["strength"] == 0.5
            assert (await visitor.patch(silence="rest"))[1]["options"]["silence"] == "rest"
            assert len(session._runs.newest_first) == 1  # neither needs another pipeline
            status, told = await visitor.patch(budget_ms=500)
            assert (status, told["options"]["budget_ms"]) == (200, 500)
            await visitor.until(lambda: visitor.got.stats[-1]["budget_ms"] == 500)
            await visitor.until(lambda: len(session._runs.newest_first) == 1)
            await visitor.until(lambda: len(visitor.got.pictures) > before + 20)
            stamps = [pts for _, pts, _ in visitor.got.pictures]
            assert (np.diff(stamps) > 0).all()  # one time line through both
            no_such_mouth = {"engine": "mouthbank", "look_ahead_ms": 33}
            for wrong in (
                {"budget_ms": 20},
                {"strength": 9},
                {"silence": "loud"},
                {"role": "viewer"},
                {"voice": "upload:none"},
                no_such_mouth,
            ):
                status, told = await visitor.patch(**wrong)
                assert status in (404, 422), (wrong, told)
                assert set(told["error"]) == {"what", "do"}
            assert session.options.budget_ms == 500
            assert await visitor.delete() == 204

    run(test)


def test_the_next_one_is_told_to_wait() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: studio.find(visitor.id).came)
            async with visiting(Visitor(http, url)) as other:
                status, told = await other.offer("/api/sessions", {})
            assert status == 503
            assert "full" in told["error"]["what"]
            assert await visitor.delete() == 204
            async with visiting(Visitor(http, url)) as third:
                await third.connect(engine="passthrough")
                assert len(studio.sessions) == 1

    run(test)


def test_h264_is_spoken_where_it_is_preferred() -> None:
    async def test() -> None:
        async with serving(codec="h264", bitrate_kbps=3_500) as (_, http, url), visiting(Visitor(http, url)) as visitor:
            told = await visitor.connect(engine="passthrough")
            video = told["sdp"].split("m=video")[1].split("m=")[0]
            first = video.split("a=rtpmap:")[1].split()[1]
            assert first.startswith("H264")
            await visitor.until(lambda: len(visitor.got.pictures) > 10)
            assert await visitor.delete() == 204

    run(test)


def test_a_page_that_only_watches_is_found_in_its_room() -> None:
    async def test() -> None:
        async with serving(max_sessions=3) as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough", room="stage")
            await visitor.until(lambda: len(visitor.got.pictures) > 5)
            async with visiting(Visitor(http, url, sends=False)) as viewer:
                await viewer.connect(role="viewer", room="stage")
                await viewer.until(lambda: len(viewer.got.pictures) > 5 and len(viewer.got.sounds) > 5)
            async with visiting(Visitor(http, url, sends=False)) as lost:
                assert (await lost.offer("/api/sessions", {"options": {"role": "viewer"}}))[0] == 422

    run(test)


def test_an_interpreter_speaks_for_another() -> None:
    """The studio page sends sound, too, but its mouth and its voice are those of the room."""

    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(voice="room:booth", engine="passthrough")
            await visitor.until(lambda: len(visitor.got.sounds) > 50)
            assert not onsets(visitor)[1]  # nobody has come yet
            async with visiting(Visitor(http, url)) as interpreter:
                await interpreter.connect(role="interpreter", room="booth")
                await visitor.until(lambda: len(onsets(visitor)[1]) >= 3)
                await interpreter.until(lambda: len(interpreter.got.pictures) > 5)  # of the person, undubbed
                assert await interpreter.delete() == 204
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 10)
            assert await visitor.delete() == 204

    run(test)


def test_a_lost_connection_is_made_anew_in_the_same_session() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: len(visitor.got.pictures) > 10)
            async with visiting(Visitor(http, url)) as again:
                status, told = await again.offer(f"/api/sessions/{visitor.id}/ice", {})
                assert status == 200
                await again.pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
                await again.until(lambda: len(again.got.pictures) > 10)
                assert len(studio.sessions) == 1
                assert await visitor.delete() == 204

    run(test)


def test_a_visitor_who_goes_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        monkeypatch.setattr("realtime_dub.web.studio.connection.GONE_S", 0.5)
        async with serving() as (studio, http, url):
            async with visiting(Visitor(http, url)) as visitor:
                await visitor.connect(engine="passthrough")
                await visitor.until(lambda: len(visitor.got.pictures) > 5)
            await visitor.until(lambda: not studio.sessions)

    run(test)


@pytest.mark.slow
def test_cycles_leave_nothing_behind() -> None:
    async def cycle(studio: Studio, http, url: str) -> None:
        async with visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            await visitor.until(lambda: len(visitor.got.pictures) > 2)
            assert await visitor.delete() == 204
        assert studio.sessions == {}

    def held() -> tuple[int, int, int]:
        gc.collect()
        ours = [thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")]
        return len(ours), len(asyncio.all_tasks()), len(list(Path("/proc/self/fd").iterdir()))

    async def test() -> None:
        async with serving() as (studio, http, url):
            await cycle(studio, http, url)
            await asyncio.sleep(0.2)
            before = held()
            for _ in range(10):
                await cycle(studio, http, url)
            await asyncio.sleep(0.5)
            after = held()
            assert after[0] <= before[0]
            assert after[1] <= before[1] + 1
            assert after[2] <= before[2] + 2

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("no /proc here")
    run(test)
