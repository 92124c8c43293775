"""A packet of the data channels that no browser would send ends nothing, and keeps nobody waiting."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter

import pytest
from aiortc.mediastreams import AudioStreamTrack
from google_crc32c import value
from hostile_peers import connected, until

from realtime_dub.web.limits import DATA_HELD
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.rtc.aiortc_guard import _held
from realtime_dub.web.rtc.floodgate import Floodgate
from realtime_dub.web.rtc.sctp_packets import is_whole, pieces

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


def piece(tsn: int, flags: int, stream: int = 1, data: bytes = b"x") -> bytes:
    """Of a message: ``flags`` 2 and 1 are its begin and its end, 4 is without order."""
    body = struct.pack("!LHHL", tsn & 0xFFFFFFFF, stream, 0, 51) + data
    return struct.pack("!BBH", 0, flags, 4 + len(body)) + body + bytes(-len(body) % 4)


HELD = {
    "a message of single bytes without an end": lambda tsn, k: piece(tsn + k, 2 * (k == 0)),
    "a hole that is never filled": lambda tsn, k: piece(tsn + 1 + k, 7),
    "messages that wait for an earlier one": lambda tsn, k: piece(tsn + 1 + k, 3),
    "a stream for each piece": lambda tsn, k: piece(tsn + k, 2, k & 0xFFFF),
}


@pytest.mark.parametrize("name", HELD)
def test_what_is_held_of_messages_is_bounded_in_pieces_too(name: str) -> None:
    """aiortc walks through all of it for each packet, so it would take time as well."""

    async def test() -> None:
        async with connected(AudioStreamTrack(), channel=True) as (visitor, peer, taken):
            await until(lambda: peer._channel is not None)
            peer._gate._data = peer._gate._data_bytes = TokenBucket(1e9, 1e9)
            association, tsn = visitor.sctp, visitor.sctp._local_tsn
            for first in range(0, 6_000, 60):
                chunks = b"".join(HELD[name](tsn, k) for k in range(first, first + 60))
                await association.transport._send_data(sent(association, chunks))
                await asyncio.sleep(0.001)
            await until(lambda: peer.dropped["data"] > 0)
            assert _held(peer._pc.sctp) <= DATA_HELD + 2 * 60
            count = taken.sounds
            await until(lambda: taken.sounds > count + 10)

    asyncio.run(test())


def test_each_piece_of_a_message_counts() -> None:
    gate = Floodgate(Counter())
    assert pieces(HEAD + piece(1, 3) * 60) == 60
    assert [gate.data(1_200, 60, 0) for _ in range(7)].count(True) in (5, 6)
