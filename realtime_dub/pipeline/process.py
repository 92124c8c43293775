"""What a run asks of the whole process while it lasts."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy  # noqa: F401  (its BLAS must be loaded to be limited)
from threadpoolctl import threadpool_limits

from realtime_dub.media import SMALL

_M_ARENA_MAX = -8  # malloc.h
_MADV_COLLAPSE = 25  # madvise(2)
_LARGE_PAGE = 2 << 20  # bytes; the smallest of the large ones on x86 and ARM
_WAY = 3  # steps of nice(2): half of the share of one that does not give way


@contextmanager
def one_thread_each() -> Iterator[None]:
    """NumPy's BLAS and OpenCV on the thread that calls them while this is entered; stages have threads of their own.

    The systems solved for a frame are small. OpenBLAS would split them all the same, and its second thread then spins
    between two frames: measured in the live loop, 0.65 of a core for nothing. OpenCV's threads spin as well: drawing a
    mouth took 16.4 ms of processor time at 1920x1080 with them and 11.8 without, and the caller no less of its own.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def short_waits() -> Iterator[None]:
    """Shorter waits for the event loop while this is entered.

    Threads give way after 0.2 ms instead of 5: a mouth takes the interpreter up anew some fifty times, and waits each
    time where others have it. What is loaded is never collected: libraries leave over 100,000 objects, and a full
    collection walks through all of them with the interpreter stopped, 170 ms or four ticks.
    """
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval_s)


def engine_is_longest(width: int, height: int) -> bool:
    """Of a film's threads; with larger frames it is the encoder's."""
    return width * height <= SMALL


def give_way() -> None:
    """The thread that calls, and those that it begins, leave a core to the program's others where both want it; Linux.

    A film's frames pass one thread after another, and of small ones the engine's has the longest way. Where all others
    have as much right to a core as it, they have done their part at times when it has not, and one core is left with
    nothing to do.
    """
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _WAY)


def large_pages() -> None:
    """Keep what is loaded in pages of 2 MB, as far as the system can and has room for it. Blocking, 0.1 to 0.3 s.

    Each frame reads all of the networks, 15 MB, and looks up where each page of them lies: 4 kB ones take 4 % of a
    frame's processor time for it, on a virtual machine. Pages of what is allocated later stay as they are: one of 2 MB
    has to be cleared when it is first touched, which would be in the middle of a frame.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
    if advise is None:
        return
    advise.argtypes = (ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)
    for begin, end in _anonymous():
        for at in range(-(-begin // _LARGE_PAGE) * _LARGE_PAGE, end - _LARGE_PAGE + 1, _LARGE_PAGE):
            advise(at, _LARGE_PAGE, _MADV_COLLAPSE)  # fails where nothing was touched, and on Linux before 6.1


def _anonymous() -> list[tuple[int, int]]:
    """Where this process has memory that is of no file: addresses from, to."""
    areas = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    of_none = [area[0] for area in areas if area[1].startswith("rw") and (len(area) == 5 or area[5] == "[heap]")]
    return [(int(begin, 16), int(end, 16)) for begin, _, end in (each.partition("-") for each in of_none)]


def few_heaps() -> None:
    """Let threads share two heaps, from now on: for a server, whose visitors bring and end many threads.

    glibc has sixteen on two cores, and what one thread has freed in its own is of no use to another: 93 MB were kept
    after a visitor whose run was begun anew eighty times.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if set_option is not None:
        set_option(_M_ARENA_MAX, 2)


def give_back_memory() -> None:
    """To the system, what sessions that have ended had. Blocking; 5 ms with the interpreter stopped, 8 more a session.

    Python keeps what refers to itself until it looks for it. glibc keeps what threads have freed for threads to come,
    in more and more places: 160 MB after fifty sessions one after another.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
