"""The packets of one sound of a file, what moves them where files were strung together, and what time they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from realtime_dub.media import MS, NS, samples_to_ns, ticks_to_ns
from realtime_dub.sources.avinput import nominal_rate, start_ns
from realtime_dub.sources.stream_choice import choose_film, films

FILM_JUMP_NS = NS  # back by more than this, and a file's times start anew: the rule of its pictures
SOUND_JUMP_NS = 200 * MS  # where there are no pictures to keep step with; less is disorder
IN_STEP_NS = 1_500 * MS  # between the picture and the sound of one instant, in the order of the file
MOST_HELD = 500  # packets
SURE_NS = 20 * MS  # by which counted and true times have to differ


def pictures(container: Any) -> tuple[int, int | None]:
    """Where the file's pictures begin and end, for a loop to keep step with them; (0, None) where there are none."""
    for stream in films(container):
        if stream.duration is not None:
            begin_ns = ticks_to_ns(stream.start_time or 0, stream.time_base) - start_ns(container)
            return begin_ns, begin_ns + ticks_to_ns(stream.duration, stream.time_base)
    return 0, None


class SoundPackets:
    """Packets in the order of the file.

    Where the times jump back, pictures go on directly after the last one, and the sound has to be moved by as much:
    ``moved_ns``, known once the packet after the jump is given; None where nothing but the sound itself tells.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container, self._stream = container, stream
        self._film = choose_film(container, None, "") if films(container) else None
        self._start_ns = start_ns(container)
        self._sound_ns: int | None = None  # the newest packet's own time
        self._film_ns: int | None = None
        self._film_moved_ns = self._moved_before_ns = 0
        self._last_shown_ns: int | None = None
        self.jump_ns = FILM_JUMP_NS if self._film else SOUND_JUMP_NS
        self.moved_ns: int | None = None

    def __iter__(self) -> Iterator[Any]:
        held: list[Any] = []  # after a jump, until the pictures have come to the same place
        streams = [stream for stream in (self._stream, self._film) if stream is not None]
        for packet in self._container.demux(*streams):
            if packet.stream.index != self._stream.index:
                self._follow(packet)
            elif held or self._jumps(packet):
                held.append(packet)
            else:
                yield packet
            if held and (len(held) > MOST_HELD or self._in_step(held[0])):
                self._settle(held[0])
                yield from held
                held = []
        yield from held

    def _own_ns(self, packet: Any) -> int | None:
        return None if packet.pts is None else ticks_to_ns(packet.pts, packet.time_base) - self._start_ns

    def _jumps(self, packet: Any) -> bool:
        before_ns, self._sound_ns = self._sound_ns, self._own_ns(packet)
        return before_ns is not None and self._sound_ns is not None and self._sound_ns < before_ns - self.jump_ns

    def _in_step(self, packet: Any) -> bool:
        own_ns = self._own_ns(packet)
        return own_ns is not None and self._film_ns is not None and abs(self._film_ns - own_ns) < IN_STEP_NS

    def _settle(self, packet: Any) -> None:
        """The pictures count where they have jumped, too."""
        jumped = self._in_step(packet) and self._film_moved_ns != self._moved_before_ns
        self.moved_ns = self._film_moved_ns if jumped else None
        self._moved_before_ns = self._film_moved_ns

    def _follow(self, packet: Any) -> None:
        """A picture's packet: where it will be shown."""
        own_ns = self._own_ns(packet)
        if own_ns is None:
            return
        last_ns = self._last_shown_ns
        if last_ns is not None and own_ns + self._film_moved_ns < last_ns - FILM_JUMP_NS:
            self._film_moved_ns = last_ns + self._period_ns() - own_ns
            self._last_shown_ns = None
        self._film_ns, shown_ns = own_ns, own_ns + self._film_moved_ns
        self._last_shown_ns = shown_ns if self._last_shown_ns is None else max(self._last_shown_ns, shown_ns)

    def _period_ns(self) -> int:
        assert self._film is not None
        return round(NS / nominal_rate(self._film))


class FrameTimes:
    """The own time of each decoded frame, in ns from the file's time 0; None where it is to follow the one before.

    Some kinds of file count samples instead of telling times, as if the rate were always the first. So after a change
    of rate the times are not believed until it is seen which they do, and never again where they count.
    """

    def __init__(self, container: Any, rate: int) -> None:
        self._start_ns, self._first_rate = start_ns(container), rate
        self._rate = rate
        self._counts: bool | None = False  # None = not yet known
        self._since_ns = self._true_ns = self._counted_ns = 0  # the change, and what has been heard from there on

    def __call__(self, frame: Any) -> int | None:
        if frame.pts is None or self._counts:
            return None
        own_ns = ticks_to_ns(frame.pts, frame.time_base) - self._start_ns
        if frame.sample_rate != self._rate:
            self._rate, self._since_ns = frame.sample_rate, own_ns
            self._true_ns = self._counted_ns = 0
            self._counts = None
        elif self._counts is None:
            self._decide(own_ns - self._since_ns)
        began = self._true_ns == 0
        self._true_ns += samples_to_ns(frame.samples, self._rate)
        self._counted_ns += samples_to_ns(frame.samples, self._first_rate)
        return own_ns if began or self._counts is False else None

    def _decide(self, passed_ns: int) -> None:
        if abs(self._true_ns - self._counted_ns) > SURE_NS:
            self._counts = abs(passed_ns - self._counted_ns) < abs(passed_ns - self._true_ns)
        elif self._rate == self._first_rate:
            self._counts = False
