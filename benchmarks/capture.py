"""A publisher that keeps its pictures, so that quality is measured before any encoder has touched them."""

from __future__ import annotations

from typing import ClassVar, Literal

from realtime_dub.media import Image, OutputFormat, Tick
from realtime_dub.publishers import registry

NAME = "capture"


class CapturePublisher:
    """Keeps the pictures of the last run in memory."""

    name = "capture"
    policy: Literal["latest", "every"] = "every"
    latency_ns = 0
    images: ClassVar[list[Image]] = []

    def open(self, fmt: OutputFormat) -> None:
        self.images.clear()

    def publish(self, tick: Tick) -> None:
        self.images.append(tick.image.copy())

    def close(self) -> None:
        pass


def enter() -> None:
    """Make the publisher known to the program under its name."""
    registry.DEVICES[NAME] = "benchmarks.capture:CapturePublisher"
