"""How the event loop waits: for a change that a thread reports, or for a moment, whichever is first."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.signals import polite

FOREVER_NS = 1 << 62


class LoopCondition:
    """Made where the loop runs. ``post`` may be called from any thread, everything else from the loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._waiters: set[asyncio.Future[None]] = set()

    def post(self, change: Callable[[], None]) -> None:
        """Run ``change`` on the loop and let everyone who waits look again."""
        with contextlib.suppress(RuntimeError):  # the loop is gone: so is whoever would want to know
            self._loop.call_soon_threadsafe(self._changed, change)

    def notify(self) -> None:
        """Let everyone who waits look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait(self, ready: Callable[[], bool], until_ns: int = FOREVER_NS) -> None:
        """Until ``ready()``, which is asked after every change, or ``until_ns``."""
        while not ready() and self._clock.now_ns() < until_ns:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.add(waiter)
            await self.before(waiter, until_ns)

    async def before(self, future: asyncio.Future[Any], until_ns: int) -> None:
        """Until ``future`` is done or ``until_ns``; the future itself goes on."""
        if future.done():
            return
        if until_ns >= FOREVER_NS:
            await asyncio.wait({future})
            return
        timer = asyncio.ensure_future(self._clock.sleep_until(until_ns))
        try:
            await asyncio.wait({future, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    def _changed(self, change: Callable[[], None]) -> None:
        change()
        self.notify()


def first_of(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The exception that a TaskGroup ended with."""
    first = errors.exceptions[0]
    return first_of(first) if isinstance(first, BaseExceptionGroup) else first


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, a polite kill and a closed terminal call ``stop``, where signals can be had (the main thread)."""
    loop, held = asyncio.get_running_loop(), []
    for each in (signal.SIGINT, *polite()):
        before = signal.getsignal(each)
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(each, stop)
            held.append((each, before))
    try:
        yield
    finally:
        for each, before in held:
            loop.remove_signal_handler(each)
            signal.signal(each, before)
