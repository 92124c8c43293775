"""More packets, sources, requests or messages than a visitor can need are left out, and cost nobody else."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections import Counter
from fractions import Fraction
from typing import Any

import av
import pylibsrtp
import pytest
from aiortc import RTCPeerConnection
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RTCP_PSFB_PLI, RTCP_RTPFB_NACK, RtcpPsfbPacket, RtcpRtpfbPacket, RtpPacket
from hostile_peers import CodedTrack, coded, connected, until

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.limits import (
    MESSAGES_BURST,
    MOST_CHANNELS,
    MOST_SOURCES,
    RESENDS_BURST,
)
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.rtc import aiortc_guard
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVoice
from realtime_dub.web.rtc.floodgate import Floodgate


def transport_of(pc: RTCPeerConnection) -> Any:
    return pc.getTransceivers()[0].receiver.transport


def packet(number: int, source: int = 77, payload: bytes = b"\xfc\xff\xfe", kind: int = 96) -> bytes:
    made = RtpPacket(payload_type=kind, sequence_number=number & 0xFFFF, timestamp=number * 960 & 0xFFFFFFFF)
    made.ssrc, made.payload = source, payload
    return made.serialize()


def jumping(number: int, timestamp: int, kind: int) -> bytes:
    return struct.pack("!BBHLL", 0x80, kind, number & 0xFFFF, timestamp, 99) + b"\x10" + bytes(30)


def test_packets_above_a_rate_are_left_out_and_the_visitor_stays() -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack()) as (visitor, peer, taken):
            peer._gate._datagrams = TokenBucket(200, 200)  # what any machine can send more of
            began_s, sender = time.monotonic(), transport_of(visitor)
            for number in range(3_000):
                await sender._send_rtp(packet(number))
                if number % 200 == 0:
                    await asyncio.sleep(0)
            await until(lambda: peer.dropped["packets"] > 0)
            assert taken.sounds < 200 + 200 * (time.monotonic() - began_s)
            count = taken.sounds
            await until(lambda: taken.sounds > count + 20)
            assert peer.state == "connected"

    asyncio.run(test())


def test_too_many_sources_and_nothing_more_is_taken() -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack()) as (visitor, peer, taken):
            await until(lambda: taken.sounds > 5)
            receiver = peer._pc.getTransceivers()[0].receiver
            for source in range(1_000, 1_300):
                await transport_of(visitor)._send_rtp(packet(1, source))
            await until(lambda: peer.dropped["sources"] > 0)
            await asyncio.sleep(0.2)
            assert len((await receiver.getStats()).keys()) <= 3
            assert len(receiver._RTCRtpReceiver__remote_streams) <= MOST_SOURCES
            count = taken.sounds
            await asyncio.sleep(0.3)
            assert taken.sounds == count

    asyncio.run(test())


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\x80", b"\0\1" + bytes(18), b"\x16" * 13, b"\x90\xe0" + bytes(30), b"\xff" * 1_400]
)
def test_what_a_stranger_sends_to_the_port_ends_nothing(data: bytes) -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack()) as (_, peer, taken):
            await until(lambda: taken.sounds > 5)
            failures: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for each in peer._pc.getReceivers()[0].transport.transport.iceGatherer.getLocalCandidates():
                    if "." in each.ip:
                        stranger.sendto(data, (each.ip, each.port))
            count = taken.sounds
            await until(lambda: taken.sounds > count + 10)
            assert not failures

    asyncio.run(test())


def test_damaged_packets_of_the_visitor_himself_end_nothing() -> None:
    async def test() -> None:
        async with connected(AudioStreamTrack()) as (visitor, peer, taken):
            await until(lambda: taken.sounds > 5)
            transport = transport_of(visitor)
            headers = [b"\x90\x60\0\1\0\0\0\0\0\0\0\7" + rest for rest in (b"\xbe\xde\0\1", b"\xbe\xde\0\0", bytes(4))]
            reports = [bytes((first, kind, 0, 1)) + bytes(4) for first, kind in ((128, 200), (129, 201), (159, 202))]
            for data in (*headers, *reports, b"\x81\xcd\0\2" + bytes(8), b"\x8f\xce\0\3" + bytes(12)):
                with contextlib.suppress(pylibsrtp.Error):  # some of it cannot even be encrypted
                    await transport._send_rtp(data)
            for payload in (b"", b"\xff", b"\xff\x3f" + bytes(60), b"\x03\xc0", bytes(1_200)):
                await transport._send_rtp(packet(5, payload=payload))
            count = taken.sounds
            await until(lambda: taken.sounds > count + 10)
            assert peer.state == "connected"

    asyncio.run(test())


class Sent:
    """A sender's part, as aiortc has it: what it was asked for."""

    def __init__(self) -> None:
        self.packets: list[Any] = []

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        self.packets.append(packet)


def test_one_request_does_not_ask_for_thousands_of_packets_nor_for_a_whole_picture_each_time() -> None:
    async def test() -> None:
        dropped: Counter[str] = Counter()
        sender, gate = Sent(), Floodgate(dropped)
        aiortc_guard._guard_sender(sender, gate)
        lost = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2)
        lost.lost = list(range(100)) * 60
        for _ in range(100):
            await sender._handle_rtcp_packet(lost)
            lost.lost = list(range(100)) * 60
        assert sum(len(set(each.lost)) for each in sender.packets[:1]) == 100
        assert dropped["resends"] >= 100 - RESENDS_BURST / 100 - 5
        sender.packets.clear()
        for _ in range(100):
            await sender._handle_rtcp_packet(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=1, media_ssrc=2))
        assert len(sender.packets) <= 5

    asyncio.run(test())


def test_messages_and_channels_are_answered_within_bounds() -> None:
    async def test() -> None:
        answered = []
        async with connected(AudioStreamTrack(), channel=True) as (visitor, peer, _):
            peer._message = lambda text: answered.append(text)
            channels = visitor.sctp._data_channels
            await until(lambda: [each.readyState for each in channels.values()] == ["open"])
            (channel,) = channels.values()
            for k in range(300):
                channel.send(str(k))
            await until(lambda: peer.dropped["messages"] > 0)
            await asyncio.sleep(0.3)
            assert len(answered) <= MESSAGES_BURST + 20
            for k in range(200):
                visitor.createDataChannel(f"channel {k}")
            await until(lambda: peer.dropped["channels"] > 0)
            await asyncio.sleep(0.5)
            assert len(peer._pc.sctp._data_channels) <= MOST_CHANNELS + 60  # those of the packets under way
            assert peer.state == "connected"

    asyncio.run(test())


@pytest.mark.parametrize("step", [1 << 31, 48_000 * 3_600, 43_000, -43_000])
def test_stamps_that_jump_to_and_fro_fill_little_more_than_the_time_that_passed(step: int) -> None:
    clock = VirtualClock(NS)
    browser_input = BrowserInput(clock)
    voice = BrowserVoice(browser_input)
    voice.open()
    blocks = []
    for k in range(400):
        clock.advance_to(NS + k * 20 * MS)
        frame = av.AudioFrame("s16", "mono", 960)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, k * 960 + step * (k % 2), Fraction(1, 48_000)
        browser_input.add_audio(frame)
        heard, captured_ns, lost = voice._queue.get_nowait()
        blocks += voice._stamped(heard, captured_ns, lost)
    voice.close()
    assert sum(block.duration_ns for block in blocks) < 13 * NS  # of eight; without bounds 186
    assert all(block.pts_ns <= clock.now_ns() for block in blocks)


def test_a_hole_of_thirty_thousand_is_not_counted_through() -> None:
    nacks, began_s = aiortc_guard.BoundedNacks(), time.thread_time()
    for k in range(1_000):
        assert not nacks.add(RtpPacket(sequence_number=k * 30_000 & 0xFFFF))
    assert time.thread_time() - began_s < 1
    assert nacks.add(RtpPacket(sequence_number=(999 * 30_000 + 3) & 0xFFFF))
    assert len(nacks.missing) == 2


def test_a_jitter_that_no_report_can_hold_ends_no_reports() -> None:
    """Where they end, aiortc waits for them for ever at the end of the connection."""

    async def test() -> None:
        track = CodedTrack(coded(160, 96))
        async with connected(track, AudioStreamTrack()) as (visitor, peer, taken):
            await until(lambda: taken.sizes)
            transport, kind = transport_of(visitor), visitor.getTransceivers()[0]._codecs[0].payloadType
            for k in range(500):
                await transport._send_rtp(jumping(k, 0xFFFFFFFF * (k % 2), kind))
                await asyncio.sleep(0.01 * (k % 2))
            receivers = peer._pc.getReceivers()
            assert not any(each._RTCRtpReceiver__rtcp_task.done() for each in receivers)
        assert peer.dropped["damaged"] > 0
        assert all(each.transport.transport.state == "closed" for each in receivers)

    asyncio.run(test())


def test_what_is_missing_is_asked_for_again_until_it_comes() -> None:
    clock = VirtualClock()
    nacks = aiortc_guard.BoundedNacks(lambda: clock.now_ns() / NS)

    def asks(number: int, after_ms: int = 30) -> list[int]:
        """What is asked for with that packet."""
        clock.advance_to(clock.now_ns() + after_ms * MS)
        return sorted(nacks.missing) if nacks.add(RtpPacket(sequence_number=number)) else []

    assert [asks(number) for number in (65_534, 65_535, 2)] == [[], [], [0, 1]]
    assert [asks(number) for number in (3, 4, 5, 6, 7)] == [[], [], [], [0, 1], []]
    assert asks(0) == []
    assert [asks(number) for number in (8, 9)] == [[], [1]]
    assert asks(1) == []
    assert [asks(number, 200) for number in (10, 11)] == [[], []]
