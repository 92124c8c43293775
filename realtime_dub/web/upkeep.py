"""What a server does again and again beside its visitors. It goes on, whatever happens to one of its steps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

log = logging.getLogger("realtime_dub.web")


async def repeat(seconds: float, *steps: Callable[[], Awaitable[None]]) -> None:
    """All ``steps``, one after another, every so many seconds, until it is cancelled."""
    said: dict[int, str] = {}
    while True:
        await asyncio.sleep(seconds)
        for number, step in enumerate(steps):
            said[number] = await attempt(step(), said.get(number, ""))


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
    """One after another, each whatever became of those before it."""
    for step in steps:
        await attempt(step)


def log_failure(task: asyncio.Task[Any]) -> None:
    """For ``add_done_callback``: what nobody awaits is told of at least."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("a background task failed", exc_info=error)
