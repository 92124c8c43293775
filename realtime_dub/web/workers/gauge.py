"""Measures a worker's load, once a second, over the last few seconds."""

from __future__ import annotations

import os
import time
from collections import deque

from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.workers.load import Load

OVER = 4  # measurements that a figure is taken over
LATE = ("lagged", "slow")  # ticks for which this machine was too slow


class Gauge:
    """On the worker's loop. ``cores`` is the processor time that it may use, in cores."""

    def __init__(self, studio: Studio, cores: float | None = None) -> None:
        self._studio = studio
        self._cores = cores or float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
        self._seen: deque[tuple[float, float, int, int]] = deque(maxlen=OVER)  # s, processor s, ticks, of them late
        self._runs: dict[int, tuple[int, int]] = {}
        self._ticks = self._late = 0
        self.load = self._taken(0.0, 0.0)

    async def look(self) -> None:
        self._count()
        self._seen.append((time.monotonic(), time.process_time(), self._ticks, self._late))
        (at_s, cpu_s, ticks, late), (now_s, now_cpu_s, now_ticks, now_late) = self._seen[0], self._seen[-1]
        busy = (now_cpu_s - cpu_s) / self._cores / (now_s - at_s) if now_s > at_s else 0.0
        share = (now_late - late) / (now_ticks - ticks) if now_ticks > ticks else 0.0
        self.load = self._taken(round(min(1.0, share), 3), round(min(1.0, busy), 2))

    def _count(self) -> None:
        """Runs come and go, and each counts from 0: what is new of each is added up."""
        present = {}
        for session in tuple(self._studio.sessions.values()):
            if (run := session.present_run) is None:
                continue
            frames = run.recorder.frames
            ticks, late = frames.get("total", 0), sum(frames.get(kind, 0) for kind in LATE)
            before = self._runs.get(id(run), (0, 0))
            self._ticks += max(0, ticks - before[0])
            self._late += max(0, late - before[1])
            present[id(run)] = ticks, late
        self._runs = present

    def _taken(self, late: float, busy: float) -> Load:
        there = [each for each in self._studio.sessions.values() if not each.closed]
        dubbed = sum(each.options.role == "studio" and each.came for each in there)
        queued = sum(each.options.role == "studio" and not each.came for each in there)
        return Load(seats=self._studio.seats.most["studio"], dubbed=dubbed, queued=queued, late=late, busy=busy)
