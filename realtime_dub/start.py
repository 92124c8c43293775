"""Where the command begins: it loads next to nothing, so that Ctrl-C while the rest loads ends it as later.

Python's own answer would be a traceback, and a library that is being loaded may take it for a failure of its own.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

INTERRUPTED = 130  # what a shell reports for Ctrl-C


def main() -> None:
    """The ``realtime-dub`` command."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # a shell's background job does not hear Ctrl-C
        signal.signal(signal.SIGINT, _leave)
    from realtime_dub.cli import main as command

    command()


def _leave(number: int, frame: FrameType | None) -> None:
    """Before a run there is nothing to finish, after it nothing any more; in it Ctrl-C is the run's."""
    try:
        os.write(2, b"error: stopped\n")
    finally:
        os._exit(INTERRUPTED)
