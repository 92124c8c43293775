"""A visitor on a line that takes long, and one who is gone without a word."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from hostile_peers import LASTS_S, ask_often, connected
from patience import PATIENCE_S

from realtime_dub.web.upkeep import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_often(monkeypatch)


def protocols(pc: RTCPeerConnection) -> list[Any]:
    found: list[Any] = pc.getTransceivers()[0].receiver.transport.transport._connection._protocols
    return found


@pytest.mark.parametrize("later_s", [0.6, 1.2])
def test_an_answer_that_takes_long_is_an_answer(later_s: float) -> None:
    """aioice's own question waits for half a second."""

    async def test() -> None:
        async with connected(AudioStreamTrack()) as (visitor, peer, _):
            loop = asyncio.get_running_loop()
            for each in protocols(visitor):
                send = each.transport.sendto
                each.transport.sendto = functools.partial(loop.call_later, later_s, send)
            await asyncio.sleep(3 * LASTS_S)
            assert peer.state == "connected"

    asyncio.run(test())


def test_a_line_without_answers_is_over() -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack()) as (visitor, peer, _):
            for each in protocols(visitor):
                each.transport.sendto = lambda data, to: None
            await asyncio.sleep(LASTS_S / 2)
            assert peer.state == "connected"
            assert await until(lambda: peer.state == "closed", PATIENCE_S)

    asyncio.run(test())
