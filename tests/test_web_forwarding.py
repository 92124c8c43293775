"""Frames that are forwarded to all who watch: real connections, and what each of them gets over the wire."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtpPacket, is_rtcp
from hostile_peers import ask_often
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock
from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.rtc import aiortc_access, headers
from realtime_dub.web.rtc.feed import Feed
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.forwarder.group import KEPT
from realtime_dub.web.rtc.line import Line
from realtime_dub.web.rtc.output_timeline import RATE, OutputTimeline
from realtime_dub.web.rtc.peer import Peer

FPS = 20
RATES = 1_500_000, 1_500_000
VIDEO, AUDIO = "video", "audio"
APART = pytest.mark.parametrize("apart", [False, True], ids=["within", "apart"])


class Hall:
    """A timeline whose frames are noise, so that each takes several packets, and what watches it."""

    def __init__(self, forwarder: Forwarder | None = None) -> None:
        self.clock = MonotonicClock()
        self.forwarder = forwarder
        self.timeline = OutputTimeline(self.clock, asyncio.get_running_loop())
        self._random = np.random.default_rng(0)

    async def play(self) -> None:
        """Frames and silence, each a little before it is to leave."""
        self.timeline.begin_at(self.clock.now_ns())
        for number in itertools.count():
            at_ns = number * NS // FPS
            planes = self._random.integers(60, 180, (360, 320), np.uint8)
            self.timeline.ring.write(AudioBlock(np.zeros((RATE // FPS, 1), np.float32), RATE, at_ns))
            self.timeline._add_frame(planes, at_ns)
            await self.clock.sleep_until(self.timeline.leaves_ns(at_ns))

    def feed(self) -> Feed:
        return Feed(lambda: (self.timeline, self.timeline, 0.0), *RATES, self.forwarder)


class Viewer:
    """One real connection: packets of each kind as they come out of its encryption, those sent again apart."""

    def __init__(self, hall: Hall, with_rtx: bool = True) -> None:
        self.feed = hall.feed()
        self.server = Peer(ServeConfig(), None, self.feed, lambda: None)
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.packets: dict[str, list[tuple[float, RtpPacket]]] = {VIDEO: [], AUDIO: []}
        self.again: list[RtpPacket] = []
        self.reports: list[tuple[str, int, int]] = []
        self._receivers = {kind: self.pc.addTransceiver(kind, "recvonly").receiver for kind in (VIDEO, AUDIO)}
        if not with_rtx:
            codecs = [each for each in RTCRtpReceiver.getCapabilities(VIDEO).codecs if each.mimeType == "video/VP8"]
            self.pc.getTransceivers()[0].setCodecPreferences(codecs)

    async def connect(self) -> None:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        answer = await self.server.answer(self.pc.localDescription.sdp)
        await self.pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        for kind, receiver in self._receivers.items():
            self._listen(kind, receiver)
        for protocol in self._receivers[VIDEO].transport.transport._connection._protocols:
            at = protocol.transport.get_extra_info("socket")
            at.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)  # a busy machine may come to it late

    def _listen(self, kind: str, receiver: Any) -> None:
        handle = receiver._handle_rtp_packet
        usual = next(pair for pair in self.pc.getTransceivers() if pair.kind == kind)._codecs[0].payloadType

        async def listen(packet: RtpPacket, arrival_time_ms: int) -> None:
            if packet.payload_type == usual:
                self.packets[kind].append((time.time(), packet))
            else:
                self.again.append(packet)
            await handle(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = listen
        clock_rate = {VIDEO: 90_000, AUDIO: 48_000}[kind]
        aiortc_access.on_sender_report(receiver, clock_rate, lambda ntp, pts: self.reports.append((kind, ntp, pts)))

    @property
    def sender(self) -> Any:
        """Of its video, on the server."""
        return next(pair for pair in self.server._pc.getTransceivers() if pair.kind == VIDEO).sender

    def frames(self) -> dict[int, bytes]:
        """Whole ones, by the time of their stream: what the encoder made, packets that were sent again in place."""
        numbered = {packet.sequence_number: packet for _, packet in self.packets[VIDEO]}
        found: dict[int, list[tuple[int, RtpPacket]]] = {}
        for number, packet in numbered.items():
            found.setdefault(packet.timestamp, []).append((number, packet))
        for packet in self.again:
            number = int.from_bytes(packet.payload[:2], "big")
            back = RtpPacket(marker=packet.marker, timestamp=packet.timestamp, payload=packet.payload[2:])
            found.setdefault(packet.timestamp, []).append((number, back))
        whole = {}
        first = next(iter(found))
        for timestamp, parts in sorted(found.items(), key=lambda each: each[0] - first + (1 << 31) & 0xFFFFFFFF):
            ordered = sorted(dict(parts).items())
            numbers = [number for number, _ in ordered]
            starts = VpxPayloadDescriptor.parse(ordered[0][1].payload)[0].partition_start
            if starts and ordered[-1][1].marker and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
                whole[timestamp] = b"".join(VpxPayloadDescriptor.parse(each.payload)[1] for _, each in ordered)
        return whole

    async def until(self, so: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not so():  # noqa: ASYNC110  (there is no event for all that is waited for)
                await asyncio.sleep(0.02)

    async def has(self, frames: int) -> None:
        """So many more than now."""
        before = self.count
        await self.until(lambda: self.count >= before + frames)

    @property
    def count(self) -> int:
        return sum(packet.marker for _, packet in self.packets[VIDEO])

    async def close(self) -> None:
        await asyncio.gather(aiortc_access.close(self.pc), self.server.close())


@asynccontextmanager
async def watching(*rtx: bool, apart: bool = False) -> AsyncIterator[tuple[Hall, list[Viewer]]]:
    """A hall with that many viewers, each with a stream for what is sent again or without. ``apart``: a process of its
    own sends to them.
    """
    hall = Hall(Forwarder(1) if apart else None)
    if hall.forwarder is not None:
        hall.forwarder.come()
        async with asyncio.timeout(PATIENCE_S):
            while hall.forwarder.pid is None:  # noqa: ASYNC110  (nobody else waits for it)
                await asyncio.sleep(0.02)
    task = asyncio.create_task(hall.play())
    viewers = [Viewer(hall, with_rtx) for with_rtx in rtx]
    try:
        for each in viewers:
            await each.connect()
        for each in viewers:
            await each.has(3)
            assert {pair.sender._member is not None for pair in each.server._pc.getTransceivers()} == {apart}
        yield hall, viewers
    finally:
        await asyncio.gather(*(each.close() for each in viewers))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if hall.forwarder is not None:
            await hall.forwarder.close()


def gapless(packets: list[tuple[float, RtpPacket]]) -> bool:
    numbers = [packet.sequence_number for _, packet in packets]
    return all((late - early) & 0xFFFF == 1 for early, late in itertools.pairwise(numbers))


@APART
def test_each_viewer_has_numbers_and_times_of_its_own_without_a_gap(apart: bool) -> None:
    async def test() -> None:
        async with watching(True, True, apart=apart) as (_, viewers):
            await viewers[0].has(20)
            one, other = viewers
            for kind in (VIDEO, AUDIO):
                assert all(gapless(each.packets[kind]) for each in viewers)
                assert all(len({packet.ssrc for _, packet in each.packets[kind]}) == 1 for each in viewers)
            assert one.packets[VIDEO][0][1].ssrc != other.packets[VIDEO][0][1].ssrc
            sizes = [len(list(each)) for _, each in itertools.groupby(p.timestamp for _, p in one.packets[VIDEO])]
            assert max(sizes) > 2
            for each in viewers:
                times = [packet.timestamp for _, packet in each.packets[VIDEO]]
                marked = [packet.marker for _, packet in each.packets[VIDEO]]
                assert marked[:-1] == [int(a != b) for a, b in itertools.pairwise(times)]  # a frame's last one alone
                steps = [b - a & 0xFFFFFFFF for a, b in itertools.pairwise(dict.fromkeys(times))]
                assert {step % (90_000 // FPS) for step in steps} == {0}
                pictures = [VpxPayloadDescriptor.parse(p.payload)[0].picture_id for _, p in each.packets[VIDEO]]
                steps = [b - a & 0x7FFF for a, b in itertools.pairwise(dict.fromkeys(pictures))]
                assert set(steps) == {1}
                assert len(dict.fromkeys(pictures)) == len(dict.fromkeys(times))
                sound = [packet.timestamp for _, packet in each.packets[AUDIO]]
                assert {(b - a & 0xFFFFFFFF) % 960 for a, b in itertools.pairwise(sound)} == {0}
            shared = set(one.frames().values()) & set(other.frames().values())
            assert len(shared) > 10  # both got what one encoder made

    asyncio.run(test())


@APART
def test_headers_say_whose_stream_it_is_and_when_it_left(apart: bool) -> None:
    async def test() -> None:
        async with watching(True, apart=apart) as (_, (viewer,)):
            await viewer.has(5)
            for kind in (VIDEO, AUDIO):
                mid = next(pair.mid for pair in viewer.pc.getTransceivers() if pair.kind == kind)
                for came_s, packet in viewer.packets[kind][-10:]:
                    assert packet.extensions.mid == mid
                    if kind == VIDEO:
                        left_s = packet.extensions.abs_send_time / (1 << 18)  # of 64
                        assert -0.01 < (came_s + 2_208_988_800 - left_s + 32) % 64 - 32 < 1.0

    asyncio.run(test())


@APART
def test_who_comes_late_begins_with_a_whole_frame_and_disturbs_nobody(apart: bool) -> None:
    async def test() -> None:
        async with watching(True, apart=apart) as (hall, (first,)):
            await asyncio.sleep(0.6)  # nobody is given more whole frames at once
            late = Viewer(hall)
            try:
                await late.connect()
                await late.has(4)
                begun = next(iter(late.frames().values()))
                assert headers.read("vp8", begun).whole
                assert late.packets[VIDEO][0][1].timestamp == next(iter(late.frames()))
                assert gapless(first.packets[VIDEO])
                assert hall.timeline.encoded["video/vp8"].takers == 2
            finally:
                await late.close()

    asyncio.run(test())


def lose(viewer: Viewer, every: int) -> Callable[[], int]:
    """From now on one in so many packets of its video does not come, the first time. How many so far."""
    count = lost = 0
    kind = viewer.pc.getTransceivers()[0]._codecs[0].payloadType
    for protocol in viewer.pc.getTransceivers()[0].receiver.transport.transport._connection._protocols:
        receive = protocol.datagram_received

        def lossy(data: bytes, address: Any, receive: Any = receive) -> None:
            nonlocal count, lost
            if data[0] >> 6 == 2 and not is_rtcp(data) and data[1] & 0x7F == kind:
                count += 1
                if count % every == 0:
                    lost += 1
                    return
            receive(data, address)

        protocol.datagram_received = lossy
    return lambda: lost


@APART
@pytest.mark.parametrize("with_rtx", [True, False])
def test_what_one_lost_is_sent_to_it_again_and_the_others_get_nothing_more(with_rtx: bool, apart: bool) -> None:
    async def test() -> None:
        async with watching(with_rtx, True, apart=apart) as (_, (unlucky, other)):
            lost = lose(unlucky, 7)
            await unlucky.has(30)
            assert lost() > 5
            seen = {packet.sequence_number for _, packet in unlucky.packets[VIDEO]}
            if with_rtx:
                await unlucky.until(lambda: len(unlucky.again) >= 5)
                assert {int.from_bytes(each.payload[:2], "big") for each in unlucky.again}.isdisjoint(seen)
                numbers = [each.sequence_number for each in unlucky.again]
                assert all(0 < b - a & 0xFFFF < 1_000 for a, b in itertools.pairwise(numbers))
                assert {each.ssrc for each in unlucky.again}.isdisjoint({unlucky.packets[VIDEO][0][1].ssrc})
            theirs, ours = set(other.frames().values()), list(unlucky.frames().values())
            begun = next(number for number, each in enumerate(ours) if each in theirs)  # both were there then
            assert theirs.issuperset(ours[begun:-2])
            assert len(ours[begun:-2]) > 5
            assert not other.again
            assert gapless(other.packets[VIDEO])

    asyncio.run(test())


def test_a_viewer_whose_line_breaks_is_given_up_and_the_others_miss_nothing() -> None:
    async def test() -> None:
        async with watching(True, True, True) as (hall, (lasting, closed, broken)):
            stream = hall.timeline.encoded["video/vp8"]
            assert stream.takers == 3
            await closed.server._pc.getTransceivers()[0].sender.transport.transport._connection.close()
            await lasting.until(lambda: stream.takers == 2)
            srtp = broken.sender.transport._tx_srtp
            srtp.protect = lambda packet: srtp.unprotect(packet)  # whatever goes wrong with one of them
            await lasting.until(lambda: stream.takers == 1)
            assert (closed.feed.video.is_wanted, broken.feed.video.is_wanted) == (False, False)
            await lasting.has(10)
            came = [at_s for at_s, _ in lasting.packets[VIDEO]]
            assert gapless(lasting.packets[VIDEO])
            assert gapless(lasting.packets[AUDIO])
            assert float(np.diff(came).max()) < 1.0

    asyncio.run(test())


@pytest.mark.slow
def test_a_viewer_that_falls_silent_is_given_up_when_it_answers_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    ask_often(monkeypatch)

    async def test() -> None:
        async with watching(True, True) as (hall, (lasting, silent)):
            for protocol in silent.pc.getTransceivers()[0].receiver.transport.transport._connection._protocols:
                protocol.datagram_received = lambda data, address: None
            await lasting.until(lambda: hall.timeline.encoded["video/vp8"].takers == 1)
            await lasting.has(10)
            assert gapless(lasting.packets[VIDEO])
            assert silent.server.state in ("failed", "closed")

    asyncio.run(test())


@APART
def test_reports_tell_when_a_frame_was_to_leave_and_how_long_the_way_is(apart: bool) -> None:
    """Video and audio of one instant have one time in them, whatever encoding and sending took."""

    async def test() -> None:
        async with watching(True, apart=apart) as (hall, (viewer,)):
            await viewer.until(lambda: sum(kind == VIDEO for kind, *_ in viewer.reports) > 2)
            await viewer.until(lambda: sum(kind == AUDIO for kind, *_ in viewer.reports) > 2)
            since_1900 = time.time_ns() - time.monotonic_ns() + 2_208_988_800 * NS
            for kind in (VIDEO, AUDIO):
                rate = {VIDEO: 90_000, AUDIO: 48_000}[kind]
                told = [ntp - pts for each, ntp, pts in viewer.reports if each == kind]
                assert max(told) - min(told) < 2 * MS
                first = viewer.packets[kind][0][1].timestamp
                pair = next(each for each in viewer.server._pc.getTransceivers() if each.kind == kind)
                left_ticks = first - pair.sender._timestamp_0 & 0xFFFFFFFF
                left_ns = (hall.clock.now_ns() * rate // NS & ~0xFFFFFFFF | left_ticks) * NS // rate
                assert abs(told[0] - since_1900 - left_ns) < 10 * MS
            found = [each for _, each in await viewer.server.statistics() if each.type == "remote-inbound-rtp"]
            assert found
            assert all(each.roundTripTime is not None and 0 <= each.roundTripTime < 1.0 for each in found)
            sent = [each for kind, each in await viewer.server.statistics() if each.type == "outbound-rtp"]
            assert {each.packetsSent > 20 and each.bytesSent > 3 * each.packetsSent / 2 for each in sent} == {True}

    asyncio.run(test())


class Recorded:
    """A way that notes what would leave, unencrypted."""

    pair: Any = None
    is_over = is_behind = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, packets: list[bytes]) -> None:
        self.sent += packets


def test_what_is_sent_again_under_its_number_is_the_same_to_the_bit_and_old_frames_are_forgotten() -> None:
    """Two texts under one number would give away the key of AES-GCM."""

    async def test() -> None:
        async with watching(False) as (_, (viewer,)):
            sender = viewer.sender
            secured, recorded = sender.transport, Recorded()
            recorded.pair = secured.transport._connection._nominated[1]
            real, srtp, sender._line = sender._line, secured._tx_srtp, recorded
            secured._tx_srtp = SimpleNamespace(protect=bytes, protect_rtcp=srtp.protect_rtcp)
            await viewer.until(lambda: len(recorded.sent) >= KEPT + 100)
            parsed = {RtpPacket.parse(each).sequence_number: each for each in recorded.sent}
            before = len(recorded.sent)
            for number in list(parsed)[-KEPT:]:
                await sender._retransmit(number)
            for number in list(parsed)[: before - KEPT - 60]:
                await sender._retransmit(number)  # too old
            again = recorded.sent[before:]
            secured._tx_srtp, sender._line = srtp, real
            assert again == [parsed[number] for number in list(parsed)[-KEPT:]]

    asyncio.run(test())


@pytest.fixture
def receiver() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        yield made


def received(receiver: socket.socket) -> list[bytes]:
    found = []
    with contextlib.suppress(BlockingIOError):
        while True:
            found.append(receiver.recv(2_048))
    return found


@pytest.mark.parametrize("count", [1, 2, 40, 300])
@pytest.mark.parametrize("cuts", [True, False])
def test_packets_arrive_as_they_are_and_in_order_together_or_one_by_one(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch, count: int, cuts: bool
) -> None:
    """300 are more than the system takes at once: then they go one by one."""
    if not cuts:
        monkeypatch.setattr("realtime_dub.web.rtc.line.CUTS", False)

    async def test() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        pair = SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=receiver.getsockname())
        line = Line(pair)
        packets = [number.to_bytes(2, "big") * 60 for number in range(count - 1)] + [b"end"]
        line.send(packets)
        assert received(receiver) == packets
        line.send(packets[-2:])
        assert received(receiver) == packets[-2:]
        transport.close()
        assert line.is_over
        with pytest.raises(ConnectionError):
            Line(pair)

    asyncio.run(test())


def test_there_is_no_line_where_no_way_was_found() -> None:
    with pytest.raises(ConnectionError):
        Line(None)
