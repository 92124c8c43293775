"""What comes over the network passes a :class:`Floodgate` before aiortc sees it: aiortc has no limits of its own.

Like ``aiortc_access`` this reaches past the interface of aiortc and of aioice, per connection.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpSender
from aiortc.rtcrtpreceiver import NackGenerator
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RTP_HISTORY_SIZE,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtpPacket,
)

from realtime_dub.web.limits import ASK_AGAIN_S, FLOOD_REST_S, MOST_TARGETS
from realtime_dub.web.rtc import sctp_packets
from realtime_dub.web.rtc.floodgate import Floodgate


def guard(pc: RTCPeerConnection, gate: Floodgate) -> None:
    """Let nothing in but what ``gate`` lets in. Once the sockets are open, before the first packet."""
    for transport in transports(pc):
        for protocol in transport.transport._connection._protocols:
            _guard_socket(protocol, gate)
        _guard_media(transport, gate)
    for transceiver in pc.getTransceivers():
        _guard_sender(transceiver.sender, gate)
        _guard_receiver(transceiver.receiver, gate)
    if pc.sctp is not None:
        handle, association = pc.sctp._handle_data, pc.sctp

        async def data(packet: bytes) -> None:
            if association._advertised_rwnd <= 0:  # it goes on filling its window
                return
            if not sctp_packets.is_whole(packet):
                gate.failed()
            elif gate.data(len(packet), sctp_packets.pieces(packet), _held(association)):
                await _attempt(handle(packet), gate)

        setattr(pc.sctp, "_handle_data", data)  # noqa: B010


def keep_to(pc: RTCPeerConnection, allows: Callable[[str], bool]) -> None:
    """Send to addresses that are allowed, whatever names stand for, and to a number of those that wrote to us."""
    for transport in transports(pc):
        ice = transport.transport._connection
        add, check = ice._add_remote_candidate, ice.check_incoming

        def adds(candidate: Any, host: str, add: Any = add) -> None:
            if allows(host):
                add(candidate, host)

        def checks(message: Any, addr: Any, protocol: Any, ice: Any = ice, check: Any = check) -> None:
            known = {(each._network_host, each.port) for each in ice._remote_candidates}
            if (addr[0], addr[1]) in known or len(known) < 2 * MOST_TARGETS:
                check(message, addr, protocol)

        ice._add_remote_candidate, ice.check_incoming = adds, checks


def _held(association: Any) -> int:
    """What aiortc keeps of data channels, and walks through for each packet: its window counts bytes, and a piece of a
    message may have one.
    """
    streams = association._inbound_streams.values()
    return sum(1 + len(each.reassembly) for each in streams) + len(association._sack_misordered)


def transports(pc: RTCPeerConnection) -> set[Any]:
    """All of aiortc's DTLS transports under a connection."""
    data = [pc.sctp.transport] if pc.sctp is not None else []
    return {*data, *(transceiver.receiver.transport for transceiver in pc.getTransceivers())}


def _guard_socket(protocol: Any, gate: Floodgate) -> None:
    received = protocol.datagram_received

    def receive(data: bytes, addr: Any) -> None:
        if not gate.datagram(data):
            _rest(protocol.transport)
            return
        try:
            received(data, addr)
        except Exception:  # anybody can send anything to the port
            gate.failed()

    protocol.datagram_received = receive


def _rest(transport: Any) -> None:
    """Do not read for a moment: the system drops what comes meanwhile."""
    loop, socket = getattr(transport, "_loop", None), getattr(transport, "_sock_fd", None)
    if loop is None or socket is None or transport.is_closing():  # behind a relay there is no socket of ours
        return

    def go_on() -> None:
        if not transport.is_closing():
            loop._add_reader(socket, transport._read_ready)

    loop._remove_reader(socket)
    loop.call_later(FLOOD_REST_S, go_on)


def _guard_media(transport: Any, gate: Floodgate) -> None:
    handle_rtp, handle_rtcp = transport._handle_rtp_data, transport._handle_rtcp_data

    async def rtp(data: bytes, arrival_time_ms: int) -> None:
        if gate.source(data):
            await _attempt(handle_rtp(data, arrival_time_ms=arrival_time_ms), gate)
        else:
            transport._rx_srtp = None  # each source takes memory there: nothing more is taken from this visitor

    async def rtcp(data: bytes) -> None:
        await _attempt(handle_rtcp(data), gate)

    transport._handle_rtp_data, transport._handle_rtcp_data = rtp, rtcp


def _guard_sender(sender: RTCRtpSender, gate: Floodgate) -> None:
    handle = sender._handle_rtcp_packet

    async def listen(packet: Any) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            packet.lost = gate.resends(packet.lost)
        whole = isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_FIR, RTCP_PSFB_PLI)
        if not whole or gate.key_frame():
            await handle(packet)

    setattr(sender, "_handle_rtcp_packet", listen)  # noqa: B010


class BoundedNacks(NackGenerator):
    """What is missing, in small holes: aiortc counts through a hole of thirty thousand, for every packet.

    It is asked for again while it is missing: where the request or what was sent again got lost, too, aiortc waits
    until its buffer is full. With ten small pictures a second, the picture stands for six seconds then.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now_s, self._asked_s = now_s, 0.0

    def add(self, packet: RtpPacket) -> bool:
        if self.max_seq is not None and RTP_HISTORY_SIZE < (packet.sequence_number - self.max_seq) & 0xFFFF < 1 << 15:
            self.max_seq = None
            self.missing.clear()
        missed: bool = super().add(packet)
        now_s = self._now_s()
        if missed or (self.missing and now_s - self._asked_s > ASK_AGAIN_S):
            self._asked_s = now_s
            return True
        return False


def _guard_receiver(receiver: Any, gate: Floodgate) -> None:
    """Its reports go on, whatever the stamps are that they tell of: where they end, aiortc's ``stop`` never does."""
    send = receiver._send_rtcp

    async def sends(packet: Any) -> None:
        await _attempt(send(packet), gate)

    receiver._send_rtcp = sends
    if receiver._RTCRtpReceiver__nack_generator is not None:
        receiver._RTCRtpReceiver__nack_generator = BoundedNacks()


async def _attempt(work: Awaitable[None], gate: Floodgate) -> None:
    try:
        await work
    except ConnectionError:
        raise
    except Exception:  # text and bytes from outside lead aiortc to any kind of error, which would end its reader
        gate.failed()
