"""What one connection may bring, and ask for, in a second. What is above it is dropped and counted, by kind."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from realtime_dub.web import limits
from realtime_dub.web.rates import TokenBucket

LEAST_DATAGRAM = 8  # bytes: no protocol here has less, and aiortc looks at the first one


class Floodgate:
    """Of one connection, on the loop."""

    def __init__(self, dropped: Counter[str]) -> None:
        self.dropped = dropped
        self._datagrams = TokenBucket(limits.DATAGRAMS_PER_S, limits.DATAGRAMS_BURST)
        self._bytes = TokenBucket(limits.DATAGRAM_BYTES_PER_S, limits.DATAGRAM_BYTES_BURST)
        self._resends = TokenBucket(limits.RESENDS_PER_S, limits.RESENDS_BURST)
        self._key_frames = TokenBucket(limits.KEY_FRAMES_PER_S, limits.KEY_FRAMES_BURST)
        self._data = TokenBucket(limits.DATA_PACKETS_PER_S, limits.DATA_PACKETS_BURST)
        self._data_bytes = TokenBucket(limits.DATA_BYTES_PER_S, limits.DATA_BYTES_BURST)
        self._messages = TokenBucket(limits.MESSAGES_PER_S, limits.MESSAGES_BURST)
        self._sources: set[bytes] = set()
        self._channels = 0

    def datagram(self, data: bytes) -> bool:
        now_s = time.monotonic()
        fits = self._datagrams.take(1, now_s) and self._bytes.take(len(data), now_s)
        return self._counted("packets", fits) and len(data) >= LEAST_DATAGRAM

    def source(self, packet: bytes) -> bool:
        """Whether an RTP packet's source is one of the first few. Of packets that are the visitor's for certain."""
        source = packet[8:12]
        if source not in self._sources and len(self._sources) < limits.MOST_SOURCES:
            self._sources.add(source)
        return self._counted("sources", source in self._sources)

    def resends(self, lost: Sequence[int]) -> list[int]:
        """The packets to send again, of those that are asked for."""
        asked = list(dict.fromkeys(lost))
        count = min(len(asked), max(0, int(self._resends.left(time.monotonic()))))
        self._resends.spend(count)
        self._counted("resends", count == len(asked))
        return asked[:count]

    def key_frame(self) -> bool:
        return self._counted("key frames", self._key_frames.take(1, time.monotonic()))

    def data(self, size: int, pieces: int, held: int) -> bool:
        """A packet of the data channels with so many pieces of messages, where so many are held already.

        None any more from who opens too many channels or completes nothing: each takes memory until the end, and time
        with each packet.
        """
        now_s = time.monotonic()
        fits = self._channels <= limits.MOST_CHANNELS and held <= limits.DATA_HELD
        fits = fits and self._data.take(max(1, pieces), now_s)
        return self._counted("data", fits and self._data_bytes.take(size, now_s))

    def message(self) -> bool:
        return self._counted("messages", self._messages.take(1, time.monotonic()))

    def channel(self) -> bool:
        """Another data channel."""
        self._channels += 1
        return self._counted("channels", self._channels <= limits.MOST_CHANNELS)

    def failed(self) -> None:
        """Something could not be read."""
        self.dropped["damaged"] += 1

    def _counted(self, kind: str, fits: bool) -> bool:
        self.dropped[kind] += not fits
        return fits
