"""Memory of sessions, runs and connections that have ended."""

from __future__ import annotations

import asyncio
import time

from realtime_dub.pipeline.process import give_back_memory

REST_S = 5.0


class Leavings:
    """Given back at once for all that ended within ``REST_S``: it stops the interpreter for some ms.

    What a session is made of refers to itself in a hundred places. Python would find it only when it has grown by a
    quarter of all there is, some thirteen sessions later: 60 MB and as many threads of decoders were kept by then.
    """

    def __init__(self) -> None:
        self._since_s: float | None = None

    def add(self) -> None:
        """Something has ended, or will within ``REST_S``."""
        if self._since_s is None:
            self._since_s = time.monotonic()

    async def sweep(self) -> None:
        if self._since_s is not None and time.monotonic() - self._since_s >= REST_S:
            self._since_s = None
            await asyncio.to_thread(give_back_memory)
