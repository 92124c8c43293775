"""Servers of a test beside a loop that is taken, as Playwright's is."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import TypeVar

from patience import PATIENCE_S

Given = TypeVar("Given")


@contextmanager
def on_a_thread(server: AbstractAsyncContextManager[Given]) -> Iterator[Given]:
    """What ``server`` gives, served on a thread with a loop of its own."""
    ready, over, found = threading.Event(), threading.Event(), list[Given]()

    async def serve() -> None:
        async with server as given:
            found.append(given)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        yield found[0]
    finally:
        over.set()
        thread.join()
