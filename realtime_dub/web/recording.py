"""A session's output as an mp4: what the browser gets, with both tracks, whichever run of the pipeline made it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from realtime_dub.clock import Clock
from realtime_dub.media import NS, AudioBlock, Image, OutputFormat, Tick, ns_to_samples, samples_to_ns
from realtime_dub.pipeline.live.outputs import PublisherThread, Stamped
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.sources.fitting import Fit
from realtime_dub.web.outlet import RATE, Outlet

LONGEST_NS = 1_800 * NS


class Recording:
    """Attached to an outlet, it takes every picture and the sound up to its end. Made, closed off the loop.

    A film has one size: pictures of another than its first are fitted in.
    """

    def __init__(self, path: Path, outlet: Outlet, clock: Clock) -> None:
        self.path = path
        self.error: Exception | None = None
        self._outlet, self._clock = outlet, clock
        self._fit = Fit()
        self._thread: PublisherThread | None = None
        self._start_ns = 0
        self._last_ns = -1
        self._read = 0  # samples since the start
        self._seq = 0

    @property
    def over(self) -> bool:
        """It failed, or is as long as it may be."""
        return self.error is not None or self._last_ns > LONGEST_NS

    def take(self, image: Image, pts_ns: int, period_ns: int) -> None:
        """A picture of the outlet's time line. On the run's thread."""
        if self._thread is None:
            self._thread = self._begin(image, period_ns)
            self._start_ns = pts_ns
        at_ns = pts_ns - self._start_ns
        if at_ns <= self._last_ns or self.over:
            return
        self._last_ns = at_ns
        sound = self._sound(at_ns + period_ns)
        self._thread.offer(Stamped(Tick(self._fit(image), at_ns, period_ns, self._seq, sound), None, 0))
        self._seq += 1

    def close(self) -> bool:
        """Write the end; True where there is something to play."""
        if self._thread is not None:
            self._thread.close()
        return self._seq > 0 and self.path.is_file()

    def _begin(self, image: Image, period_ns: int) -> PublisherThread:
        publisher = open_publisher(str(self.path), live=True)
        thread = PublisherThread(publisher, self._clock, Recorder(), self._failed)
        fps = Fraction(NS, period_ns).limit_denominator(1001)
        thread.open(OutputFormat(image.shape[1], image.shape[0], fps, RATE, 1, True))
        return thread

    def _sound(self, until_ns: int) -> AudioBlock:
        """Every sample once, silence where there was none."""
        count = ns_to_samples(until_ns, RATE) - self._read
        at_ns = samples_to_ns(self._read, RATE)
        self._read += count
        return AudioBlock(self._outlet.ring.read(self._start_ns + at_ns, count), RATE, at_ns)

    def _failed(self, name: str, error: Exception) -> None:
        self.error = error
