"""An event loop on a thread of its own, for what must neither wait for the pipeline nor make it wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
CLOSE_S = 10.0
GRACE_S = 1.0


class LoopThread:
    """Runs from its making to :meth:`close`. What still runs on it then has a moment to end, and is cancelled."""

    def __init__(self, name: str, factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        self._factory = factory
        self._started = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._started.wait()

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run ``work`` there and wait for it; from any other thread. Raises TimeoutError, and then it is cancelled."""
        running = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return running.result(timeout_s)
        finally:
            running.cancel()

    def close(self) -> None:
        """Idempotent."""
        if self._thread.is_alive() and not self._over.is_set():
            self.loop.call_soon_threadsafe(self._over.set)
        self._thread.join(CLOSE_S)

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=self._factory) as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._started.set()
        await self._over.wait()
        if ending := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(ending, timeout=GRACE_S)
