"""A publisher for a timeline's frames, whose size is known with the first and is that of all."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Literal

from realtime_dub.fitting import Fit
from realtime_dub.media import OutputFormat, Tick
from realtime_dub.publishers.base import Publisher
from realtime_dub.web.rtc.output_timeline import RATE


class Fitted:
    """Opened with its first tick, on the publisher's thread, of which nobody waits for anything."""

    policy: Literal["latest", "every"] = "every"
    latency_ns = 0
    name = "channel"

    def __init__(self, publisher: Publisher, fps: Fraction) -> None:
        self.publisher, self._fps = publisher, fps
        self._fit = Fit()
        self._opened = False

    def open(self, fmt: OutputFormat) -> None:
        """See :meth:`publish`."""

    def publish(self, tick: Tick) -> None:
        """Raises what the publisher does."""
        image = self._fit(tick.image)
        if not self._opened:
            self.publisher.open(OutputFormat(image.shape[1], image.shape[0], self._fps, RATE, 1, True))
            self._opened = True
        self.publisher.publish(tick if image is tick.image else replace(tick, image=image, coded=None))

    def close(self) -> None:
        self.publisher.close()
