"""Memory of sessions, runs and connections that have ended."""

from __future__ import annotations

import asyncio
import time

from realtime_dub.pipeline.process import give_back_memory

REST_S = 5.0


class Leavings:
    """Given back at once for all that ended within ``rest_s``: it stops the interpreter for some ms.

    What a session is made of refers to itself in a hundred places. Python would find it only when it has grown by a
    quarter of all there is, some thirteen sessions later: 60 MB and as many threads of decoders were kept by then.
    """

    def __init__(self, rest_s: float = REST_S) -> None:
        self._rest_s = rest_s
        self._since_s: float | None = None

    def add(self) -> None:
        """Something has ended, or will within ``rest_s``."""
        if self._since_s is None:
            self._since_s = time.monotonic()

    async def sweep(self) -> None:
        if self._since_s is not None and time.monotonic() - self._since_s >= self._rest_s:
            self._since_s = None
            await asyncio.to_thread(give_back_memory)
