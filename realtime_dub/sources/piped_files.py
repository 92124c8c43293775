"""Files that come one after the other through one pipe, as a speech program gives them: one for each sentence."""

from __future__ import annotations

import re
from typing import Protocol

# Kinds whose demuxer ends at the length that a file gives for itself, or takes the next one's header for samples.
# Those of other kinds go on by themselves. Samples begin like a file by a chance of one in millions of millions.
KINDS = {"wav", "w64", "aiff"}
MARKS = (  # a dot is any byte
    *(first + b"....WAVE" for first in (b"RIFF", b"RIFX", b"RF64", b"BW64")),
    b"FORM....AIF",
    b"riff.\x91\xcf\x11\xa5\xd6",
)
MARK = re.compile(b"|".join(MARKS), re.DOTALL)


class Bytes(Protocol):
    """Where they come from. ``head``: what is read before all else."""

    head: bytes

    def read(self, count: int = -1) -> bytes: ...


class OneFile:
    """What a demuxer may read of a pipe: up to the mark of the next file, which stays in the pipe."""

    def __init__(self, pipe: Bytes, kind: str) -> None:
        self._pipe, self._is_cut = pipe, kind in KINDS
        self._from = 1  # its own mark is not the next one's
        self._ended = False

    def read(self, count: int = -1) -> bytes:
        """Some bytes; none at its end. What may be the beginning of a mark waits for what comes after it."""
        if not self._is_cut:
            return self._pipe.read(count)
        data, sure = b"", 0
        while not sure and not self._ended:
            more = self._pipe.read(count)
            data += more
            found = MARK.search(data, self._from)
            self._ended = not more or (found is not None and found.start() == 0)
            sure = found.start() if found else len(data) - (_begun(data) if more else 0)
        sure = min(sure, count) if count >= 0 else sure
        data, self._pipe.head = data[:sure], data[sure:] + self._pipe.head
        self._from = 0
        return data

    def skip(self) -> None:
        """Leave out what was not read of it."""
        while self.read():
            pass


def _begun(data: bytes) -> int:
    """How many of the last bytes may be the beginning of a mark."""
    lengths = range(min(len(data), 11), 0, -1)
    return next((n for n in lengths if any(_fits(data[-n:], mark) for mark in MARKS)), 0)


def _fits(tail: bytes, mark: bytes) -> bool:
    return all(wanted in (byte, ord(".")) for byte, wanted in zip(tail, mark, strict=False))
