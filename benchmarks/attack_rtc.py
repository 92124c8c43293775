"""Attacks on the studio over WebRTC, each for some seconds: ``async attack(url, token, seconds)``.

``python -m benchmarks.attack_rtc URL NAME SECONDS [TOKEN]`` runs one, and prints when it is connected. They are for
servers of one's own: what a neighbour then still gets is measured beside them.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from aiohttp import ClientSession
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack

Attack = Callable[[str, str | None, float], Coroutine[Any, Any, None]]


def coded(width: int, height: int, frames: int = 25) -> list[bytes]:
    """Pictures of VP8; the first is whole."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.bit_rate = width, height, "yuv420p", 4_000_000
    encoder.options = {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0"}
    made = []
    for k in range(frames):
        image = np.add.outer(np.arange(height), np.arange(width) + 8 * k).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(image, format="gray").reformat(format="yuv420p")
        frame.pts, frame.time_base = k, Fraction(1, 25)
        made += [bytes(packet) for packet in encoder.encode(frame)]
    return made


def claiming(width: int, height: int) -> bytes:
    """A kilobyte that says it is so large."""
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    return b"\x10\x02\x00\x9d\x01\x2a" + size + coded(64, 64, 1)[0][10:] + bytes(1_000)


class Coded(MediaStreamTrack):
    """Coded pictures as they are, over and over."""

    kind = "video"

    def __init__(self, pictures: Sequence[bytes], fps: float = 25) -> None:
        super().__init__()
        self._pictures, self._fps, self._count, self._began_s = pictures, fps, 0, time.monotonic()

    async def recv(self) -> Any:
        await asyncio.sleep(max(0.0, self._began_s + self._count / self._fps - time.monotonic()))
        if self.readyState != "live":
            raise MediaStreamError
        packet = av.Packet(self._pictures[self._count % len(self._pictures)])
        packet.pts, packet.time_base = int(self._count * 90_000 / self._fps), Fraction(1, 90_000)
        self._count += 1
        return packet


class Session:
    """One attacker's connection."""

    def __init__(self, http: ClientSession, url: str) -> None:
        self.http, self.url, self.id = http, url, ""
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))

    async def offer(self, change: Callable[[str], str] = str, **options: Any) -> tuple[int, dict[str, Any]]:
        await self.pc.setLocalDescription(await self.pc.createOffer())
        body = {"sdp": change(self.pc.localDescription.sdp), "type": "offer", "options": options}
        async with self.http.post(f"{self.url}/api/sessions", json=body) as response:
            told = await response.json()
            self.id = told.get("id", "")
            return response.status, told

    async def connect(self, **options: Any) -> None:
        status, told = await self.offer(**options)
        if status != 201:
            raise ConnectionError(told)
        await self.pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        while self.pc.connectionState != "connected":  # noqa: ASYNC110  (of aiortc, which has no event for it)
            await asyncio.sleep(0.05)
        print("connected", flush=True)

    async def patch(self, **changes: object) -> None:
        async with self.http.patch(f"{self.url}/api/sessions/{self.id}", json=changes) as response:
            await response.read()


@contextlib.asynccontextmanager
async def session(url: str, token: str | None, pictures: Sequence[bytes], fps: float = 25) -> AsyncIterator[Session]:
    headers = {"X-Requested-With": "realtime-dub"} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with ClientSession(headers=headers) as http:
        made = Session(http, url.rstrip("/"))
        made.pc.addTrack(AudioStreamTrack())
        made.pc.addTrack(Coded(pictures, fps))
        try:
            yield made
        finally:
            if made.id:
                await http.delete(f"{made.url}/api/sessions/{made.id}")
            await made.pc.close()


async def huge_key_frames(url: str, token: str | None, seconds: float) -> None:
    """A first good picture, then a kilobyte that says 16383 by 16383, 25 a second."""
    async with session(url, token, [*coded(640, 480, 3), *[claiming(16_383, 16_383)] * 22]) as attacker:
        await attacker.connect()
        await asyncio.sleep(seconds)


async def first_picture_4k(url: str, token: str | None, seconds: float) -> None:
    async with session(url, token, await asyncio.to_thread(coded, 4_096, 2_160, 8)) as attacker:
        await attacker.connect()
        await asyncio.sleep(seconds)


async def budget_5000_4k(url: str, token: str | None, seconds: float) -> None:
    async with session(url, token, await asyncio.to_thread(coded, 4_096, 2_160, 8)) as attacker:
        await attacker.connect(budget_ms=5_000)
        await asyncio.sleep(seconds)


async def another_size_each_time(url: str, token: str | None, seconds: float) -> None:
    sizes = [coded(320 + 16 * k, 240, 1)[0] for k in range(25)]
    async with session(url, token, sizes) as attacker:
        await attacker.connect()
        await asyncio.sleep(seconds)


async def changes_80_at_once(url: str, token: str | None, seconds: float) -> None:
    async with session(url, token, coded(640, 480)) as attacker:
        await attacker.connect()
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            await asyncio.gather(*(attacker.patch(face=str(1 + k % 4), strength=k / 80) for k in range(80)))
            await asyncio.sleep(1)


async def offers_without_ice(url: str, token: str | None, seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        async with session(url, token, coded(64, 64, 1)) as attacker:
            await attacker.offer()
            attacker.id = ""  # nobody ever comes
        await asyncio.sleep(1)


async def candidates_900(url: str, token: str | None, seconds: float) -> None:
    def many(sdp: str) -> str:
        lines = (
            f"a=candidate:1 1 udp 2113937151 127.0.{k // 250}.{k % 250 + 1} {40_000 + k} typ host" for k in range(900)
        )
        return sdp.rstrip() + "\r\n" + "\r\n".join(lines) + "\r\n"

    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        async with session(url, token, coded(64, 64, 1)) as attacker:
            await attacker.offer(many)
            attacker.id = ""
        await asyncio.sleep(1)


async def rtp_flood(url: str, token: str | None, seconds: float) -> None:
    """Sound as fast as it goes."""
    async with session(url, token, coded(640, 480)) as attacker:
        await attacker.connect()
        transport = attacker.pc.getTransceivers()[0].receiver.transport
        end_s, number = time.monotonic() + seconds, 0
        while time.monotonic() < end_s:
            for _ in range(100):
                number += 1
                header = struct.pack("!BBHLL", 0x80, 96, number & 0xFFFF, number * 960 & 0xFFFFFFFF, 77)
                await transport._send_rtp(header + b"\xfc\xff\xfe" * 40)
            await asyncio.sleep(0.002)


async def datagram_flood(url: str, token: str | None, seconds: float) -> None:
    """To the session's own port, in clear, from a socket that nobody knows."""
    async with session(url, token, coded(640, 480)) as attacker:
        await attacker.connect()
        ice = attacker.pc.getTransceivers()[0].receiver.transport.transport
        found = [each for each in ice.getRemoteCandidates() if "." in each.ip]
        end_s = time.monotonic() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.setblocking(False)
            while time.monotonic() < end_s:
                for each in found * 200:
                    with contextlib.suppress(OSError):
                        stranger.sendto(b"\x80" * 200, (each.ip, each.port))
                await asyncio.sleep(0.002)


ATTACKS: dict[str, Attack] = {
    each.__name__: each
    for each in (
        *(huge_key_frames, first_picture_4k, budget_5000_4k, another_size_each_time, changes_80_at_once),
        *(offers_without_ice, candidates_900, rtp_flood, datagram_flood),
    )
}

if __name__ == "__main__":
    at, which, length, *secret = sys.argv[1:]
    asyncio.run(ATTACKS[which](at, secret[0] if secret else None, float(length)))
