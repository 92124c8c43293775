"""Those whom a forwarder sends what one encoder makes: of a frame that many get, the worker has one thing to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from aiortc.rtp import RTP_HISTORY_SIZE

from realtime_dub.web.rtc.forwarder.forwarder import Forwarder, leaves_now
from realtime_dub.web.rtc.packets import Chain, Packet

KEPT = 4 * RTP_HISTORY_SIZE  # packets, at least: all share what is in them
T = TypeVar("T")


class History(Generic[T]):
    """The newest frames, which may be asked for again, with ``KEPT`` packets at least."""

    def __init__(self) -> None:
        self._frames: deque[tuple[int, T]] = deque()
        self._packets = 0

    def add(self, frame: T, packets: int) -> None:
        self._frames.append((packets, frame))
        self._packets += packets
        while self._packets - self._frames[0][0] >= KEPT:
            self._packets -= self._frames.popleft()[0]

    def __iter__(self) -> Iterator[T]:
        """The oldest first."""
        return (frame for _, frame in self._frames)

    def __reversed__(self) -> Iterator[T]:
        return (frame for _, frame in reversed(self._frames))


class Counts(NamedTuple):
    """Of what was given."""

    packets: int = 0
    octets: int = 0
    frames: int = 0

    def since(self, before: Counts) -> Counts:
        packets, octets, frames = before
        return Counts(self.packets - packets, self.octets - octets, self.frames - frames)


class Given(NamedTuple):
    """A frame: what was given before it, when it left as headers say it, and what is in it."""

    before: Counts
    leaves: bytes
    packet: Packet


class Group:
    """Of one encoder. ``ask_whole``: something was left out, and what follows needs it."""

    def __init__(self, forwarder: Forwarder, ask_whole: Callable[[], None]) -> None:
        self.number = forwarder.number()
        self.counts = Counts()
        self.newest: Packet | None = None
        self.kept: History[Given] = History()
        self._forwarder, self._chain = forwarder, Chain(ask_whole)

    def give(self, packet: Packet) -> None:
        """To all who are in it."""
        if not self._chain.takes(packet, self._forwarder.is_full):
            return
        before, leaves, count = self.counts, leaves_now(), len(packet.payloads)
        self.counts = Counts(before.packets + count, before.octets + packet.size, before.frames + 1)
        self.newest = packet
        self.kept.add(Given(before, leaves, packet), count)
        self._forwarder.give(self.number, packet, leaves)


class Member:
    """A sender, from the moment in which it comes into a group. ``place``: its own at the forwarder."""

    def __init__(self, group: Group, place: int) -> None:
        self.place = place
        self._group, self._before = group, group.counts

    @property
    def gained(self) -> Counts:
        """By what the group was given since."""
        return self._group.counts.since(self._before)

    @property
    def newest(self) -> Packet | None:
        """The newest frame; None before the first."""
        return self._group.newest if self._group.counts != self._before else None

    @property
    def kept(self) -> list[tuple[Counts, Given]]:
        """Frames that may be asked for again, the oldest first, and what it had gained before each."""
        return [(each.before.since(self._before), each) for each in self._group.kept if each.before >= self._before]
