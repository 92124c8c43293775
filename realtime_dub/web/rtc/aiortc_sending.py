"""Frames that are encoded already go out over one connection, without a task of aiortc's between encoder and socket.

aiortc has a task for each track of each connection, which builds, encrypts and sends packet by packet: 70 us each where
many watch. Here whoever has a frame calls :meth:`ForwardingSender.forward`, and it has left when that returns: what all
share was cut into payloads once (``shared_encoding``), and of a connection's own there are headers and encryption. The
rest of a sender stays aiortc's: reports, what the other side says, statistics, its beginning and its end.

Where many watch, a ``forwarder`` sends what a group is given, and a sender that is in one counts along: it reports,
sends what is asked for again, and goes on by itself when it leaves the group.

Like ``aiortc_access`` this reaches past aiortc's interface, for senders that were handed to it.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Protocol

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.clock import current_ntp_time
from aiortc.rtcdtlstransport import SRTP_PROFILES, State
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap
from aiortc.utils import random16, random32

from realtime_dub.media import NS, rescale
from realtime_dub.web.rtc.encoders import CUTS, Payloads
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder, leaves_now
from realtime_dub.web.rtc.forwarder.group import Counts, Given, Group, History, Member
from realtime_dub.web.rtc.forwarder.wire import Place, tag_bytes
from realtime_dub.web.rtc.line import Line
from realtime_dub.web.rtc.packets import Packet
from realtime_dub.web.rtc.rollover import caught_up

HEADER = struct.Struct("!BBHLL")
EXTRACTOR = b"EXTRACTOR-dtls_srtp"  # RFC 5764
NUMBER = struct.Struct("!H")
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
    _RTCRtpSender__rtp_exited: asyncio.Event
    _RTCRtpSender__rtp_header_extensions_map: HeaderExtensionsMap
    _RTCRtpSender__rtp_started: asyncio.Event
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
        self._member: Member | None = None  # there; what is counted below stands still meanwhile
        self._ended: Callable[[], None] = ask
        self._refused_by: int | None = None
        self._RTCRtpSender__encoder = Estimated(estimated)
        self._line: Line | None = None
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Indices of 48 bits (RFC 3711): of the next packet, and the highest one that was encrypted here.
        self._index = self._seen = random_sequence_number()
        self._timestamp_0, self._picture = random32(), random16()
        self._last_ns = 0  # when the newest frame was to leave
        self._reported = 0, 0  # that, and what it is on the clock of reports
        self._kept: History[Sent] = History()
        self._packets = self._octets = self._timestamp = 0

    @property
    def is_behind(self) -> bool:
        """The system takes nothing from this connection just now."""
        return self._line is not None and self._line.is_behind

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
        frame = index, timestamp, self._extensions(leaves_now()), picture, payloads
        for begin, end in packet.runs:
            self._transmit(line, self._built(frame, begin, end), index + end - 1)
        self._index = index + len(payloads)
        if self._keeps:
            self._kept.add(frame, len(payloads))
        self._last_ns, self._timestamp = packet.leaves_ns, timestamp
        self._octets += packet.size
        self._packets += len(payloads)

    def _reach(self) -> Line:
        """Raises ConnectionError where there is no way any more."""
        if self._secured._state is not State.CONNECTED:
            raise ConnectionError
        line, nominated = self._line, self._nominated.get(1)
        if line is None or line.pair is not nominated or line.is_over:
            line = self._line = Line(nominated)
        return line

    # At the forwarder.

    def enter(self, group: Group, ended: Callable[[], None]) -> bool:
        """From now on it gets what the group is given, until ``ended``. False: this process sends to it."""
        line, forwarder = self._line, self._forwarder
        if self._over.done() or line is None or line.socket is None or line.is_behind or not self._enabled:
            return False
        if forwarder.pid is None or forwarder.pid == self._refused_by:
            return False
        place = forwarder.take(partial(self._described, line, group), line.socket.fileno(), self)
        if place is None:
            return False
        self._member, self._ended = Member(group, place), ended
        return True

    def look(self) -> None:
        """Where the connection is over or goes another way, it is found out with the next frame."""
        line, is_up = self._line, self._secured._state is State.CONNECTED
        if line is None or line.is_over or line.pair is not self._nominated.get(1) or not (is_up and self._enabled):
            self.exit()

    def back(self, packets: list[bytes]) -> None:
        """What the forwarder's system did not take waits here; none: it does not serve this connection."""
        if not packets:  # nor did it send what the group was given since
            self._refused_by = self._forwarder.pid
            self.exit()
            self._ask()
        elif self._line is not None and not self._line.is_over:
            self._line.send(packets)
            if self._line.is_behind:
                self.exit()

    def exit(self) -> None:
        """This process sends to it from now on. Idempotent."""
        if (member := self._member) is None:
            return
        gained, (self._last_ns, self._timestamp) = member.gained, self._newest
        for since, given in member.kept if self._keeps else ():
            self._kept.add(self._own(since, given), len(given.packet.payloads))
        self._member = None
        self._index += gained.packets
        self._packets += gained.packets
        self._octets += gained.octets
        self._picture += gained.frames
        self._count(gained.packets, gained.octets + gained.packets * self._around)
        self._forwarder.drop(member.place)
        self._ended()

    def _own(self, since: Counts, given: Given) -> Sent:
        """A frame of the group as this one's receiver got it."""
        packet = given.packet
        picture = NUMBER.pack(0x8000 | (self._picture + since.frames + 1) & 0x7FFF) if packet.is_numbered else b""
        timestamp = (self._timestamp_0 + packet.ticks) & 0xFFFFFFFF
        return self._index + since.packets, timestamp, self._extensions(given.leaves), picture, packet.payloads

    def _sent(self) -> Iterator[Sent]:
        """What may be asked for again, the newest first."""
        if self._member is not None:
            yield from itertools.starmap(self._own, reversed(self._member.kept))
        yield from reversed(self._kept)

    def _described(self, line: Line, group: Group, number: int) -> Place:
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
            number=number, group=group.number, source=self._ssrc, timestamp_0=self._timestamp_0,
            next_index=self._index, picture=self._picture & 0x7FFF, first=self._first, kind=self._kind,
            profile=profile.libsrtp_profile, port=port, has_time=has_time, before=before, after=after, key=key,
            host=host.encode(),
        )  # fmt: skip

    # Packets.

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
            self.exit()
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
        for frame in self._sent():
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
    def _RTCRtpSender__packet_count(self) -> int:
        return self._packets + (self._member.gained.packets if self._member is not None else 0)

    @property
    def _RTCRtpSender__octet_count(self) -> int:
        return self._octets + (self._member.gained.octets if self._member is not None else 0)

    @property
    def _newest(self) -> tuple[int, int]:
        """When the newest frame was to leave, and its stamp."""
        newest = self._member.newest if self._member is not None else None
        if newest is None:
            return self._last_ns, self._timestamp
        return newest.leaves_ns, (self._timestamp_0 + newest.ticks) & 0xFFFFFFFF

    @property
    def _RTCRtpSender__rtp_timestamp(self) -> int:
        return self._newest[1]

    @property
    def _RTCRtpSender__ntp_timestamp(self) -> int:
        """Reports say when a frame was to leave by the clock: what encoding and sending took is no time of its own."""
        leaves_ns = self._newest[0]
        if self._reported[0] != leaves_ns:
            late = rescale(self._forwarded.late_ns(leaves_ns), 1 << 32, NS)
            self._reported = leaves_ns, current_ntp_time() - late
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
