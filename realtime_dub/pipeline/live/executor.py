"""Where the heavy jobs run: a named thread each. Tests put a virtual one in its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, NamedTuple, Protocol, TypeVar

from realtime_dub.clock import Clock
from realtime_dub.flow import Worker
from realtime_dub.inference.batching import take_waited_ns
from realtime_dub.pipeline.live.turns import Rank, Turns

R = TypeVar("R")


class Done(NamedTuple, Generic[R]):
    """A job's result; how long it took, in ns, without what it waited for other streams; and for its turn before."""

    result: R
    took_ns: int
    queued_ns: int = 0


class Executor(Protocol):
    """Runs jobs in order, one at a time, off the event loop."""

    async def run(self, job: Callable[[], R], until_ns: int | None = None) -> Done[R]:
        """``until_ns``: no turn is waited for after that."""

    def close(self) -> None:
        """Finish the job in hand and end."""


class ThreadExecutor:
    """An executor on a thread of its own, which works when it is its turn."""

    def __init__(self, name: str, clock: Clock, turns: Turns, rank: Rank) -> None:
        self._worker = Worker(name)
        self._clock, self._turns, self._rank = clock, turns, rank

    async def run(self, job: Callable[[], R], until_ns: int | None = None) -> Done[R]:
        def timed() -> Done[R]:
            with self._turns.turn(self._rank, until_ns) as queued_ns:
                began_ns = self._clock.now_ns()
                take_waited_ns()
                result = job()
                return Done(result, self._clock.now_ns() - began_ns - take_waited_ns(), queued_ns)

        return await asyncio.wrap_future(self._worker.submit(timed))

    def close(self) -> None:
        self._worker.close()
