"""One monotonic clock in integer nanoseconds, injected everywhere, so that every rule can be tested in virtual time.

After pipecat's ``base_clock.py``.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from typing import Protocol

TURNS = 20  # of the loop, until nobody is left who wakes another


class Clock(Protocol):
    """What the pipeline needs of a clock."""

    def now_ns(self) -> int:
        """The present, integer nanoseconds, never going back."""

    def sleep_until_blocking(self, when_ns: int) -> None:
        """Block the calling thread until ``when_ns``. Returns at once when it has passed."""

    async def sleep_until(self, when_ns: int) -> None:
        """Suspend the calling task until ``when_ns``. Yields once even when it has passed."""


class MonotonicClock:
    """The machine's monotonic clock, the one that Python's ``time.monotonic_ns`` reads."""

    def now_ns(self) -> int:
        return time.monotonic_ns()

    def sleep_until_blocking(self, when_ns: int) -> None:
        delay_ns = when_ns - time.monotonic_ns()
        if delay_ns > 0:
            time.sleep(delay_ns / 1e9)

    async def sleep_until(self, when_ns: int) -> None:
        await asyncio.sleep(max(0, when_ns - time.monotonic_ns()) / 1e9)


class VirtualClock:
    """A clock that stands still until it is told to go on: tests, and files dubbed as fast as they go.

    Tasks that sleep on it wake in order of their time when :meth:`run_until` passes it.
    """

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._order = itertools.count()
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to(self, when_ns: int) -> None:
        """Set the present; a time in the past changes nothing."""
        self._now_ns = max(self._now_ns, when_ns)

    def sleep_until_blocking(self, when_ns: int) -> None:
        self.advance_to(when_ns)

    async def sleep_until(self, when_ns: int) -> None:
        if when_ns <= self._now_ns:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (when_ns, next(self._order), future))
        await future

    async def run_until(self, when_ns: int) -> None:
        """Go on to ``when_ns``, waking each sleeper at its own time and letting the woken tasks run."""
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= when_ns:
            due_ns, _, future = heapq.heappop(self._sleepers)
            self.advance_to(due_ns)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self.advance_to(when_ns)
        await self.settle()

    async def settle(self) -> None:
        """Let tasks that were woken run, and those that these wake."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
