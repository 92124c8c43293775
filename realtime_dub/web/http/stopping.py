"""A stop that always stops: whatever a thread, a library or a visitor does, the process ends in time."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time

from realtime_dub.web import limits

GRACE_S = 0.5  # from our own last resort to the one that needs no interpreter
FORCED = 1  # the exit code: something was not finished


def end_in_time() -> None:
    """From now on the process has ``limits.STOP_S`` left. For the rest of it.

    Python waits at its end for every thread of a pool, and a file may hold one for good.
    """
    threading.Thread(target=_force, name="last resort", daemon=True).start()
    with contextlib.suppress(OSError, RuntimeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)  # what it would print is a traceback
        faulthandler.dump_traceback_later(limits.STOP_S + GRACE_S, exit=True, file=nowhere)


def _force() -> None:
    time.sleep(limits.STOP_S)
    names = ", ".join(sorted({each.name for each in threading.enumerate() if each is not threading.current_thread()}))
    with contextlib.suppress(OSError, ValueError):
        print(f'{{"level": "error", "event": "stopped by force", "threads": "{names}"}}', file=sys.stderr, flush=True)
    os._exit(FORCED)
