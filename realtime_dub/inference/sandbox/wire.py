"""Messages between a program and its process for foreign networks: a JSON head and float32 tensors behind it.

Nothing is unpickled, and everything has a bound: a network from elsewhere may have brought the other side to anything.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

SECONDS = "seconds"  # in a head: processor time that the answer may take
MOST_HEAD = 1_000_000  # bytes
MOST_BODY = 100_000_000
MOST_MODEL = 600_000_000
_SIZES = struct.Struct("<II")


def send(channel: socket.socket, head: Mapping[str, Any], tensors: Mapping[str, npt.NDArray[Any]]) -> None:
    """Raises OSError where nobody takes it, in the channel's time."""
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in tensors.items()}
    shapes = [[name, list(array.shape)] for name, array in arrays.items()]
    text = json.dumps({**head, "tensors": shapes}).encode()
    body = b"".join([array.tobytes() for array in arrays.values()])
    channel.sendall(_SIZES.pack(len(text), len(body)) + text + body)


def send_bytes(channel: socket.socket, head: Mapping[str, Any], data: bytes) -> None:
    """A file instead of tensors."""
    text = json.dumps(head).encode()
    channel.sendall(_SIZES.pack(len(text), len(data)) + text)
    channel.sendall(data)


def receive(
    channel: socket.socket, timeout_s: float | None = None, most: int = MOST_BODY
) -> tuple[dict[str, Any], memoryview]:
    """A head and what is behind it. Raises OSError (TimeoutError), ValueError, EOFError where the other side ended."""
    until_s = None if timeout_s is None else time.monotonic() + timeout_s
    head_size, body_size = _SIZES.unpack(_exactly(channel, _SIZES.size, until_s))
    if head_size > MOST_HEAD or body_size > most:
        raise ValueError("a message is too large")
    head = json.loads(bytes(_exactly(channel, head_size, until_s)))
    if not isinstance(head, dict):
        raise ValueError("a message has no head")
    return head, _exactly(channel, body_size, until_s)


def tensors_of(head: Mapping[str, Any], body: memoryview) -> dict[str, npt.NDArray[np.float32]]:
    """The tensors of a message. Raises ValueError, KeyError or TypeError where there are others than it says."""
    values, at, found = np.frombuffer(body, np.float32), 0, {}
    for name, shape in head["tensors"]:
        count = math.prod(shape)
        found[name] = values[at : at + count].reshape(shape)
        at += count
    return found


def _exactly(channel: socket.socket, count: int, until_s: float | None) -> memoryview:
    data = memoryview(bytearray(count))
    filled = 0
    while filled < count:
        if until_s is not None:
            channel.settimeout(max(until_s - time.monotonic(), 1e-3))
        got = channel.recv_into(data[filled:])
        if not got:
            raise EOFError("the other side has ended")
        filled += got
    return data
