"""Standard input, output and error, which may be closed, full, or have nobody at their other end.

None of that may change what a run does: its result is in its files.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

NOBODY_LISTENS = (errno.EPIPE, errno.EIO)  # the pipe's other end is gone, the terminal was closed


class Forgiving(io.RawIOBase):
    """The raw stream under a text stream. What cannot be written is dropped, and ``error`` says why."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return bool(self._raw.isatty())

    def write(self, data: Any) -> int:
        if self.error is None:
            try:
                while (count := self._raw.write(data)) is None:  # whoever shares it has made it non-blocking
                    select.select([], [self.fileno()], [])
                return int(count)
            except OSError as error:
                self.error = error
        return len(data)


def make_safe() -> None:
    """Make the standard streams safe to use. For a process of our own, at its start."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            # The next file to be opened would get this number, and what is written to standard error would be in it.
            os.open(os.devnull, os.O_RDWR)
    if not 20 <= _number(os.environ.get("COLUMNS", "80")) <= 1_000:
        del os.environ["COLUMNS"]  # lines of a million columns take minutes, and no table fits into one
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - for the rest of the process
    sys.stdout, sys.stderr = _forgiving(sys.stdout), _forgiving(sys.stderr)


def why_output_is_lost() -> str | None:
    """What kept standard output from taking what was written to it; None where nothing did, or nobody wanted it."""
    if sys.stdout is None:
        return None
    sys.stdout.flush()
    raw = getattr(sys.stdout.buffer, "raw", None)
    error = raw.error if isinstance(raw, Forgiving) else None
    return None if error is None or error.errno in NOBODY_LISTENS else os.strerror(error.errno or 0)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _forgiving(stream: TextIO | None) -> Any:
    if stream is None:
        return None
    buffer = io.BufferedWriter(Forgiving(getattr(stream.buffer, "raw", stream.buffer)))  # unbuffered, it is the raw one
    # A name that is no UTF-8, or an umlaut where there is only ASCII, is shown with backslashes.
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=True)
