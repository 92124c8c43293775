"""Where the command begins: it loads next to nothing, so that Ctrl-C while the rest loads ends it as later.

Python's own answer would be a traceback, and a library that is being loaded may take it for a failure of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main() -> None:
    """The ``realtime-dub`` command."""
    _on_interrupt(_leave)
    from realtime_dub.cli import main as command

    _on_interrupt(signal.default_int_handler)
    try:
        command()
    finally:  # all files are finished; what is left is Python's own end
        _on_interrupt(_leave)


def _on_interrupt(handler: Callable[[int, FrameType | None], object]) -> None:
    """A shell's background job ignores Ctrl-C, and goes on doing so."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, handler)


def _leave(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"error: stopped\n")
    finally:
        os._exit(INTERRUPTED)
