"""The way from one connection to its other side: packets of one size leave in one call of the system's.

Linux cuts a datagram that is many times too long into many (UDP_SEGMENT): a frame of ten packets goes once through the
system, which takes a quarter of the time of ten. Elsewhere, behind a relay and where the card cannot, they go
one by one.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import Any

UDP_SEGMENT = 103  # of linux/udp.h; Python has no name for it
MOST_SEGMENTS, MOST_BYTES = 64, 64_000  # in one call
CUTS = sys.platform == "linux"


class Line:
    """Over one pair of aioice's candidates."""

    def __init__(self, pair: Any) -> None:
        self._pair, self._to = pair, pair.remote_addr
        self._transport = pair.protocol.transport
        self._socket: socket.socket | None = getattr(self._transport, "_sock", None) if CUTS else None

    @classmethod
    def over(cls, connection: Any, line: Line | None) -> Line:
        """The way that ``connection`` has now: ``line`` still, if it is that. Raises ConnectionError."""
        pair = connection._nominated.get(1)
        if pair is None or pair.protocol.transport.is_closing():
            raise ConnectionError("there is no way to the other side")
        return line if line is not None and line._pair is pair else cls(pair)

    @property
    def is_behind(self) -> bool:
        """The system takes no more just now: what it did not take waits here."""
        return bool(getattr(self._transport, "_buffer", None))

    def send(self, packets: Sequence[bytes]) -> None:
        """In order. What is lost on the way is nobody's fault here."""
        if self._socket is None or len(packets) == 1 or self.is_behind:
            self._send_each(packets)
            return
        for some in runs(packets):
            if self.is_behind or not self._send_at_once(some):
                self._send_each(some)

    def _send_each(self, packets: Sequence[bytes]) -> None:
        for packet in packets:
            self._transport.sendto(packet, self._to)

    def _send_at_once(self, packets: Sequence[bytes]) -> bool:
        if self._socket is None or len(packets) == 1:
            return False
        size = struct.pack("=H", len(packets[0]))
        try:
            self._socket.sendmsg(packets, [(socket.SOL_UDP, UDP_SEGMENT, size)], 0, self._to)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # this system, its card or its way cannot: from now on it is not asked again
            self._socket = None
            return False
        return True


def runs(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """One after another, those that may leave together: of one size but for the last, which may be smaller."""
    begin = 0
    while begin < len(packets):
        size, end = len(packets[begin]), begin + 1
        most = begin + min(MOST_SEGMENTS, MOST_BYTES // size)
        while end < min(len(packets), most) and len(packets[end - 1]) == size >= len(packets[end]):
            end += 1
        yield packets[begin:end]
        begin = end
