"""A process that loads beside others that dub: at low priority, until it can be of use.

Only where it may go back to the usual one: without the right to (``CAP_SYS_NICE``, or a limit that allows it) a process
that was made slow stays slow. Linux counts priority by thread.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

SLOWLY = 10
CAP_SYS_NICE = 23
FREE = 20  # RLIMIT_NICE from which on priority 0 may be asked for


def slow_down(pid: int) -> None:
    """That process, and whatever threads it will have."""
    if _may_rise():
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, pid, SLOWLY)


def rise() -> None:
    """All threads of this process go as fast as who started it from now on."""
    if not sys.platform.startswith("linux") or os.getpriority(os.PRIO_PROCESS, 0) != SLOWLY:
        return
    if os.getpriority(os.PRIO_PROCESS, os.getppid()) != 0:  # that is its own pace: nobody has slowed it down
        return
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, int(thread), 0)


def _may_rise() -> bool:
    """For a process that goes at the usual pace now."""
    if not sys.platform.startswith("linux") or os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return False
    if resource.getrlimit(resource.RLIMIT_NICE)[0] >= FREE:
        return True
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        effective = next(line for line in lines if line.startswith("CapEff:"))
        return bool(int(effective.split()[1], 16) >> CAP_SYS_NICE & 1)
    return False
