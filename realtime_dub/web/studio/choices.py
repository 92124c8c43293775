"""What a page has chosen for its session, changed while that runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime_dub.web.config import SessionOptions
from realtime_dub.web.refusals import Refusal


class Choices:
    """``check`` raises Refusal where options cannot be met; ``changed`` is called with those before and those after."""

    def __init__(
        self,
        options: SessionOptions,
        check: Callable[[SessionOptions], Awaitable[None]],
        changed: Callable[[SessionOptions, SessionOptions], None],
    ) -> None:
        self.options = options
        self._check, self._changed = check, changed
        self._lock = asyncio.Lock()
        self._closed = False

    async def change(self, changes: dict[str, Any]) -> None:
        """Raises Refusal, and then nothing has changed.

        One after another: each is checked with, and added to, what the one before it has left.
        """
        async with self._lock:
            if self._closed:
                raise Refusal(404, "There is no such session.", "Start a new one.")
            before, after = self.options, self.options.model_copy(update=changes)
            if after == before:
                return
            await self._check(after)
            self.options = after
            self._changed(before, after)

    def close(self) -> None:
        """Nothing can be chosen any more."""
        self._closed = True


def renamed(before: tuple[str, ...], after: tuple[str, ...]) -> list[tuple[str, str]]:
    """Of lists of channels: those of which only the name is another one, old and new."""
    if len(before) != len(after):
        return []
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    return [(old, new) for old, new in pairs if new not in before and old not in after]
