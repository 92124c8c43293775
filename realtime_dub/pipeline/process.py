"""What a run asks of the whole process while it lasts."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy  # noqa: F401  (its BLAS must be loaded to be limited)
from threadpoolctl import threadpool_limits

_M_ARENA_MAX = -8  # malloc.h


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
