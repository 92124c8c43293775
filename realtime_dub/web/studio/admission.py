"""Whether this machine holds one more dubbed picture: what its cores have left, against what a picture costs here."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from realtime_dub.web.limits import PICTURE_CORES, SPARE_CORES
from realtime_dub.web.said import said

STAT = Path("/proc/stat")
MOST = "This server dubs {most} more pictures at most."
FULL = (
    "This machine cannot hold one more dubbed picture: {busy} of {cores} cores are at work, and one more takes {cost}."
)
CALM = 0.3  # of a new measurement in the mean; one a second


def busy_cores() -> tuple[float, float] | None:
    """(seconds that all cores together have worked, seconds that there were), of the whole machine; None: unknown."""
    try:
        fields = [int(each) for each in STAT.read_text().split("\n", 1)[0].split()[1:9]]
    except (OSError, ValueError):
        return None
    ticks = os.sysconf("SC_CLK_TCK")
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / ticks, sum(fields) / ticks


def own_cores() -> tuple[float, float]:
    """Likewise of this process alone, where a system tells no more."""
    return time.process_time(), time.monotonic() * cores()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Admission:
    """Looks once a second at what is used. ``most``: pictures of channels, whatever the machine holds; None: by that.

    What one more costs is learnt from those that are there: what this process uses, shared among its pictures.
    """

    def __init__(
        self,
        most: int | None,
        machine: Callable[[], tuple[float, float] | None] = busy_cores,
        own: Callable[[], tuple[float, float]] = own_cores,
        all_cores: int | None = None,
    ) -> None:
        self._most, self._machine, self._own = most, machine, own
        self._cores = all_cores or cores()
        self._seen: tuple[float, float] | None = None
        self._own_seen: tuple[float, float] | None = None
        self._busy = 0.0  # cores
        self._cost = PICTURE_CORES

    def look(self, pictures: int) -> None:
        """``pictures`` are dubbed by this process at present. Blocking, for as long as a line of ``/proc`` takes."""
        own = self._own()
        machine = self._machine() or own
        if self._seen is not None and machine[1] > self._seen[1]:
            share = (machine[0] - self._seen[0]) / (machine[1] - self._seen[1])
            self._busy += CALM * (share * self._cores - self._busy)
        if self._own_seen is not None and own[1] > self._own_seen[1] and pictures:
            used = (own[0] - self._own_seen[0]) / (own[1] - self._own_seen[1]) * self._cores
            self._cost += CALM * (min(used / pictures, float(self._cores)) - self._cost)
        self._seen, self._own_seen = machine, own

    def refuses(self, channels: int) -> str | None:
        """Why there cannot be one more beside the ``channels`` that have a picture; None: there can."""
        if self._most is not None:
            return None if channels < self._most else said(MOST, most=self._most)
        if self._busy + self._cost + SPARE_CORES <= self._cores or not self._busy:
            return None
        return said(FULL, busy=f"{self._busy:.1f}", cores=self._cores, cost=f"{self._cost:.1f}")
