"""A connection that is closed while it is being made leaves no thread and no task: every test's fixtures see those."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack
from patience import PATIENCE_S

from realtime_dub.web.rtc import aiortc_access


async def connecting() -> tuple[RTCPeerConnection, RTCPeerConnection]:
    """One that sends picture and sound, and one that takes them."""
    sender, taker = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    for track in (AudioStreamTrack(), VideoStreamTrack()):
        sender.addTrack(track)
    await sender.setLocalDescription(await sender.createOffer())
    await taker.setRemoteDescription(sender.localDescription)
    await taker.setLocalDescription(await taker.createAnswer())
    await sender.setRemoteDescription(taker.localDescription)
    return sender, taker


async def reached(transport: Any, state: str) -> None:
    changed = asyncio.Event()
    transport.on("statechange", changed.set)
    while transport.state != state:
        await asyncio.wait_for(changed.wait(), PATIENCE_S)
        changed.clear()


@pytest.mark.parametrize("during", ["start", "checks", "handshake"])
def test_closed_on_the_way_nothing_is_left(during: str) -> None:
    async def test() -> None:
        for turns in range(12):  # of the loop: the handshake ends at another of them on another machine
            sender, taker = await connecting()
            secured = taker.getReceivers()[0].transport
            if during == "checks":
                await reached(secured.transport, "checking")
            elif during == "handshake":
                await reached(secured, "connecting")
            for _ in range(turns):
                await asyncio.sleep(0)
            await aiortc_access.close(taker)
            assert taker.connectionState == "closed"
            await asyncio.sleep(0.05)  # time for a handshake to end that was left behind
            await aiortc_access.close(sender)

    asyncio.run(test())


def test_closed_twice_is_closed() -> None:
    async def test() -> None:
        sender, taker = await connecting()
        await asyncio.gather(*(aiortc_access.close(each) for each in (sender, taker, taker)))
        assert sender.connectionState == taker.connectionState == "closed"

    asyncio.run(test())
