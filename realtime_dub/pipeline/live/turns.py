"""Whose turn it is: the heavy jobs of a run work one after another.

They share one interpreter. Two at once take it from each other some ten times a job, and wait each time until whoever
has it gives way and the system has woken them: both are over later than if one had gone behind the other.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from realtime_dub.clock import Clock
from realtime_dub.media import MS

PATIENCE_NS = 12 * MS  # for a turn; then two work at once: one that hangs, or takes long, holds nobody up


class Rank(IntEnum):
    """Who is needed first."""

    COMPOSER = 0
    ENGINE = 1
    TRACKER = 2


class Turns:
    """One works, whoever else comes waits; the first in rank is next, of one rank who came first."""

    def __init__(self, clock: Clock, patience_ns: int = PATIENCE_NS) -> None:
        self._clock, self._patience_s = clock, patience_ns / 1e9
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._taken = False
        self._waiting: list[tuple[Rank, int, threading.Lock]] = []

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._lock:
            return len(self._waiting)

    @contextmanager
    def turn(self, rank: Rank) -> Iterator[int]:
        """Work while this is entered; how long it was waited for, in ns."""
        began_ns = self._clock.now_ns()
        has = self._take(rank)
        try:
            yield self._clock.now_ns() - began_ns
        finally:
            if has:
                self._give()

    def _take(self, rank: Rank) -> bool:
        """False where patience came to an end first."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = rank, next(self._order), threading.Lock()
            mine[2].acquire()
            heapq.heappush(self._waiting, mine)
        if mine[2].acquire(timeout=self._patience_s):
            return True
        with self._lock:
            if mine not in self._waiting:  # it was given meanwhile
                return True
            self._waiting.remove(mine)
            heapq.heapify(self._waiting)
            return False

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                heapq.heappop(self._waiting)[2].release()
            else:
                self._taken = False
