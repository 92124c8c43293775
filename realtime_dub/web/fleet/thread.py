"""A loop in a thread of its own, in an actor's process: Ray has the main thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http.server import working

DO_S = 10.0


class LoopThread:
    """Runs :meth:`work` until :meth:`close`. What is called from outside is blocking."""

    def __init__(self, name: str, config: ServeConfig, worker: int | None = None) -> None:
        self._serve, self._worker = config, worker
        self._listens: Future[str] = Future()
        self._stop = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.over = threading.Event()  # it has ended, by itself or not
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def work(self) -> None:
        """Say where it :meth:`listens`, then wait until it is :meth:`stopped`."""
        raise NotImplementedError

    def where(self, timeout_s: float) -> str:
        """What it has said, once it has. Raises what kept it from that, or TimeoutError."""
        return self._listens.result(timeout_s)

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        """On the loop, and wait for it."""
        assert self._loop is not None, "it has said where it listens"
        asyncio.run_coroutine_threadsafe(work, self._loop).result(DO_S)

    def close(self, timeout_s: float) -> None:
        """Idempotent."""
        if self._loop is not None and not self.over.is_set():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout_s)

    def listens(self, address: str) -> None:
        self._listens.set_result(address)

    async def stopped(self) -> None:
        await self._stop.wait()

    def _run(self) -> None:
        try:
            with working(self._serve, self._worker) as runner:
                self._loop = runner.get_loop()
                runner.run(self.work())
        except BaseException as error:  # whatever it is: who waits for the address is told
            if not self._listens.done():
                self._listens.set_exception(error)
        finally:
            self.over.set()
