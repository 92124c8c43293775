"""What comes in packets: RTP, RTCP and data channels behind a handshake, STUN before it, and what decoders are given.

A copy is a row of packets, each behind its length. One connection takes them, and a new one follows where it ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fuzz.kind import Kind, Reader

LENGTH = struct.Struct("!H")
MOST = 40  # packets of a copy
RENEWED = 500  # copies that one connection takes at most: it knows no new sources after a few
Handle = Callable[[Any, bytes], Coroutine[Any, Any, None]]


def framed(packets: list[bytes]) -> bytes:
    return b"".join(LENGTH.pack(len(each)) + each for each in packets)


def _rows(data: bytes) -> list[bytes]:
    rows, at = [], 0
    while at + LENGTH.size <= len(data) and len(rows) < MOST:
        (length,) = LENGTH.unpack_from(data, at)
        rows.append(data[at + LENGTH.size : at + LENGTH.size + length][:1_500])
        at += LENGTH.size + length
    return rows


class _Line:
    """A server's end of a connection that stands, its page's, and what was said of faults meanwhile."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._held: contextlib.AsyncExitStack | None = None
        self.peer: Any = None
        self._taken = 0
        self._faults: list[str] = []

    def take(self, rows: list[bytes], handle: Handle) -> None:
        self._runner.run(self._take(rows, handle))
        faults, self._faults = self._faults, []
        if faults:
            raise AssertionError(faults[0])

    async def _take(self, rows: list[bytes], handle: Handle) -> None:
        self._taken += 1
        if self._taken % RENEWED == 1 or not self._stands():
            await self._connect()
        gate = self.peer._gate
        fresh = type(gate)(gate.dropped)
        vars(gate).update({name: value for name, value in vars(fresh).items() if name not in ("dropped", "_sources")})
        for row in rows:
            with contextlib.suppress(ConnectionError):  # ends the connection, as it should
                await handle(self.peer, row)
        await asyncio.sleep(0)
        self._look()

    def _stands(self) -> bool:
        return self.peer.state == "connected" and self.peer._pc.sctp.state == "connected"

    async def _connect(self) -> None:
        from aiortc.mediastreams import AudioStreamTrack
        from hostile_peers import CodedTrack, coded, connected, until

        if self._held is not None:
            await self._held.aclose()
        self._held = contextlib.AsyncExitStack()
        asyncio.get_running_loop().set_exception_handler(lambda loop, found: self._faults.append(repr(found)))
        tracks = AudioStreamTrack(), CodedTrack(coded(64, 64, frames=5), fps=5)
        _, self.peer, _ = await self._held.enter_async_context(connected(*tracks, channel=True))
        await until(self._stands)

    def _look(self) -> None:
        """What has to go on does."""
        for receiver in self.peer._pc.getReceivers():
            thread = getattr(receiver, "_decodes", None)
            if self.peer.state == "connected" and thread is not None and not thread.is_alive():
                self._faults.append(f"the decoder of {receiver.track.kind} has ended")
        memory = len(self.peer._pc.getReceivers()[0]._RTCRtpReceiver__remote_streams)
        if memory > 64:
            self._faults.append(f"{memory} sources are kept")


def _on_a_line(handle: Handle) -> Callable[[], Reader]:
    def make() -> Reader:
        line = _Line()
        return lambda data: line.take(_rows(data), handle)

    return make


def _transport(peer: Any) -> Any:
    return peer._pc.getTransceivers()[0].receiver.transport


async def _rtp(peer: Any, row: bytes) -> None:
    await _transport(peer)._handle_rtp_data(row, 1)


async def _rtcp(peer: Any, row: bytes) -> None:
    await _transport(peer)._handle_rtcp_data(row)


async def _sctp(peer: Any, row: bytes) -> None:
    """Its check sum is right again, else nothing of it would be read."""
    from google_crc32c import value

    if len(row) >= 12:
        tag = peer._pc.sctp._local_verification_tag
        row = row[:4] + struct.pack("!L", tag) + bytes(4) + row[12:]
        row = row[:8] + struct.pack("<L", value(row)) + row[12:]
    await peer._pc.sctp._handle_data(row)


async def _datagram(peer: Any, row: bytes) -> None:
    """From an address that nobody knows."""
    ice = _transport(peer).transport._connection
    for protocol in ice._protocols[:1]:
        protocol.datagram_received(row, ("127.0.0.1", 40_000))


def _media() -> list[bytes]:
    """Opus and VP8 with the extensions that browsers use."""
    from hostile_peers import coded

    def packet(kind: int, number: int, marker: int, body: bytes) -> bytes:
        head = struct.pack("!BBHLL", 0x90, marker << 7 | kind, number, number * 960, 70 + kind)
        return head + b"\xbe\xde\x00\x02\x10\x30\x22\x01\x02\x03\x00\x00" + body

    pictures = [b"\x90\x80\x01" + each[:1_000] for each in coded(64, 64, frames=3)]
    opus = [packet(96, 100 + k, 0, b"\xfc\xff\xfe") for k in range(6)]
    vp8 = [packet(97, 7 + k, 1, each) for k, each in enumerate(pictures)]
    return [framed(opus + vp8), framed(vp8), framed([opus[0], opus[3], opus[1], *vp8[::-1]])]


def _reports() -> list[bytes]:
    from aiortc.rtp import (
        RtcpByePacket,
        RtcpPsfbPacket,
        RtcpReceiverInfo,
        RtcpRrPacket,
        RtcpRtpfbPacket,
        RtcpSdesPacket,
        RtcpSenderInfo,
        RtcpSourceInfo,
        RtcpSrPacket,
    )

    info = RtcpReceiverInfo(ssrc=5, fraction_lost=1, packets_lost=3, highest_sequence=9, jitter=4, lsr=1, dlsr=2)
    sent = RtcpSenderInfo(ntp_timestamp=1 << 40, rtp_timestamp=9_000, packet_count=5, octet_count=500)
    packets = [
        RtcpSrPacket(ssrc=166, sender_info=sent, reports=[info]),
        RtcpRrPacket(ssrc=166, reports=[info, info]),
        RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=166, items=[(1, b"{name}")])]),
        RtcpByePacket(sources=[166]),
        RtcpPsfbPacket(fmt=1, ssrc=166, media_ssrc=5),
        RtcpPsfbPacket(fmt=15, ssrc=166, media_ssrc=0, fci=b"REMB\x01\x03\xff\xff\x00\x00\x00\x05"),
        RtcpRtpfbPacket(fmt=1, ssrc=166, media_ssrc=5, lost=[3, 4, 9]),
    ]
    parts = [bytes(each) for each in packets]
    return [framed([b"".join(parts[:3]), *parts[3:]]), framed(parts)]


def _chunks() -> list[bytes]:
    """Of SCTP: data, acknowledgements, heartbeats, streams that are reset."""
    head = struct.pack("!HHLL", 5000, 5000, 0, 0)
    opens = struct.pack("!BBHLHH", 3, 0, 0, 0, 7, 0) + b"control"
    data = struct.pack("!BBHLHHL", 0, 3, 16 + len(opens), 1, 0, 0, 50) + opens + bytes(-len(opens) % 4)
    text = struct.pack("!BBHLHHL", 0, 3, 18, 2, 0, 1, 51) + b"hi\0\0"
    sack = struct.pack("!BBHLLHHHHL", 3, 0, 24, 1, 100_000, 1, 1, 2, 3, 7)
    beat = struct.pack("!BBHHH", 4, 0, 12, 1, 8) + b"info"
    reset = struct.pack("!BBHHHLLLH", 130, 0, 22, 13, 18, 1, 1, 1, 0) + b"\0\0"
    forward = struct.pack("!BBHLHH", 192, 0, 12, 9, 0, 0)
    return [framed([head + data, head + text, head + sack, head + beat + sack, head + reset, head + forward])]


def _bindings() -> list[bytes]:
    from aioice.stun import Class, Message, Method

    asked = Message(message_method=Method.BINDING, message_class=Class.REQUEST, transaction_id=bytes(12))
    asked.attributes["USERNAME"] = "abcd:efgh"
    asked.attributes["PRIORITY"] = 1
    plain = bytes(asked)
    asked.add_message_integrity(b"x" * 22)
    asked.add_fingerprint()
    return [framed([plain, bytes(asked), b"\x16\xfe\xfd" + bytes(30), b"\x80" * 40])]


def _decoder(codec: str) -> Callable[[], Reader]:
    """As a thread of a session decodes: what refuses is counted there, and nothing is raised."""

    def make() -> Reader:
        from aiortc.jitterbuffer import JitterFrame
        from aiortc.rtcrtpparameters import RTCRtpCodecParameters

        from realtime_dub.web.rtc import decoding

        class Terms:
            def most_pixels(self) -> int:
                return 640 * 360

            def yields(self) -> bool:
                return False

        kind, rate = ("audio", 48_000) if codec == "opus" else ("video", 90_000)
        about = RTCRtpCodecParameters(mimeType=f"{kind}/{codec}", clockRate=rate, payloadType=96)
        about.channels = 2 if codec == "opus" else None

        async def read(data: bytes) -> None:
            parts = (decoding.WithinDecoder, lambda frame: None, lambda: None, Counter[str]())
            made: Any = decoding.AudioDecoding(*parts) if kind == "audio" else None
            made = made or decoding.VideoDecoding(*parts, terms=Terms())
            for k, row in enumerate(_rows(data)):
                made.put((about, JitterFrame(row, k * 3_600)))
            rest, made._next = made._next, lambda: rest() if made._tasks else None
            made.get()

        runner = asyncio.Runner()
        return lambda data: runner.run(read(data))

    return make


def _coded(codec: str) -> Callable[[], list[bytes]]:
    def whole() -> list[bytes]:
        from hostile_peers import coded

        if codec == "opus":
            return [framed([b"\xfc\xff\xfe", bytes((0x78, *range(40))), b"\xfc" + bytes(range(120))])]
        return [framed(coded(64, 48, codec="libvpx" if codec == "VP8" else "libx264", frames=4))]

    return whole


KINDS: dict[str, Kind] = {
    "rtp": Kind(_media, _on_a_line(_rtp)),
    "rtcp": Kind(_reports, _on_a_line(_rtcp)),
    "sctp": Kind(_chunks, _on_a_line(_sctp)),
    "stun": Kind(_bindings, _on_a_line(_datagram)),
    **{f"coded-{codec.lower()}": Kind(_coded(codec), _decoder(codec)) for codec in ("VP8", "H264", "opus")},
}
