"""Holds back what libraries print on standard error when they start, or try to: nothing there is for the user.

MediaPipe's C++ parts, ALSA and PortAudio have no switch for it, so the process's descriptor is turned to a file for
that while. It is one for all threads: the first that enters turns it, the last that leaves turns it back, and what
anybody else has written is passed on.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

os.environ.setdefault("GLOG_minloglevel", "3")  # for what can be told: must be set before MediaPipe is imported

STDERR = 2
# glog's and absl's lines (level, date, time, thread, place), which may begin in the middle of another thread's, and the
# two that come before those are set up; ALSA's, some with an empty line behind them, and PortAudio's of two kinds.
NOISE = re.compile(
    rb"(?:[IWEF]\d{4,8} [\d:.]+ +\d+ \S+\] |WARNING: All log messages before absl|INFO: Created TensorFlow Lite)"
    rb"[^\n]*\n?"
    rb"|ALSA lib [\w.]+:\d+:[^\n]*\n*|Expression '[^\n]*' failed in '[^\n]*\n?"
)


class _Held:
    """Standard error of the process, held back while anybody asks for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = 0
        self._own: int | None = None  # where standard error goes; None = it is closed, and nothing is held
        self._file: IO[bytes] | None = None

    def ask(self) -> None:
        with self._lock:
            self._asked += 1
            if self._asked == 1:
                self._hold()

    def release(self) -> None:
        with self._lock:
            self._asked -= 1
            if self._asked == 0:
                self._pass_on()

    def _hold(self) -> None:
        _flush()
        with contextlib.suppress(OSError):  # closed, or no room for a file: then it prints
            own = os.dup(STDERR)
            try:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  (lives until all have left)
                os.dup2(self._file.fileno(), STDERR)
            except OSError:
                os.close(own)
                raise
            self._own = own

    def _pass_on(self) -> None:
        if self._own is None or self._file is None:
            return
        _flush()
        os.dup2(self._own, STDERR)
        os.close(self._own)
        self._own = None
        with self._file as file:
            file.seek(0)
            written = NOISE.sub(b"", file.read())
        self._file = None
        with contextlib.suppress(OSError):
            while written:
                written = written[os.write(STDERR, written) :]


def _flush() -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


_HELD = _Held()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """In this block they print nothing. Threads may be in it at once."""
    _HELD.ask()
    try:
        yield
    finally:
        _HELD.release()
