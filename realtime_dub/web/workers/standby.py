"""A worker that has loaded everything and is nobody's yet: ``python -m realtime_dub.web.workers.standby DESCRIPTOR``.

The front gives it a number when a worker has ended (``spare``): then nothing is left to load at a moment at which the
other workers need the processor. It loads at a share of a core, for it comes into being beside people who are dubbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import time
from collections.abc import Iterator

WORK_S, REST_S = 0.02, 0.08  # a fifth of a core
LOADED = b"."  # what it tells the front


def main(descriptor: int) -> None:
    """Until the front says so, or is no more."""
    end = socket.socket(fileno=descriptor)
    with at_leisure():
        from realtime_dub.web.workers import process, wire  # most of the time that a worker's start takes

        process.leave_signals()
        asyncio.run(process.warm(wire.Task.model_validate_json(wire.first_line(end))))
    end.sendall(LOADED)
    with contextlib.suppress(EOFError):
        process.run(wire.Task.model_validate_json(wire.first_line(end)), end, warmed=True)


@contextlib.contextmanager
def at_leisure() -> Iterator[None]:
    """The main thread rests after each bit of work while entered. A low priority would do less: who is not root cannot
    leave it again, and on a machine whose cores are taken nothing would ever be loaded.
    """
    signal.signal(signal.SIGPROF, lambda number, frame: time.sleep(REST_S))
    signal.siginterrupt(signal.SIGPROF, False)  # what waits goes on waiting
    signal.setitimer(signal.ITIMER_PROF, WORK_S, WORK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, signal.SIG_IGN)  # one that is on its way ends nothing


if __name__ == "__main__":
    main(int(sys.argv[1]))
