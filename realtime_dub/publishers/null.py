"""Nowhere: for measuring, and for a look at the statistics without output."""

from __future__ import annotations

from typing import Literal

from realtime_dub.media import OutputFormat, Tick


class NullPublisher:
    """Takes every tick and forgets it."""

    name = "null"
    policy: Literal["latest", "every"] = "every"
    latency_ns = 0

    def open(self, fmt: OutputFormat) -> None:
        pass

    def publish(self, tick: Tick) -> None:
        pass

    def close(self) -> None:
        pass
