"""One WebRTC connection: what comes goes into a browser input, what leaves comes from a feed."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import SessionDescription, candidate_from_sdp

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc import aiortc_access, aiortc_consent, aiortc_guard
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.candidates import Targets
from realtime_dub.web.rtc.decoding import Decoders, Within
from realtime_dub.web.rtc.feed import Feed
from realtime_dub.web.rtc.floodgate import Floodgate
from realtime_dub.web.rtc.ports import with_public_ip

MOST_SDP = 64 * 1024
ANSWER_S = 10.0
CLOCK_RATES = {"audio": 48_000, "video": 90_000}
log = logging.getLogger("realtime_dub.web")
BAD_SDP = Refusal(400, "The session description cannot be used.", "Send the offer that the browser made, unchanged.")


class Peer:
    """``browser_input`` None = nothing is taken from the other side; ``feed`` None = nothing is sent.

    ``opened``: the page listens from now on. ``decoders``: of what comes; None = in this process.
    """

    def __init__(
        self,
        config: ServeConfig,
        browser_input: BrowserInput | None,
        feed: Feed | None,
        changed: Callable[[], None],
        message: Callable[[str], str | None] = lambda text: None,
        dropped: Counter[str] | None = None,
        opened: Callable[[], None] = lambda: None,
        decoders: Decoders | None = None,
    ) -> None:
        self._config, self._input, self._feed = config, browser_input, feed
        self._changed, self._message, self._opened = changed, message, opened
        self._decoders: Decoders = decoders or Within()
        servers = [RTCIceServer(**server) for server in config.ice_servers]
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._readers: set[asyncio.Task[None]] = set()
        self._channel: Any = None
        self.dropped: Counter[str] = Counter() if dropped is None else dropped  # what was too much, by kind
        self._gate, self._targets = Floodgate(self.dropped), Targets(config, self.dropped)
        self.ufrag: str | None = None  # of the other side's ICE, as in its offer
        self._pc.on("track", self._on_track)
        self._pc.on("connectionstatechange", changed)
        self._pc.on("datachannel", self._on_channel)

    @property
    def state(self) -> str:
        """new, connecting, connected, failed or closed."""
        state: str = self._pc.connectionState
        return state

    async def answer(self, sdp: str) -> str:
        """The answer to an offer. Raises Refusal."""
        kinds = _kinds_of(sdp)
        self.ufrag = found[1] if (found := re.search(r"^a=ice-ufrag:(\S+)", sdp, re.MULTILINE)) else None
        try:
            for kind, is_taken in kinds.items():
                self._add_transceiver(kind, is_taken)
            aiortc_guard.keep_to(self._pc, self._targets.allows)
            offer = RTCSessionDescription(self._targets.offer(sdp), "offer")
            async with asyncio.timeout(ANSWER_S):
                await self._pc.setRemoteDescription(offer)
                self._reach_in()
                await self._pc.setLocalDescription(await self._pc.createAnswer())
                aiortc_guard.guard(self._pc, self._gate)
        except Refusal:
            raise
        except Exception as error:  # text from outside leads aiortc to any kind of error
            raise BAD_SDP from error
        return with_public_ip(self._pc.localDescription.sdp, self._config.public_ip)

    async def add_candidate(self, line: str | None, mid: str | None, index: int | None) -> None:
        """A trickled candidate, None = there are no more. Raises Refusal."""
        try:
            if self._targets.takes(line) if line else not self._targets.refused:
                await self._pc.addIceCandidate(_candidate(line, mid, index))
        except Refusal:
            raise
        except Exception as error:  # likewise
            raise Refusal(400, "The candidate cannot be used.", "Send it as the browser gave it.") from error

    def send(self, text: str) -> None:
        """Over the data channel, where there is one and it is not choked."""
        if self._channel is not None and self._channel.readyState == "open" and self._channel.bufferedAmount < 65_536:
            self._channel.send(text)

    async def statistics(self) -> list[Any]:
        """aiortc's, of all tracks."""
        found: list[Any] = []
        for transceiver in self._pc.getTransceivers():
            for side in (transceiver.sender, transceiver.receiver):
                found += [(transceiver.kind, each) for each in (await side.getStats()).values()]
        return found

    async def close(self) -> None:
        """Idempotent."""
        if self._feed is not None:
            self._feed.close()
        for reader in self._readers:
            reader.cancel()
        try:
            await aiortc_access.close(self._pc)
        except Exception:  # half made, it may fail in any way
            log.warning("a connection did not close cleanly", exc_info=True)
        await asyncio.gather(*self._readers, return_exceptions=True)

    def _add_transceiver(self, kind: str, is_taken: bool) -> None:
        track = None
        if self._feed is not None and is_taken:
            track = self._feed.track(kind)
        direction = "sendrecv" if track and self._input else "sendonly" if track else "recvonly"
        transceiver = self._pc.addTransceiver(track or kind, direction)
        codecs = RTCRtpSender.getCapabilities(kind).codecs
        first = "audio/opus" if kind == "audio" else f"video/{self._config.codec}"
        if kind == "audio":
            codecs = [codec for codec in codecs if codec.mimeType.lower() == first]
        transceiver.setCodecPreferences(sorted(codecs, key=lambda codec: codec.mimeType.lower() != first))

    def _reach_in(self) -> None:
        aiortc_consent.ask_patiently(self._pc)
        for transceiver in self._pc.getTransceivers():
            if transceiver.kind == "audio":
                aiortc_access.use_steady_buffer(transceiver.receiver)
            if self._feed is not None and transceiver.sender.track is self._feed.track(transceiver.kind):
                self._feed.begin(transceiver)
            if self._input is not None:
                report = functools.partial(self._input.capture_clock.report, transceiver.kind)
                aiortc_access.limit_decoding(transceiver.receiver, self.dropped, self._input, self._decoders)
                aiortc_access.on_sender_report(transceiver.receiver, CLOCK_RATES[transceiver.kind], report)

    def _on_track(self, track: MediaStreamTrack) -> None:
        if self._input is None:
            return
        reader = asyncio.create_task(self._read(track, self._input), name=f"read {track.kind}")
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)

    async def _read(self, track: MediaStreamTrack, browser_input: BrowserInput) -> None:
        browser_input.restart(track.kind)
        take = browser_input.add_frame if track.kind == "video" else browser_input.add_audio
        said = ""
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                try:
                    take(frame)
                except Exception as error:  # the next one may be usable
                    if repr(error) != said:
                        log.exception("a frame cannot be used")
                    said = repr(error)

    def _on_channel(self, channel: Any) -> None:
        if not self._gate.channel() or channel.label != "control" or self._channel is not None:
            channel.close()
            return
        self._channel = channel

        def answer(text: object) -> None:
            if not isinstance(text, str) or len(text) > 4096 or not self._gate.message():
                return
            if (reply := self._message(text)) is not None:
                self.send(reply)

        channel.on("message", answer)
        self._opened()


def _kinds_of(sdp: str) -> dict[str, bool]:
    """The kinds of media offered, and of each whether the other side would take it.

    Raises Refusal for what is not one browser's offer of video and audio.
    """
    if len(sdp) > MOST_SDP:
        raise Refusal(413, "The session description is too long.", f"Keep it below {MOST_SDP // 1024} kB.")
    try:
        described = SessionDescription.parse(sdp)
        media = described.media
        bundled = [mid for group in described.group if group.semantic == "BUNDLE" for mid in group.items]
        mids = [each.rtp.muxId for each in media]
    except Exception as error:  # text from outside leads aiortc to any kind of error
        raise BAD_SDP from error
    if len(mids) > 1 and (sorted(bundled) != sorted(mids) or len(set(mids)) < len(mids) or not all(mids)):
        raise Refusal(400, "The offer does not bundle its media.", "Offer them in one BUNDLE group.")
    kinds = [each.kind for each in media]
    if not kinds or any(kinds.count(kind) > 1 for kind in kinds) or set(kinds) - {"audio", "video", "application"}:
        raise Refusal(400, "The offer has more than one video, one audio and data.", "Offer one of each.")
    return {each.kind: each.direction in ("sendrecv", "recvonly") for each in media if each.kind != "application"}


def _candidate(line: str | None, mid: str | None, index: int | None) -> RTCIceCandidate | None:
    if not line:
        return None
    candidate = candidate_from_sdp(line.removeprefix("a=").removeprefix("candidate:"))
    candidate.sdpMid, candidate.sdpMLineIndex = mid, index
    return candidate
