"""Where the heavy jobs run: a named thread each. Tests put a virtual one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from realtime_dub.clock import Clock
from realtime_dub.flow import Worker
from realtime_dub.inference.batching import take_waited_ns

R = TypeVar("R")


class Executor(Protocol):
    """Runs jobs in order, one at a time, off the event loop."""

    async def run(self, job: Callable[[], R]) -> tuple[R, int]:
        """The job's result and how long it took, in ns, without what it waited for other streams."""

    def close(self) -> None:
        """Finish the job in hand and end."""


class ThreadExecutor:
    """An executor on a thread of its own."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._worker = Worker(name)
        self._clock = clock

    async def run(self, job: Callable[[], R]) -> tuple[R, int]:
        def timed() -> tuple[R, int]:
            began_ns = self._clock.now_ns()
            take_waited_ns()
            return job(), self._clock.now_ns() - began_ns - take_waited_ns()

        return await asyncio.wrap_future(self._worker.submit(timed))

    def close(self) -> None:
        self._worker.close()
