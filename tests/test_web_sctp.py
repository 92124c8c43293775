"""A packet of the data channels that no browser would send ends nothing, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aiortc.mediastreams import AudioStreamTrack
from google_crc32c import value
from hostile_peers import connected, until

from realtime_dub.web.rtc.sctp_packets import is_whole

HEAD = struct.pack("!HHLL", 5000, 5000, 0, 0)


def chunk(kind: int, body: bytes) -> bytes:
    return struct.pack("!BBH", kind, 0, 4 + len(body)) + body + bytes(-len(body) % 4)


EMPTY = struct.pack("!HH", 9, 0) * 3
INIT = struct.pack("!LLHHL", 1, 100_000, 1, 1, 1)
ENDLESS = {
    "heartbeat": chunk(4, EMPTY),
    "heartbeat answered": chunk(5, EMPTY),
    "end": chunk(6, EMPTY),
    "error": chunk(9, EMPTY),
    "reset": chunk(130, EMPTY),
    "beginning": chunk(1, INIT + EMPTY),
    "beginning answered": chunk(2, INIT + EMPTY),
    "behind another": chunk(3, bytes(12)) + chunk(4, struct.pack("!HH", 1, 8) + b"info" + EMPTY),
    "three bytes long": chunk(4, struct.pack("!HH", 1, 3) + b"info"),
}
WHOLE = {
    "heartbeat": chunk(4, struct.pack("!HH", 1, 8) + b"info"),
    "of an odd length": chunk(4, struct.pack("!HH", 1, 7) + b"inf\0" + struct.pack("!HH", 2, 4)),
    "text that looks like one": chunk(0, bytes(8) + struct.pack("!L", 51) + EMPTY),
    "beginning": chunk(1, INIT),
    "nothing": b"",
}


def sent(association: object, chunks: bytes) -> bytes:
    """With the tag and the check sum that make a server read it."""
    tag = 0 if chunks[:1] == b"\x01" else association._remote_verification_tag  # type: ignore[attr-defined]
    packet = HEAD[:4] + struct.pack("!L", tag) + bytes(4) + chunks
    return packet[:8] + struct.pack("<L", value(packet)) + packet[12:]


@pytest.mark.parametrize("name", ENDLESS)
def test_what_would_be_read_for_ever_is_told(name: str) -> None:
    assert not is_whole(HEAD + ENDLESS[name])


@pytest.mark.parametrize("name", WHOLE)
def test_what_browsers_send_is_whole(name: str) -> None:
    assert is_whole(HEAD + WHOLE[name])


def test_a_visitor_cannot_stop_the_server_by_one_packet() -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack(), channel=True) as (visitor, peer, taken):
            await until(lambda: visitor.sctp.state == peer._pc.sctp.state == "connected")
            for chunks in ENDLESS.values():
                await visitor.sctp.transport._send_data(sent(visitor.sctp, chunks))
            await until(lambda: peer.dropped["damaged"] == len(ENDLESS))
            count = taken.sounds
            await until(lambda: taken.sounds > count + 10)
            assert visitor.sctp.state == peer._pc.sctp.state == "connected"

    asyncio.run(test())
