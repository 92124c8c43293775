"""The way from one connection to its other side: packets of one size leave in one call of the system's.

Linux cuts a datagram that is many times too long into many (UDP_SEGMENT): a frame of ten packets goes once through the
system, which takes a quarter of the time of ten. Elsewhere, behind a relay and where the card cannot, they go
one by one.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence
from typing import Any

UDP_SEGMENT = 103  # of linux/udp.h; Python has no name for it
CUTS = sys.platform == "linux"


class Line:
    """Over one pair of aioice's candidates."""

    def __init__(self, pair: Any) -> None:
        """``pair``: the one that is chosen. Raises ConnectionError where there is none."""
        if pair is None:
            raise ConnectionError("there is no way to the other side")
        self.pair, self.to = pair, pair.remote_addr
        self._transport = pair.protocol.transport
        self._is_closing = getattr(self._transport, "is_closing", bool)  # behind a relay it cannot tell
        self._untaken = getattr(self._transport, "_buffer", ())
        if self.is_over:
            raise ConnectionError("the way to the other side is closed")
        # That it goes through: behind a relay there is none of its own.
        self.socket: socket.socket | None = getattr(self._transport, "_sock", None)
        self._cuts = CUTS and self.socket is not None

    @property
    def is_over(self) -> bool:
        return bool(self._is_closing())

    @property
    def is_behind(self) -> bool:
        """The system takes no more just now: what it did not take waits here."""
        return bool(self._untaken)

    def send(self, packets: Sequence[bytes]) -> None:
        """In order; all of one size but for the last, which may be smaller."""
        if len(packets) == 1 or not self._cuts or self.is_behind or not self._send_at_once(packets):
            self._send_each(packets)

    def _send_each(self, packets: Sequence[bytes]) -> None:
        for packet in packets:
            self._transport.sendto(packet, self.to)

    def _send_at_once(self, packets: Sequence[bytes]) -> bool:
        assert self.socket is not None
        size = struct.pack("=H", len(packets[0]))
        try:
            self.socket.sendmsg(packets, [(socket.SOL_UDP, UDP_SEGMENT, size)], 0, self.to)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # this system, its card or its way cannot: from now on it is not asked again
            self._cuts = False
            return False
        return True
