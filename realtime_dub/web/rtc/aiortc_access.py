"""Where the server reaches past aiortc's interface: with ``aiortc_guard`` and ``aiortc_sending`` the one that knows
names inside aiortc.

aiortc has no setting for its bitrates, none for its audio buffer, does not tell of sender reports, and sends its own of
when a packet went out. The objects it keeps for them are exchanged or listened to per connection; nothing in its
modules is changed.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCRtpTransceiver
from aiortc.jitterbuffer import MAX_MISORDER, JitterBuffer, JitterFrame
from aiortc.rtp import RtcpSrPacket, RtpPacket

from realtime_dub.media import MS, NS, rescale
from realtime_dub.web.config import FRAME_MS
from realtime_dub.web.rtc.concealment import with_lost
from realtime_dub.web.rtc.decoding import AudioDecoding, Decoders, Terms, VideoDecoding
from realtime_dub.web.rtc.encoders import ENCODERS, Apart

AUDIO_DEPTH = 3  # packets that have to be there after the one that is given out
AUDIO_DELAY_NS = (AUDIO_DEPTH + 1) * FRAME_MS * MS  # from the capture of a packet's first sample, without the network
CLOSE_S = 5.0

Late = Callable[[], int]  # ns since the instant at which the frame in hand was to leave
OnReport = Callable[[int, int], None]  # the sender's clock in ns, pts in ns on the track's own time line


class SteadyBuffer(JitterBuffer):
    """Audio packets in order, after a constant number of packets; the one after a hole tells the decoder of it.

    aiortc's own waits for a lost packet until its buffer overflows, and from then on keeps 300 ms instead of 80.
    """

    def __init__(self, depth: int = AUDIO_DEPTH) -> None:
        super().__init__(capacity=16)
        self._depth = depth
        self._held: dict[int, RtpPacket] = {}
        self._next: int | None = None
        self._given = False

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        number = packet.sequence_number
        if self._next is None:
            self._next = number
        late = (self._next - number) & 0xFFFF
        if 0 < late < MAX_MISORDER:
            if self._given:
                return False, None
            self._next = number  # the very first ones came in another order
        if self._distance(number) > MAX_MISORDER:  # another stream, or one that went on without us
            self._held.clear()
            self._next = number
        self._held[number] = packet
        if len(self._held) <= self._depth:
            return False, None
        oldest = min(self._held, key=self._distance)
        lost = self._distance(oldest) if self._given else 0
        self._next, self._given = (oldest + 1) & 0xFFFF, True
        return False, _frame(self._held.pop(oldest), lost)

    def _distance(self, number: int) -> int:
        assert self._next is not None
        return (number - self._next) & 0xFFFF


def _frame(packet: RtpPacket, lost: int) -> JitterFrame:
    """A packet for the decoder, beginning with the packets of its kind that were lost before it."""
    data: bytes = packet._data  # type: ignore[attr-defined]
    if lost and (concealing := with_lost(data, lost)) is not None:
        return JitterFrame(concealing[0], (packet.timestamp - concealing[1]) & 0xFFFFFFFF)
    return JitterFrame(data, packet.timestamp)


def use_bitrates(transceiver: RTCRtpTransceiver, start: int, most: int) -> None:
    """Before the first frame, once the codec is negotiated; bits per second."""
    codec = transceiver._codecs[0].mimeType.lower()
    if codec in ENCODERS:
        _set(transceiver.sender, "RTCRtpSender", "encoder", ENCODERS[codec](start, most))


def use_steady_buffer(receiver: RTCRtpReceiver) -> None:
    """Before the first packet."""
    _set(receiver, "RTCRtpReceiver", "jitter_buffer", SteadyBuffer())


def on_sender_report(receiver: RTCRtpReceiver, rate: int, fields: OnReport) -> None:
    """Call ``told`` for every sender report that comes once the track's first frame is known."""
    mapper = _get(receiver, "RTCRtpReceiver", "timestamp_mapper")
    handle = receiver._handle_rtcp_packet

    async def listen(packet: Any) -> None:
        if isinstance(packet, RtcpSrPacket) and mapper._origin is not None:
            info = packet.sender_info
            ticks = since_origin(info.rtp_timestamp, mapper._last, mapper._origin)
            fields(ntp_ns(info.ntp_timestamp), rescale(ticks, NS, rate))
        await handle(packet)

    setattr(receiver, "_handle_rtcp_packet", listen)  # noqa: B010  (mypy: a method)


class _Reporting(RTCRtpSender):
    """Its sender reports say when a frame was to leave by the clock: what encoding and sending took is no time of the
    frame's. aiortc writes both halves of a report just after it has sent a packet.
    """

    _late: Late

    @property
    def _RTCRtpSender__ntp_timestamp(self) -> int:
        return self._reported

    @_RTCRtpSender__ntp_timestamp.setter
    def _RTCRtpSender__ntp_timestamp(self, now: int) -> None:
        self._reported = now - rescale(self._late(), 1 << 32, NS)


def report_by_the_clock(sender: RTCRtpSender, late: Late) -> None:
    """Before the first packet. ``late`` is asked whenever a packet has been sent."""
    now = _get(sender, "RTCRtpSender", "ntp_timestamp")
    vars(sender).update(_late=late, _reported=now)
    sender.__class__ = _Reporting


def limit_decoding(receiver: RTCRtpReceiver, dropped: Counter[str], terms: Terms, decoders: Decoders) -> None:
    """Before the first packet. aiortc's thread then stays in ``Decoding.get``, and is not joined on the event loop."""
    track: Any = receiver.track
    if track is None:  # nothing comes
        return
    parts = (
        functools.partial(decoders.make, most_pixels=terms.most_pixels),
        track._queue.put_nowait,
        _get(receiver, "RTCRtpReceiver", "decoder_error").set,
        dropped,
    )
    video = _get(receiver, "RTCRtpReceiver", "kind") == "video"
    decoding = VideoDecoding(*parts, terms=terms) if video else AudioDecoding(*parts)
    _set(receiver, "RTCRtpReceiver", "decoder_queue", decoding)
    receive = receiver.receive

    async def start(parameters: Any) -> None:
        await receive(parameters)
        thread = _get(receiver, "RTCRtpReceiver", "decoder_thread")
        if isinstance(thread, threading.Thread):
            _set(receiver, "RTCRtpReceiver", "decoder_thread", _EndsByItself(thread))
            setattr(receiver, "_decodes", thread)  # noqa: B010

    setattr(receiver, "receive", start)  # noqa: B010  (mypy: a method)


class _EndsByItself:
    """A decoder's thread: it ends with the frame it has in hand, and nobody waits for it on the event loop."""

    def __init__(self, thread: threading.Thread) -> None:
        self.thread = thread

    def join(self) -> None:
        """aiortc calls it on the event loop."""


async def close(pc: RTCPeerConnection) -> None:
    """End a connection and the tracks it sends. Raises whatever aiortc does with one that is half made.

    aiortc's own ``close`` does not end a handshake that is under way: it comes to its end afterwards, and starts the
    threads and tasks of a connection that is no more.
    """
    connecting = [task for task in asyncio.all_tasks() if _connects(task, pc)]
    for task in connecting:
        task.cancel()
    await asyncio.gather(*connecting, return_exceptions=True)
    try:
        await asyncio.wait_for(pc.close(), CLOSE_S)
        await _decoders_ended(pc)
    finally:
        for transceiver in pc.getTransceivers():
            encoder = _get(transceiver.sender, "RTCRtpSender", "encoder")
            if isinstance(encoder, Apart):
                encoder.close()
            if transceiver.sender.track is not None:  # one that never came about has not ended it
                transceiver.sender.track.stop()


async def _decoders_ended(pc: RTCPeerConnection) -> None:
    threads = [thread for receiver in pc.getReceivers() if (thread := getattr(receiver, "_decodes", None)) is not None]
    await asyncio.gather(*(asyncio.to_thread(thread.join, CLOSE_S) for thread in threads if thread.is_alive()))


def _connects(task: asyncio.Task[Any], pc: RTCPeerConnection) -> bool:
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame is not None and frame.f_code.co_name == "__connect" and frame.f_locals.get("self") is pc


def since_origin(timestamp: int, last: int, origin: int) -> int:
    """A report's timestamp (32 bits) in ticks since the track's first. ``last`` is that of its newest frame, ``origin``
    that of the first, less 2^32 for each time that the count began anew, as aiortc keeps it.

    Told by the newest frame: the first is as far away as a page has been open, and from 6.6 hours of video on further
    than half a round of the count.
    """
    return last - origin + (timestamp - last + (1 << 31)) % (1 << 32) - (1 << 31)


def ntp_ns(timestamp: int) -> int:
    """An NTP time (32.32 bits) in ns."""
    return rescale(timestamp, NS, 1 << 32)


def _set(thing: object, owner: str, name: str, value: object) -> None:
    _get(thing, owner, name)
    setattr(thing, f"_{owner}__{name}", value)


def _get(thing: object, owner: str, name: str) -> Any:
    return getattr(thing, f"_{owner}__{name}")
