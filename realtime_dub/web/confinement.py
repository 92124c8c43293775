"""What a process that reads a stranger's bytes gives up before it does: the network, and more than its share.

A decoder that a file or a stream has taken over can then fill only so much memory, so many bytes of disk and so much
time, and can send nothing of what it finds anywhere. Seccomp would keep it from more, but every library's next version
would need another list of calls.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from realtime_dub.imports import python_path

# Of unshare(2); os.unshare is there from Python 3.12 on.
NEW_NETWORK, NEW_USER, NEW_PROCESSES = 0x40000000, 0x10000000, 0x20000000
SET_DEATH_SIGNAL = 1  # of prctl(2): PR_SET_PDEATHSIG
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEPT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")  # of the environment
UNKNOWN = 1 << 31  # bytes of addresses, where the system does not tell them


def environment(*more: str) -> dict[str, str]:
    """What such a process gets of this one's, ``more`` beside what all get; no secret of the server's is among it."""
    kept = {name: os.environ[name] for name in (*KEPT, *more) if name in os.environ}
    return kept | ONE_THREAD | {"PYTHONPATH": python_path()}


def leave_network() -> bool:
    """From here on no address can be reached, loopback's neither; False where the system does not have it.

    Called before anything starts a thread: without rights of its own, a process may do this only while it has one.
    """
    unshare = getattr(ctypes.CDLL(None), "unshare", None) if os.name == "posix" else None
    return unshare is not None and any(unshare(flags) == 0 for flags in (NEW_NETWORK, NEW_USER | NEW_NETWORK))


def bound(cpu_s: int | None, memory: int, output: int, files: int) -> None:
    """No more from here on: seconds of the processor (None: whoever asks for work sees to it), bytes beyond what is
    mapped by now, bytes of a file, descriptors.

    More time ends the process by SIGXCPU, and two seconds later by SIGKILL, in the middle of whatever it decodes.
    """
    with suppress(ImportError):  # Windows
        import resource

        for what, most, hard in (
            *(() if cpu_s is None else ((resource.RLIMIT_CPU, cpu_s, cpu_s + 2),)),
            (resource.RLIMIT_FSIZE, output, output),
            (resource.RLIMIT_NOFILE, files, files),
            (resource.RLIMIT_CORE, 0, 0),
            (resource.RLIMIT_AS, _addresses() + memory, _addresses() + memory),
        ):
            with suppress(ValueError, OSError):
                resource.setrlimit(what, (most, hard))


def next_child_alone(own: int) -> bool:
    """The next process that this one begins sees no other, and can send a signal to none. ``own``: a descriptor of this
    one's ``/proc/self/ns/pid``. False where the system does not have it, or does not let this process.
    """
    system = ctypes.CDLL(None) if sys.platform == "linux" else None
    return system is not None and system.setns(own, NEW_PROCESSES) == 0 and system.unshare(NEW_PROCESSES) == 0


def children_alone() -> bool:
    """The processes that this one begins from here on see one another and nobody else. The first of them has to live as
    long as there shall be any. False as above; where that says False, this may do: it needs fewer rights.
    """
    system = ctypes.CDLL(None) if sys.platform == "linux" else None
    return system is not None and system.unshare(NEW_PROCESSES) == 0


def end_with_parent() -> None:
    """Killed when the process that began this one ends, also in the middle of whatever it does. On Linux alone."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None) if sys.platform == "linux" else None
    if prctl is not None:
        prctl(SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def _addresses() -> int:
    """Bytes that this process has by now."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return UNKNOWN
