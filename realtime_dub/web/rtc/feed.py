"""What one connection is shown: its tracks stay, the timeline that they come from may become another one.

All timelines have one clock: what leaves at an instant has that instant's stamp, be it dubbed or not. So
nothing has to be negotiated anew where a viewer takes another channel. Where the frames of one timeline come later than
those of another, as on a busy machine, stamps go on at the pace of the frames (``Stamps``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aiortc import RTCRtpTransceiver
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from realtime_dub.clock import Clock
from realtime_dub.media import MS
from realtime_dub.web.rtc import aiortc_sending
from realtime_dub.web.rtc.aiortc_sending import ForwardingSender
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.forwarder.group import Group
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.rtc.packets import Chain, Packet
from realtime_dub.web.rtc.shared_encoding import AudioStream, Stream, VideoStream, audio_of, video_of

STEP_NS = MS  # at least, between frames
MOST_SHIFT_NS = 1_500 * MS  # more is no lateness: a stream that stood still
CAUGHT_UP = 0.2  # of each step between frames


class Stamps:
    """Of the frames that one connection is shown, whichever timelines they are of.

    What comes first of another timeline is stamped with the instant at which the one before would have gone on. Its
    own stamps may be hundreds of ms from that: a browser that was given them would hold the frames back for so long, or
    take them for late, and be later from then on. From frame to frame stamps come nearer to the timeline's own, with
    which its audio is in step.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shift_ns = 0
        self._own_ns: int | None = None  # of the frame before in its timeline; None: another one begins
        self._last_ns = self._at_ns = 0  # as it was stamped, and when

    @property
    def are_own(self) -> bool:
        """The timeline's."""
        return self._shift_ns == 0 and self._own_ns is not None

    def begin(self) -> None:
        """What comes now is of another timeline."""
        self._own_ns = None

    def of(self, leaves_ns: int) -> int:
        """Of a frame that was to leave then."""
        now_ns = self._clock.now_ns()
        if self._own_ns is not None:
            nearer_ns = round(CAUGHT_UP * max(0, leaves_ns - self._own_ns))
            self._shift_ns -= max(-nearer_ns, min(nearer_ns, self._shift_ns))
        elif self._last_ns:
            shift_ns = self._last_ns + max(STEP_NS, now_ns - self._at_ns) - leaves_ns
            self._shift_ns = shift_ns if abs(shift_ns) <= MOST_SHIFT_NS else 0
        stamp_ns = max(leaves_ns + self._shift_ns, self._last_ns + STEP_NS)
        self._own_ns, self._last_ns, self._at_ns = leaves_ns, stamp_ns, now_ns
        return stamp_ns

    def went_on(self, leaves_ns: int) -> None:
        """Frames up to that were sent by somebody else, with their own stamps."""
        if leaves_ns > self._last_ns:
            self._own_ns = self._last_ns = leaves_ns
            self._at_ns = self._clock.now_ns()


class PacketOut(MediaStreamTrack):
    """A track of packets. ``begun`` is called when it is connected, ``ended`` when it needs no more."""

    def __init__(self, kind: str, clock: Clock, begun: Callable[[], None], ended: Callable[[], None]) -> None:
        super().__init__()
        self.kind, self._clock = kind, clock
        self.is_wanted = False  # somebody is connected: before, nothing is encoded for it
        self._begun, self._ended = begun, ended
        self._sender: ForwardingSender | None = None

    @property
    def is_full(self) -> bool:
        """Its line takes nothing just now."""
        return self._sender is not None and self._sender.is_behind

    def late_ns(self, leaves_ns: int) -> int:
        return self._clock.now_ns() - leaves_ns

    def begin(self, sender: ForwardingSender) -> None:
        if self.readyState == "live":
            self._sender, self.is_wanted = sender, True
            self._begun()

    def put(self, packet: Packet) -> None:
        if self._sender is not None:
            self._sender.forward(packet)

    def enter(self, group: Group, ended: Callable[[], None]) -> bool:
        """What is given to the group goes there, too, from now on until ``ended``; False where it cannot."""
        return self._sender is not None and self._sender.enter(group, ended)

    def exit(self) -> None:
        """Idempotent."""
        if self._sender is not None:
            self._sender.exit()

    async def recv(self) -> Any:
        """Nobody does: what is forwarded has no frames to take."""
        raise MediaStreamError

    def stop(self) -> None:
        if self.readyState == "live":
            super().stop()
            self.exit()
            self.is_wanted, self._sender = False, None
            self._ended()


class Feed:
    """Of one connection. ``chosen`` says whose video and whose audio it is shown, and how loud it hears the original
    under them; on the loop.
    """

    def __init__(
        self,
        chosen: Callable[[], tuple[OutputTimeline, OutputTimeline, float]],
        start: int,
        most: int,
        forwarder: Forwarder | None = None,
    ) -> None:
        """Bits per second of its video, to begin with and at most. ``forwarder``: that sends to many, where many are;
        None = this process sends to all.
        """
        self._chosen, self._rates, self._forwarder = chosen, (start, most), forwarder
        clock = chosen()[0].clock
        self.video = PacketOut("video", clock, self.refresh, self._end_video)
        self.audio = PacketOut("audio", clock, self.refresh, self._end_audio)
        self._codec: str | None = None  # once it is negotiated
        self._now: VideoStream | None = None
        self._next: VideoStream | None = None  # until its first whole frame comes, the one before goes on
        self._heard: AudioStream | None = None
        self._chain = Chain(self._ask_whole)
        self._stamps = Stamps(clock)  # of its video
        self._heard_ns = 0  # the stamp of the newest of its audio

    def track(self, kind: str) -> PacketOut:
        return self.video if kind == "video" else self.audio

    def begin(self, transceiver: RTCRtpTransceiver) -> None:
        """That track is negotiated."""
        track = self.track(transceiver.kind)
        codec = aiortc_sending.forward(transceiver, track, self._ask_whole, self._estimate, self._forwarder)
        if transceiver.kind == "video":
            self._codec = codec

    def refresh(self) -> None:
        """Something that ``chosen`` depends on may be another now."""
        video, audio, level = self._chosen()
        if self._codec is not None and self.video.is_wanted:
            self._show(video_of(video, self._codec, *self._rates))
        if self.audio.is_wanted:
            self._sound(audio_of(audio, level))

    def close(self) -> None:
        """Also where it never came about. Idempotent."""
        self.video.stop()
        self.audio.stop()

    def _show(self, stream: VideoStream) -> None:
        if stream is (self._next or self._now):
            return
        if self._next is not None:
            self._next.leave(self._first)
            self._next = None
        if stream is not self._now:  # else: back before the other one came
            self._next = stream
            stream.join(self._first)

    def _first(self, packet: Packet) -> None:
        """Of the stream that is to be shown."""
        if not packet.whole or self._next is None:
            return
        self.video.exit()
        stream, before = self._next, self._now
        self._next, self._now = None, stream
        self._stamps.begin()
        stream.leave_to(self._first, self._seen)
        if before is not None:
            before.leave(self._seen)
        self._seen(packet)

    def _seen(self, packet: Packet) -> None:
        if self._chain.takes(packet, self.video.is_full):
            stamp_ns = self._stamps.of(packet.leaves_ns)
            self.video.put(packet if stamp_ns == packet.leaves_ns else packet.at("video", stamp_ns))
            if self._stamps.are_own:
                self._part(self._now, self._seen, self.video)

    def _sound(self, stream: AudioStream) -> None:
        if stream is not self._heard:
            self.audio.exit()
            stream.join(self._hear)
            before, self._heard = self._heard, stream
            if before is not None:
                before.leave(self._hear)

    def _hear(self, packet: Packet) -> None:
        """In order of time; what has left already, of another timeline at its time, is left out."""
        if not self.audio.is_full and packet.leaves_ns > self._heard_ns:
            self._heard_ns = packet.leaves_ns
            self.audio.put(packet)
            self._part(self._heard, self._hear, self.audio)

    def _part(self, stream: Stream | None, take: Callable[[Packet], None], track: PacketOut) -> None:
        """Where a forwarder takes it over, nothing of it comes by here from now on."""
        if self._forwarder is not None and self._forwarder.pid is not None and stream is not None:
            group = stream.group(self._forwarder)
            if track.enter(group, partial(self._come_back, stream, group, take, track.kind)):
                stream.set_apart(take)

    def _come_back(self, stream: Stream, group: Group, take: Callable[[Packet], None], kind: str) -> None:
        if group.newest is not None and kind == "video":
            self._stamps.went_on(group.newest.leaves_ns)
        elif group.newest is not None:
            self._heard_ns = max(self._heard_ns, group.newest.leaves_ns)
        stream.take_back(take)

    def _estimate(self, bitrate: int) -> None:
        if self._now is not None:
            self._now.estimate(self._seen, bitrate)

    def _ask_whole(self) -> None:
        if self._now is not None:
            self._now.ask_whole()

    def _end_video(self) -> None:
        streams: tuple[tuple[Stream | None, Callable[[Packet], None]], ...]
        streams = (self._now, self._seen), (self._next, self._first)
        self._now = self._next = None
        for stream, take in streams:
            if stream is not None:
                stream.leave(take)

    def _end_audio(self) -> None:
        stream, self._heard = self._heard, None
        if stream is not None:
            stream.leave(self._hear)
