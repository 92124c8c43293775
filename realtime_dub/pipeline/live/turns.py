"""Whose turn it is: the heavy jobs of a run work one after another.

They share one interpreter. Two at once take it from each other some ten times a job, and wait each time until whoever
has it gives way and the system has woken them: both are over later than if one had gone behind the other. A source
that decodes is often woken on the very core that draws, though the other one is idle.
"""

from __future__ import annotations

import heapq
import itertools
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum

from realtime_dub.clock import Clock
from realtime_dub.media import MS, NS

PATIENCE_NS = 20 * MS  # for a turn, and with whoever has it; then two work at once
DECODES_NS = 7 * MS  # a source that takes longer for the most of its frames has no turns
SEAM_NS = 10 * MS  # a mouth waits no longer for one that is slow for once; a newer frame may


class Rank(IntEnum):
    """Who is needed first."""

    COMPOSER = 0
    ENGINE = 1
    TRACKER = 2
    SOURCE = 3


@dataclass(eq=False)
class _Turn:
    """Somebody's, wanted or had."""

    rank: Rank
    number: int
    since_ns: int = 0  # had
    comes: threading.Lock = field(default_factory=threading.Lock)

    def __lt__(self, other: _Turn) -> bool:
        return (self.rank, self.number) < (other.rank, other.number)


class Turns:
    """One works, whoever else comes waits; the first in rank is next, of one rank who came first.

    Whoever has had it for as long as patience lasts is waited for no longer: an engine that warms up, or hangs.
    """

    def __init__(self, clock: Clock, patience_ns: int = PATIENCE_NS, seam_ns: int = SEAM_NS) -> None:
        self._clock, self._patience_ns, self._seam_ns = clock, patience_ns, seam_ns
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._has: _Turn | None = None
        self._waiting: list[_Turn] = []

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._lock:
            return len(self._waiting)

    @contextmanager
    def turn(self, rank: Rank, until_ns: int | None = None) -> Iterator[int]:
        """Work while this is entered; how long it was waited for, in ns. ``until_ns``: no longer than until then."""
        began_ns, mine = self._clock.now_ns(), _Turn(rank, next(self._numbers))
        self._take(mine, self._patience_ns if until_ns is None else min(self._patience_ns, until_ns - began_ns))
        try:
            yield self._clock.now_ns() - began_ns
        finally:
            self._give(mine)

    def _take(self, mine: _Turn, patience_ns: int) -> None:
        """Until it is there, or patience has come to an end."""
        with self._lock:
            if self._has is None:
                self._begin(mine)
                return
            has_had_ns = self._clock.now_ns() - self._has.since_ns
            if self._has.rank is Rank.SOURCE and mine.rank < Rank.TRACKER:
                patience_ns = min(patience_ns, self._seam_ns - has_had_ns)
            if patience_ns <= 0 or has_had_ns >= self._patience_ns:
                return
            mine.comes.acquire()
            heapq.heappush(self._waiting, mine)
        if mine.comes.acquire(timeout=patience_ns / NS):
            return
        with self._lock:
            if mine in self._waiting:  # it was not given meanwhile
                self._waiting.remove(mine)
                heapq.heapify(self._waiting)

    def _give(self, mine: _Turn) -> None:
        """To the next, where it is still there to be given."""
        with self._lock:
            if self._has is not mine:
                return
            self._has = None
            if self._waiting:
                self._begin(heapq.heappop(self._waiting)).comes.release()

    def _begin(self, mine: _Turn) -> _Turn:
        self._has, mine.since_ns = mine, self._clock.now_ns()
        return mine


class SourceTurns:
    """The turns of a source that decodes. Its frame is wanted last, so it waits for all others, and they for it.

    Where decoding takes long it goes beside them: a mouth has less time than that. Used by one thread.
    """

    AGAIN_NS = 20 * NS
    _LOOKS = 9

    def __init__(self, turns: Turns, clock: Clock, worked_ns: Callable[[], int] = time.thread_time_ns) -> None:
        """``worked_ns``: the processor time of the thread that decodes, so far."""
        self._turns, self._clock, self._worked_ns = turns, clock, worked_ns
        self._took_ns: deque[int] = deque(maxlen=self._LOOKS)
        self._beside_until_ns = 0

    @contextmanager
    def turn(self, until_ns: int) -> Iterator[None]:
        """Decode while this is entered, from ``until_ns`` on in any case."""
        if self._clock.now_ns() < self._beside_until_ns:
            yield
            return
        with self._turns.turn(Rank.SOURCE, until_ns):
            began_ns = self._worked_ns()
            yield
            self._took(self._worked_ns() - began_ns)

    def _took(self, took_ns: int) -> None:
        self._took_ns.append(took_ns)
        if len(self._took_ns) == self._LOOKS and statistics.median(self._took_ns) > DECODES_NS:
            self._took_ns.clear()
            self._beside_until_ns = self._clock.now_ns() + self.AGAIN_NS
