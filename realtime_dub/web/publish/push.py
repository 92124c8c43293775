"""One connection that only sends, to a server that answers our offer."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCRtpTransceiver,
    RTCSessionDescription,
)

from realtime_dub.errors import MediaError
from realtime_dub.web.publish.whip_client import Answered, WhipClient
from realtime_dub.web.rtc import aiortc_access, aiortc_consent
from realtime_dub.web.rtc.output_timeline import AudioOut, OutputTimeline

CONNECT_S = 10.0
POLL_S = 0.5
SILENT_S = 8.0  # a server reports what it receives about once a second
BITRATES = 1_500_000, 4_000_000  # to begin with, and at most, as ``serve`` has them
FIRST = {"video": "video/h264", "audio": "audio/opus"}  # what every media server takes


class Push:
    """Made, used and closed on a loop."""

    def __init__(
        self, client: WhipClient, timeline: OutputTimeline, servers: tuple[RTCIceServer, ...], name: str
    ) -> None:
        self.servers = servers  # after the answer: those that it named
        self._client, self._timeline, self._name = client, timeline, name
        configuration = RTCConfiguration(iceServers=list(servers), bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        self._pc = RTCPeerConnection(configuration)
        self._changed = asyncio.Event()
        self._pc.on("connectionstatechange", self._changed.set)
        self._answered: Answered | None = None
        self._received, self._received_s = 0, time.monotonic()

    async def connect(self) -> None:
        """Raises MediaError."""
        video, _ = (self._add(kind) for kind in ("video", "audio"))
        try:
            await self._pc.setLocalDescription(await self._pc.createOffer())
        except Exception as error:  # a TURN server may refuse in many ways
            raise self._failed(f"its ICE servers cannot be used: {error}", "mend what the server names") from error
        aiortc_consent.ask_patiently(self._pc)
        self._answered = await self._client.offer(self._pc.localDescription.sdp)
        self.servers = self._answered.servers
        try:
            await self._pc.setRemoteDescription(RTCSessionDescription(self._answered.sdp, "answer"))
            aiortc_access.use_bitrates(video, *BITRATES)
        except Exception as error:  # text from outside leads aiortc to any kind of error
            do = "it may want another codec or another kind of stream"
            raise self._failed("its answer cannot be used", do) from error
        await self._connected()

    async def over(self) -> str:
        """Wait until the connection is no more; why."""
        self._received_s = time.monotonic()
        while True:
            self._changed.clear()
            if self._pc.connectionState in ("failed", "closed"):
                return "the server closed the connection"
            if await self._silent_s() > SILENT_S:
                return f"nothing has come from the server for {SILENT_S:.0f} s"
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), POLL_S)

    async def close(self) -> None:
        """Also on the server. Idempotent."""
        answered, self._answered = self._answered, None
        if answered is not None:
            await self._client.goodbye(answered.resource)
        with contextlib.suppress(Exception):  # half made, it may fail in any way
            await aiortc_access.close(self._pc)

    def _add(self, kind: str) -> RTCRtpTransceiver:
        track = self._timeline.subscribe() if kind == "video" else AudioOut(self._timeline)
        pair: RTCRtpTransceiver = self._pc.addTransceiver(track, "sendonly")
        aiortc_access.report_by_the_clock(pair.sender, track.late_ns)
        codecs = RTCRtpSender.getCapabilities(kind).codecs
        if kind == "audio":
            codecs = [codec for codec in codecs if codec.mimeType.lower() == FIRST[kind]]
        pair.setCodecPreferences(sorted(codecs, key=lambda codec: codec.mimeType.lower() != FIRST[kind]))
        return pair

    async def _connected(self) -> None:
        end_s = time.monotonic() + CONNECT_S
        while self._pc.connectionState != "connected":
            left_s = end_s - time.monotonic()
            if left_s <= 0 or self._pc.connectionState in ("failed", "closed"):
                do = "open the server's UDP ports, or let it name a TURN server"
                raise self._failed("no path for picture and sound was found", do)
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), min(left_s, POLL_S))

    def _failed(self, what: str, do: str) -> MediaError:
        return MediaError("cannot publish to", f"{self._name}: {what}", do)

    async def _silent_s(self) -> float:
        found: dict[str, Any] = await self._pc.getStats()
        received = sum(each.packetsReceived for each in found.values() if each.type == "transport")
        if received != self._received:
            self._received, self._received_s = received, time.monotonic()
        return time.monotonic() - self._received_s
