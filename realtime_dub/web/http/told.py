"""What is told alike to all who ask, and costs something: made anew once in a while, whoever asks how often."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from realtime_dub.web import limits


class Told:
    """The last answer of ``make``, at most ``kept_s`` old. On one loop.

    Who asks while it is being made waits for the same one. Where it fails, those who waited are told, and the next
    one who asks has it made again.
    """

    def __init__(self, make: Callable[[], Awaitable[bytes]], kept_s: float = limits.TOLD_S) -> None:
        self._make, self._kept_s = make, kept_s
        self._answer, self._until_s = b"", 0.0
        self._making: asyncio.Task[None] | None = None

    async def get(self) -> bytes:
        """Raises what ``make`` raises."""
        if time.monotonic() >= self._until_s:
            if self._making is None or self._making.done():
                self._making = asyncio.create_task(self._renew(), name="told")
            await asyncio.shield(self._making)  # who leaves meanwhile takes it from nobody else
        return self._answer

    async def _renew(self) -> None:
        self._answer = await self._make()
        self._until_s = time.monotonic() + self._kept_s
