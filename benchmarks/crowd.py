"""Viewers in processes of their own that cost next to nothing once they are connected.

A light viewer shakes hands as any other, and answers as any other what is asked of it: consent, reports, data. Its
media never reach aiortc: they are counted as they come out of the socket, by their headers, which SRTP leaves in the
clear. One viewer of each crowd is whole, and decodes: so light ones cannot count pictures that nobody could see.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from benchmarks.room_peers import HEADERS, Person, Sound, flashes, marks

ROOM = "hall"
SOUND = Sound(3_200, 400, speech=False, on_s=3, period_s=4)  # what is said there
AUDIBLE = 0.02  # of its mark
AT_ONCE = 4  # handshakes
CROWDS = 2
FROM_ONE = 20  # of an address: a server lets so many come at once, and then one in two seconds
DRAIN_S = 0.02  # all sockets are emptied so often: nobody is woken for a packet
REPORT_S = 1.0  # what a line can take is told so often, as browsers do
CONNECT_S = 30.0
RECEIVED_BYTES = 4 << 20  # that the system may keep for a socket
HEADER = struct.Struct("!BBHLL")


@dataclass(frozen=True)
class Seen:
    """What one viewer got so far; of a whole one since it was asked last."""

    frames: int = 0  # whole: each of their packets came, in order
    audio: int = 0  # packets
    packets: int = 0
    lost: int = 0  # packets


@dataclass(frozen=True)
class Decoded:
    """What a whole viewer saw and heard since it was asked last."""

    frames: int
    freeze_s: float  # the longest time between two frames
    flashes: int  # marks of the speaker's picture: one a second
    tones: int  # and of their sound, while they speak: three in four seconds


class Source:
    """The packets of one medium, as their headers tell."""

    def __init__(self, kind: str, number: int) -> None:
        self.kind = kind
        self.packets = self.frames = self.lost = 0
        self._next, self._whole = number, False

    def take(self, number: int, marker: bool) -> None:
        missing = (number - self._next) & 0xFFFF
        if missing >= 1 << 15:  # out of order
            return
        self._next = (number + 1) & 0xFFFF
        self.packets += 1
        self.lost += missing
        self._whole = self._whole and not missing
        if marker:
            self.frames += self._whole
            self._whole = True


class LightViewer:
    """Reads headers alone. ``kbps``: what it says that its line can take."""

    def __init__(self, url: str, kbps: int) -> None:
        self._url, self._bps = url, 1000 * kbps
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.createDataChannel("control")
        self._video, _ = (self._pc.addTransceiver(kind, "recvonly").receiver for kind in ("video", "audio"))
        self._sources: dict[int, Source] = {}
        self._kinds: dict[int | None, str] = {}  # of a payload type; of another one are packets that are sent again
        self._sockets: list[tuple[socket.socket, Any]] = []  # each with aioice's protocol

    async def connect(self, http: ClientSession) -> None:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        await self._pc.setRemoteDescription(RTCSessionDescription(await self._asked(http), "answer"))
        async with asyncio.timeout(CONNECT_S):
            while self._pc.connectionState != "connected":  # noqa: ASYNC110  (aiortc has no event for it that waits)
                await asyncio.sleep(0.05)
        self._kinds = {pair._codecs[0].payloadType: pair.kind for pair in self._pc.getTransceivers()}
        for protocol in self._video.transport.transport._connection._protocols:
            transport: Any = protocol.transport
            transport._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)
            transport._loop._remove_reader(transport._sock_fd)
            self._sockets.append((transport._sock, protocol))

    async def _asked(self, http: ClientSession) -> str:
        body = {"sdp": self._pc.localDescription.sdp, "type": "offer", "options": {"room": ROOM, "role": "viewer"}}
        while True:
            async with http.post(f"{self._url}api/sessions", json=body) as answer:
                told = await answer.json()
                if answer.status == 201:
                    return str(told["sdp"])
                if answer.status != 429:
                    raise RuntimeError(told["error"]["what"])
            await asyncio.sleep(2.0)

    def drain(self, packet: bytearray) -> None:
        """What has come since the last time. ``packet``: where each may lie meanwhile."""
        for source, protocol in self._sockets:
            while True:
                try:
                    size, sender = source.recvfrom_into(packet)
                except BlockingIOError:
                    break
                is_media = 128 <= packet[0] < 192 and not 192 <= packet[1] <= 223 and size >= HEADER.size
                if not (is_media and self._counted(packet)):
                    protocol.datagram_received(bytes(packet[:size]), sender)

    def _counted(self, packet: bytearray) -> bool:
        """The first one of a source goes to aiortc, which sends reports on what it knows of."""
        _, kind, number, _, source = HEADER.unpack_from(packet)
        found = self._sources.get(source)
        if found is not None:
            found.take(number, kind > 127)
        elif kind & 0x7F in self._kinds:
            self._sources[source] = Source(self._kinds[kind & 0x7F], number)
        return found is not None

    async def report(self) -> None:
        """What its line can take."""
        video = [number for number, each in self._sources.items() if each.kind == "video"]
        fci = pack_remb_fci(self._bps, video)
        await self._video._send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))

    @property
    def seen(self) -> Seen:
        of = {each.kind: each for each in self._sources.values()}
        video, audio = (of.get(kind, Source(kind, 0)) for kind in ("video", "audio"))
        return Seen(video.frames, audio.packets, video.packets + audio.packets, video.lost + audio.lost)


class WholeViewer:
    """aiortc's, which decodes."""

    def __init__(self, url: str) -> None:
        self._person = Person(url, (), (SOUND.mark_hz,))

    async def connect(self) -> None:
        await self._person.connect(room=ROOM, role="viewer")
        async with asyncio.timeout(CONNECT_S):
            await self._person.got.seen.wait()

    def decoded(self) -> Decoded:
        """Since it was asked last."""
        got = self._person.got
        now_s = time.monotonic()
        at = [at_s for at_s, _, _ in got.corners]
        freeze_s = max((late - early for early, late in itertools.pairwise([*at, now_s])), default=float("inf"))
        found = Decoded(len(at), freeze_s, len(flashes(got)), len(marks(got, SOUND.mark_hz, AUDIBLE)))
        got.corners, got.tones, got.stats = got.corners[-1:], [], []
        return found


Asked = tuple[list[Seen], list[Decoded]]


class Crowd:
    """Viewers in a process of their own."""

    def __init__(self, number: int, url: str, kbps: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._asked, theirs = context.Pipe()
        self._process = context.Process(target=crowd, args=(theirs, number, url, kbps), daemon=True)
        self._process.start()
        self.count = 0

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def ask(self, count: int) -> Asked:
        """From now on there are so many, of whom the first is whole. What each light one got so far, and what the
        whole one did since the last call. Blocking.
        """
        self._asked.send(count)
        self.count = count
        found: Asked = self._asked.recv()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def crowd(asked: Connection, number: int, url: str, kbps: int) -> None:
    asyncio.run(_Crowd(number, url, kbps).run(asked))


class _Crowd:
    """In that process."""

    def __init__(self, number: int, url: str, kbps: int) -> None:
        self._number, self._url, self._kbps = number, url, kbps
        self._whole: list[WholeViewer] = []
        self._light: list[LightViewer] = []

    async def run(self, asked: Connection) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._drain())
            tasks.create_task(self._report())
            while True:
                await self._come(await asyncio.to_thread(asked.recv))
                asked.send(([each.seen for each in self._light], [each.decoded() for each in self._whole]))

    async def _come(self, count: int) -> None:
        if count and not self._whole:
            first = WholeViewer(self._url)
            await first.connect()
            self._whole.append(first)
        while len(self._light) < count - 1:
            more = [LightViewer(self._url, self._kbps) for _ in range(min(AT_ONCE, count - 1 - len(self._light)))]
            async with asking(100 * self._number + len(self._light) // FROM_ONE) as http:
                await asyncio.gather(*(each.connect(http) for each in more))
            self._light += more
            await asyncio.sleep(0.3)

    async def _drain(self) -> None:
        packet = bytearray(2_048)
        while True:
            await asyncio.sleep(DRAIN_S)
            for each in self._light:
                each.drain(packet)

    async def _report(self) -> None:
        while True:
            for each in tuple(self._light):
                await each.report()
                await asyncio.sleep(REPORT_S / (len(self._light) + 1))
            await asyncio.sleep(REPORT_S / (len(self._light) + 1))


@contextmanager
def crowds(url: str, kbps: int) -> Iterator[list[Crowd]]:
    made = [Crowd(number, url, kbps) for number in range(CROWDS)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def asking(number: int) -> ClientSession:
    """From an address of this machine's own, of which loopback has many."""
    connector = TCPConnector(local_addr=(f"127.0.0.{2 + number}", 0))
    return ClientSession(headers=HEADERS, timeout=ClientTimeout(60), connector=connector)
