"""Durations in histograms of fixed size, and the memory of the process."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from realtime_dub.media import MS

Percentiles = dict[str, float]

_GROWTH = 1.005  # each bin is half a percent wider than the last
_FLOOR_NS = 1_000
_LOG_GROWTH = math.log(_GROWTH)
_BINS = math.ceil(math.log(1e9) / _LOG_GROWTH) + 2  # 1 µs .. 1000 s


class Histogram:
    """Durations in bins that grow by half a percent: any number of values in 33 kB. The maximum is exact."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self.count = 0
        self.sum_ns = 0
        self.max_ns = 0

    def add(self, value_ns: int) -> None:
        at = 0 if value_ns <= _FLOOR_NS else 1 + int(math.log(value_ns / _FLOOR_NS) / _LOG_GROWTH)
        self._counts[min(at, _BINS - 1)] += 1
        self.count += 1
        self.sum_ns += value_ns
        self.max_ns = max(self.max_ns, value_ns)

    def percentile_ms(self, percent: float) -> float:
        """The nearest-rank percentile in ms, at most half a percent too large; 0 where nothing was added."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        at = int(np.searchsorted(np.cumsum(self._counts), rank))
        return round(min(_FLOOR_NS * _GROWTH**at, self.max_ns) / MS, 3)

    def summary(self, with_max: bool = False) -> Percentiles:
        out = {f"p{percent}": self.percentile_ms(percent) for percent in (50, 95, 99)}
        return {**out, "max": round(self.max_ns / MS, 3)} if with_max else out


def rss_mb() -> float:
    """Resident memory of this process in MB (10^6 bytes); 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return _peak_rss_mb()
    import resource

    return round(pages * resource.getpagesize() / 1e6, 1)


def _peak_rss_mb() -> float:
    try:
        import resource
    except ImportError:
        return 0.0
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1)  # bytes on macOS
