"""Messages between a track's decoding and its decoder: heads of fixed size, and bytes behind them.

Pictures lie in memory that both have, a place for each; a place is told by its number. Nothing is unpickled, and
everything has a bound: what a visitor sends may have brought the other side to anything.
"""

from __future__ import annotations

import socket
import struct
from dataclasses import astuple, dataclass

from realtime_dub.web.limits import DECODER_FRAMES, MOST_CODED_PIXELS

DECODE, MORE = 0, 1  # asks: a coded frame, or the next of the pictures that one gave
NOTHING, PICTURE, SOUND, DAMAGED = range(4)  # answers
FORMATS = ("yuv420p", "yuvj420p")  # of a picture: planes of 8 bits, 4:2:0
PLACE_BYTES = MOST_CODED_PIXELS * 3 // 2  # those that no picture fills take no memory
MEMORY_BYTES = DECODER_FRAMES * PLACE_BYTES + 4096  # swscale reads a little beyond the last picture
MOST_SOUND = 1 << 16  # bytes: 120 ms of two channels are 23,040
_ASK, _TELL = struct.Struct("<BBBxIII"), struct.Struct("<BBBBBxHHIqI")
Buffer = bytearray | memoryview


@dataclass(frozen=True, slots=True)
class Asked:
    """``steps``: of niceness, at least. ``most_pixels``: of a picture; a larger one is made smaller."""

    what: int
    place: int
    steps: int
    most_pixels: int
    timestamp: int
    size: int  # of what is behind it, bytes


@dataclass(frozen=True, slots=True)
class Told:
    """``more``: another picture of the same coded frame can be asked for. ``took_us``: of the processor."""

    what: int
    more: int = 0
    format: int = 0
    range: int = 0
    space: int = 0
    width: int = 0
    height: int = 0
    took_us: int = 0
    pts: int = 0
    size: int = 0


def ask(channel: socket.socket, asked: Asked, data: bytes = b"") -> None:
    """Raises OSError where nobody takes it, in the channel's time."""
    _send(channel, _ASK.pack(*astuple(asked)), data)


def tell(channel: socket.socket, told: Told, data: bytes | memoryview = b"") -> None:
    _send(channel, _TELL.pack(*astuple(told)), data)


def asked(channel: socket.socket) -> tuple[Asked, bytes]:
    """What is asked. Raises OSError, EOFError where the other side has ended."""
    head = Asked(*_ASK.unpack(_exactly(channel, _ASK.size)))
    return head, bytes(_exactly(channel, head.size)) if head.size else b""


def told(channel: socket.socket) -> tuple[Told, bytes]:
    """What is told. Raises OSError (TimeoutError), EOFError, ValueError for what no decoder says."""
    head = Told(*_TELL.unpack(_exactly(channel, _TELL.size)))
    if head.what > DAMAGED or head.size > MOST_SOUND or head.format >= len(FORMATS):
        raise ValueError("no answer of a decoder")
    if head.what == PICTURE and not (0 < head.width * head.height * 3 <= 2 * PLACE_BYTES):
        raise ValueError("a picture that has no place")
    return head, bytes(_exactly(channel, head.size)) if head.size else b""


def _send(channel: socket.socket, head: bytes, data: bytes | memoryview) -> None:
    sent = channel.sendmsg((head, data)) if data else channel.send(head)
    if sent < len(head) + len(data):
        channel.sendall((head + bytes(data))[sent:])


def _exactly(channel: socket.socket, count: int) -> Buffer:
    data = bytearray(count)
    filled = channel.recv_into(data)
    if not filled:
        raise EOFError("the other side has ended")
    while filled < count:
        got = channel.recv_into(memoryview(data)[filled:])
        if not got:
            raise EOFError("the other side has ended")
        filled += got
    return data
