"""Frames that are encoded already go out over one connection, without a task of aiortc's between encoder and socket.

aiortc has a task for each track of each connection, which builds, encrypts and sends packet by packet: 70 us each where
many watch. Here whoever has a frame calls :meth:`ForwardingSender.forward`, and it has left when that returns: what all
share was cut into payloads once (``shared_encoding``), and of a connection's own there are headers and encryption. The
rest of a sender stays aiortc's: reports, what the other side says, statistics, its beginning and its end.

Where many watch, a ``forwarder`` sends what is said here of each packet. What is asked for again goes from here.

Like ``aiortc_access`` this reaches past aiortc's interface, for senders that were handed to it.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.clock import current_ntp_time
from aiortc.rtcdtlstransport import SRTP_PROFILES, State
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensions, HeaderExtensionsMap
from aiortc.utils import random16, random32

from realtime_dub.media import NS, rescale
from realtime_dub.web.rtc.encoders import CUTS, Payloads
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder, leaves_now
from realtime_dub.web.rtc.forwarder.wire import Place, tag_bytes
from realtime_dub.web.rtc.line import Line
from realtime_dub.web.rtc.packets import Packet
from realtime_dub.web.rtc.rollover import caught_up

HEADER = struct.Struct("!BBHLL")
EXTRACTOR = b"EXTRACTOR-dtls_srtp"  # RFC 5764
NUMBER = struct.Struct("!H")
KEPT = 4 * RTP_HISTORY_SIZE  # packets, at least: all share what is in them
PLAIN, EXTENDED, MARKER = 0x80, 0x90, 0x80
Sent = tuple[int, int, bytes, bytes, Payloads]  # first index, time, extensions, its number among frames, what is in it
log = logging.getLogger("realtime_dub.web")


class Forwarded(Protocol):
    """A track whose frames are forwarded."""

    def begin(self, sender: ForwardingSender) -> None:
        """It is connected: from now on frames may go out."""

    def late_ns(self, leaves_ns: int) -> int:
        """Since a frame was to leave at that time of its clock."""

    def stop(self) -> None: ...


class Estimated:
    """In an encoder's place: aiortc tells it what the line can take."""

    def __init__(self, told: Callable[[int], None]) -> None:
        self._told = told

    @property
    def target_bitrate(self) -> int:
        return 0

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        self._told(bitrate)


class ForwardingSender(RTCRtpSender):
    """aiortc's, of which this becomes the class (:func:`forward`). Used on the loop."""

    # aiortc's own, of which its reports and statistics are made.
    _RTCRtpSender__encoder: Any
    _RTCRtpSender__mid: str | None
    _RTCRtpSender__octet_count: int
    _RTCRtpSender__packet_count: int
    _RTCRtpSender__rtp_exited: asyncio.Event
    _RTCRtpSender__rtp_header_extensions_map: HeaderExtensionsMap
    _RTCRtpSender__rtp_started: asyncio.Event
    _RTCRtpSender__rtp_timestamp: int
    _RTCRtpSender__rtx_payload_type: int | None
    _RTCRtpSender__rtx_sequence_number: int
    _RTCRtpSender__track: Any

    def _become(
        self,
        track: Forwarded,
        ask: Callable[[], None],
        estimated: Callable[[int], None],
        forwarder: Forwarder | None,
    ) -> None:
        self._ask, self._forwarded = ask, track  # for a frame that needs none before it
        self._forwarder = forwarder or Forwarder(sys.maxsize)
        self._turn = 0
        self._place: int | None = None  # there
        self._RTCRtpSender__encoder = Estimated(estimated)
        self._line: Line | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Indices of 48 bits (RFC 3711): of the next packet, and the highest one that was encrypted here.
        self._index = self._seen = random_sequence_number()
        self._timestamp_0, self._picture = random32(), random16()
        self._last_ns = 0  # when the newest frame was to leave
        self._reported = 0, 0  # that, and what it is on the clock of reports
        self._kept: deque[Sent] = deque()  # frames that may be asked for again
        self._kept_packets = 0

    @property
    def is_behind(self) -> bool:
        """The system takes nothing from this connection just now, or its forwarder does not."""
        line = self._line
        return line is not None and (line.is_behind or (self._place is not None and self._forwarder.is_full))

    def forward(self, packet: Packet) -> None:
        """It goes out, or the connection is over."""
        if self._over.done() or not self._enabled:
            return
        try:
            self._send(packet)
        except ConnectionError:
            self._over.set_result(None)
        except Exception:  # of one viewer, whom it ends; the others go on
            log.warning("a connection cannot be sent to", exc_info=True)
            self._over.set_result(None)

    def _send(self, packet: Packet) -> None:
        """In few calls of few functions: where many watch, the interpreter is what costs."""
        line, payloads, index = self._reach(), packet.payloads, self._index
        timestamp, picture = (self._timestamp_0 + packet.ticks) & 0xFFFFFFFF, b""
        if packet.is_numbered:
            self._picture = (self._picture + 1) & 0x7FFF
            picture = NUMBER.pack(0x8000 | self._picture)
        if self._place is not None:
            leaves = self._forwarder.add(packet, self._place, index, 0x8000 | self._picture)
            frame = index, timestamp, self._extensions(leaves), picture, payloads
            self._count(len(payloads), packet.size + len(payloads) * self._around)
        else:
            frame = index, timestamp, self._extensions(leaves_now()), picture, payloads
            for begin, end in packet.runs:
                self._transmit(line, self._built(frame, begin, end), index + end - 1)
        self._index = index + len(payloads)
        if self._keeps:
            self._keep(frame)
        self._last_ns = packet.leaves_ns
        self._RTCRtpSender__rtp_timestamp = timestamp
        self._RTCRtpSender__octet_count += packet.size
        self._RTCRtpSender__packet_count += len(payloads)

    def _reach(self) -> Line:
        """Where it goes, with a place at the forwarder where there is one. Raises ConnectionError: it is over."""
        if self._secured._state is not State.CONNECTED:
            raise ConnectionError
        line, nominated = self._line, self._nominated.get(1)
        if line is None or line.pair is not nominated or line.is_over:
            line = self._line = Line(nominated)
            self._seek_place(line)
        elif self._turn != self._forwarder.turn:
            self._seek_place(line)
        return line

    def _seek_place(self, line: Line) -> None:
        self._leave_place()
        self._turn = self._forwarder.turn
        if line.socket is not None:
            self._place = self._forwarder.take(partial(self._described, line), line.socket.fileno(), self)

    def _leave_place(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._forwarder.drop(place)

    def _described(self, line: Line, number: int) -> Place:
        """For the forwarder."""
        secured = self._secured
        name = secured._ssl.get_selected_srtp_profile()
        profile = next(each for each in SRTP_PROFILES if each.openssl_profile == name)
        secret = secured._ssl.export_keying_material(EXTRACTOR, 2 * (profile.key_length + profile.salt_length))
        key = profile.get_key_and_salt(secret, int(secured._role == "server"))
        before, has_time, after = self._template
        host, port = line.to
        self._around = HEADER.size + len(before) + 3 * has_time + len(after) + tag_bytes(profile.libsrtp_profile)
        return Place(
            number=number, source=self._ssrc, timestamp_0=self._timestamp_0, next_index=self._index, first=self._first,
            kind=self._kind, profile=profile.libsrtp_profile, port=port, has_time=has_time, before=before, after=after,
            key=key, host=host.encode(),
        )  # fmt: skip

    def back(self, packets: list[bytes]) -> None:
        """What the forwarder's system did not take waits here; none: it does not serve this connection."""
        if not packets:  # nor did it send what it was given since it had the place
            self._place = None
            self._ask()
        elif self._line is not None and not self._line.is_over:
            self._line.send(packets)

    def _built(self, frame: Sent, begin: int, end: int) -> list[bytes]:
        """Its packets from number ``begin`` on."""
        index, timestamp, extensions, picture, payloads = frame
        pack, first, kind, source = HEADER.pack, self._first, self._kind, self._ssrc
        index += begin
        made = [
            pack(first, kind, index + number & 0xFFFF, timestamp, source) + extensions + head + picture + body
            for number, (head, body) in enumerate(payloads[begin:end])
        ]
        if end == len(payloads):
            last = pack(first, kind | MARKER, index + end - begin - 1 & 0xFFFF, timestamp, source)
            made[-1] = last + made[-1][HEADER.size :]
        return made

    def _transmit(self, line: Line, packets: list[bytes], index: int) -> None:
        """From here. ``index``: of the last one, where they are of the stream itself."""
        protect = self._secured._tx_srtp.protect
        if index > self._seen:
            self._seen = caught_up(protect, self._ssrc, self._seen, index)
        sent = list(map(protect, packets))
        line.send(sent)
        self._count(len(sent), sum(map(len, sent)))

    def _count(self, packets: int, size: int) -> None:
        self._secured._RTCDtlsTransport__tx_packets += packets
        self._secured._RTCDtlsTransport__tx_bytes += size

    def _extensions(self, leaves: bytes) -> bytes:
        """Whose stream it is, and when this leaves."""
        before, has_time, after = self._template
        return before + leaves + after if has_time else before

    def _keep(self, frame: Sent) -> None:
        """For whoever lost them."""
        kept = self._kept
        kept.append(frame)
        self._kept_packets += len(frame[4])
        while self._kept_packets - len(kept[0][4]) >= KEPT:
            self._kept_packets -= len(kept.popleft()[4])

    # What aiortc calls.

    async def _run_rtp(self, codec: Any) -> None:
        """Until the connection is no more."""
        self._RTCRtpSender__rtp_started.set()
        track = self._forwarded
        self._secured: Any = self.transport
        self._nominated = self._secured.transport._connection._nominated
        self._forwarder.come()
        try:
            self._kind, self._template = codec.payloadType, self._made_template()
            self._keeps = any(each.type == "nack" and not each.parameter for each in codec.rtcpFeedback)
            self._first = EXTENDED if self._template[0] else PLAIN
            track.begin(self)
            await self._over
        except asyncio.CancelledError:
            pass
        finally:
            if not self._over.done():
                self._over.set_result(None)
            track.stop()
            self._leave_place()
            self._forwarder.leave()
            self._RTCRtpSender__track = self._RTCRtpSender__encoder = None
            self._RTCRtpSender__rtp_exited.set()

    def _made_template(self) -> tuple[bytes, bool, bytes]:
        """The header's extensions: what is before the time, whether there is one, what is behind it."""
        made = []
        for at in (0, 0xFFFFFF):
            fields = HeaderExtensions(abs_send_time=at, mid=self._RTCRtpSender__mid)
            profile, value = self._RTCRtpSender__rtp_header_extensions_map.set(fields)
            made.append(struct.pack("!HH", profile, len(value) // 4) + value if value else b"")
        none, full = made
        begin = next((at for at, (one, other) in enumerate(zip(none, full, strict=True)) if one != other), None)
        return (none, False, b"") if begin is None else (none[:begin], True, none[begin + 3 :])

    async def _retransmit(self, sequence_number: int) -> None:
        """The same again: encrypted under the same number there must not be anything else."""
        for frame in reversed(self._kept):
            number = (sequence_number - frame[0]) & 0xFFFF
            if number < len(frame[4]):
                (packet,) = self._built(frame, number, number + 1)
                again = self._again(packet, sequence_number, len(frame[2]))
                is_own = self._RTCRtpSender__rtx_payload_type is None
                self._transmit(self._reach(), [again], frame[0] + number if is_own else 0)
                return

    def _again(self, packet: bytes, sequence_number: int, extensions: int) -> bytes:
        """In the stream for what is sent again, where there is one (RFC 4588)."""
        kind = self._RTCRtpSender__rtx_payload_type
        if kind is None:
            return packet
        at, number = HEADER.size + extensions, self._RTCRtpSender__rtx_sequence_number
        self._RTCRtpSender__rtx_sequence_number = (number + 1) & 0xFFFF
        first, before, _, timestamp, _ = HEADER.unpack_from(packet)
        header = HEADER.pack(first, before & MARKER | kind, number, timestamp, self._rtx_ssrc)
        return header + packet[HEADER.size : at] + NUMBER.pack(sequence_number) + packet[at:]

    def _send_keyframe(self) -> None:
        self._ask()

    @property
    def _RTCRtpSender__ntp_timestamp(self) -> int:
        """Reports say when a frame was to leave by the clock: what encoding and sending took is no time of its own."""
        if self._reported[0] != self._last_ns:
            late = rescale(self._forwarded.late_ns(self._last_ns), 1 << 32, NS)
            self._reported = self._last_ns, current_ntp_time() - late
        return self._reported[1]


def forward(
    transceiver: RTCRtpTransceiver,
    track: Forwarded,
    ask: Callable[[], None],
    estimated: Callable[[int], None],
    forwarder: Forwarder | None = None,
) -> str | None:
    """Once the codec is negotiated, before the first packet: frames of ``track`` are forwarded. Which codec they have
    to have, as ``video/vp8``; None where it is one that nobody here can cut into payloads, and nothing is sent.

    ``estimated`` is told what the line can take, in bits per second, ``ask`` that a whole frame is wanted;
    ``forwarder``: None = whatever is sent is sent by this process.
    """
    codec: str = transceiver._codecs[0].mimeType.lower()
    if codec not in CUTS:
        return None
    sender: Any = transceiver.sender
    sender.__class__ = ForwardingSender
    sender._become(track, ask, estimated, forwarder)
    return codec
