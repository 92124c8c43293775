"""What a server does again and again beside its visitors. It goes on, whatever happens to one of its steps."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

POLL_S = 0.02
log = logging.getLogger("realtime_dub.web")


async def repeat(seconds: float, *steps: Callable[[], Awaitable[None]]) -> None:
    """All ``steps``, one after another, every so many seconds, until it is cancelled."""
    said: dict[int, str] = {}
    while True:
        await asyncio.sleep(seconds)
        for number, step in enumerate(steps):
            said[number] = await attempt(step(), said.get(number, ""))


async def until(so: Callable[[], bool], timeout_s: float) -> bool:
    """Wait until ``so`` is true; False where it was not in time."""
    ends_s = time.monotonic() + timeout_s
    while not so():
        if time.monotonic() >= ends_s:
            return False
        await asyncio.sleep(POLL_S)
    return True


async def attempt(step: Awaitable[Any], said: str = "") -> str:
    """Await ``step``; what went wrong, if anything, which is logged where it is not what was ``said`` last."""
    try:
        await step
    except Exception as error:
        if repr(error) != said:
            log.exception("a background task failed and goes on")
        return repr(error)
    return ""


async def attempt_all(steps: Iterable[Awaitable[Any]]) -> None:
    """One after another, each whatever became of those before it; others on the loop have their turn between them."""
    for step in steps:
        await attempt(step)
        await asyncio.sleep(0)


def log_failure(task: asyncio.Task[Any]) -> None:
    """For ``add_done_callback``: what nobody awaits is told of at least."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a background task failed", exc_info=error)


class Tasks:
    """Those of one owner, called after it. They end with it."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = asyncio.create_task(work, name=f"{name} {self._owner}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(log_failure)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
