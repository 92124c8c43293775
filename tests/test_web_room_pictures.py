"""A room is live while pictures come from its sender and leave its pipeline; it waits while none do."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from aiohttp import ClientSession
from av import VideoFrame
from feeds import publishing
from patience import PATIENCE_S
from test_web_room import OPTIONS, come, go, room
from test_web_sessions import visiting
from test_web_viewers import address
from web_peers import FaceTrack, Visitor, serving


class Camera(FaceTrack):
    """One that stands still while it is ``covered``; its microphone goes on."""

    covered = False

    async def recv(self) -> VideoFrame:
        while self.covered and self.readyState == "live":
            await asyncio.sleep(0.02)
            self._start = time.monotonic() - self._count / self._fps
        return await super().recv()


async def sender_with(camera: Camera, http: ClientSession, url: str) -> Visitor:
    visitor = Visitor(http, url)
    visitor.pc.getSenders()[0].replaceTrack(camera)
    await visitor.connect(**OPTIONS["studio"])
    return visitor


async def is_told(visitors: tuple[Visitor, ...], state: str) -> None:
    for visitor in visitors:
        await visitor.until(lambda visitor=visitor: room(visitor).get("state") == state)


@pytest.mark.long
def test_a_room_waits_while_its_senders_camera_gives_nothing() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (_, http, url), visiting(await come(http, url, "viewer")) as viewer:
            camera = Camera()
            sender = await sender_with(camera, http, url)
            await is_told((viewer, sender), "live")
            for _ in range(2):
                camera.covered = True
                await is_told((viewer, sender), "waiting")
                assert room(viewer)["sender"]
                camera.covered = False
                await is_told((viewer, sender), "live")
            async with http.get(f"{url}/api/rooms/hall") as answer:
                assert (await answer.json())["state"] == "live"
            await go(sender)
            await is_told((viewer,), "ended")

    asyncio.run(test())


def spoil(session: Any) -> None:
    """What no camera gives, to every run that there is."""
    for slot in session.input._frame_readers:
        slot.put((None, session.input.clock.now_ns()))


@pytest.mark.slow
def test_a_run_that_fails_is_begun_again_and_the_room_waits_meanwhile() -> None:
    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url), visiting(await come(http, url, "viewer")) as viewer:
            sender = await come(http, url, "studio")
            await is_told((viewer,), "live")
            session = studio.find(sender.id)
            run = session.present_run
            until_s = time.monotonic() + PATIENCE_S
            while room(viewer)["state"] == "live":
                spoil(session)
                await asyncio.sleep(0.02)
                assert time.monotonic() < until_s
            await is_told((viewer, sender), "waiting")
            assert sender.got.stats[-1]["note"]
            await is_told((viewer, sender), "live")  # a run may rest for seconds by now
            assert session.present_run is not run
            await go(sender)

    asyncio.run(test())


@pytest.mark.slow
def test_a_local_run_that_gives_nothing_is_waited_for() -> None:
    async def test(url: str) -> None:
        async with ClientSession() as http, visiting(Visitor(http, url, sends=False)) as viewer:
            await viewer.connect(role="viewer", room="live")
            await is_told((viewer,), "live")
            await is_told((viewer,), "waiting")

    with publishing("webrtc:0", seconds=3) as (publisher, _):
        asyncio.run(test(address(publisher)))
