"""How long a call takes, by how many streams go through it together, and what it takes of memory."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from export.inputs import Feeds, cases
from export.parity import Caller, caller
from realtime_dub.inference.batching import WAIT_MS
from realtime_dub.inference.contract import CpuSettings, Session
from realtime_dub.inference.spec import BundleSpec
from realtime_dub.inference.variants import together

BATCHES = (1, 2, 4, 8, 16)
CALLS, WARM = 200, 20
TURNS, SETTLES = 5, 3  # of each that is compared; calls at the beginning of a turn that do not count
Opener = Callable[[], Session]
Kind = TypeVar("Kind")
SHORT_MS = 10.0  # a call that takes longer would make the first of its streams late
NEAR = 1.1  # settings that are as good as the best


@dataclass(frozen=True)
class Speed:
    """Of one call."""

    streams: int
    median_ms: float
    p95_ms: float
    p99_ms: float
    memory_mb: float  # of the process, more than before the session was opened

    @property
    def each_ms(self) -> float:
        """Of one stream."""
        return self.median_ms / self.streams


def measure(open_it: Opener, spec: BundleSpec, streams: int = 1, calls: int = CALLS) -> Speed:
    """A session of its own, warm, one call after another."""
    before = _resident_mb()
    call, feeds = caller(open_it(), spec, streams), cases(spec, 16, streams)[0].calls
    took_ns = list(_timed(call, feeds, WARM + calls))[WARM:]
    return _speed(streams, took_ns, round(max(_resident_mb() - before, 0.0), 1))


def compared(opened: Mapping[Kind, Opener], spec: BundleSpec, calls: int) -> dict[Kind, Speed]:
    """Several by turns, so that whatever else the machine does meets all of them alike."""
    callers = {kind: caller(open_it(), spec) for kind, open_it in opened.items()}
    feeds = cases(spec, 16)[0].calls
    took_ns: dict[Kind, list[int]] = {kind: [] for kind in opened}
    for _ in range(TURNS):
        for kind, call in callers.items():
            took_ns[kind] += list(_timed(call, feeds, SETTLES + calls // TURNS))[SETTLES:]
    return {kind: _speed(1, each, 0.0) for kind, each in took_ns.items()}


def _speed(streams: int, took_ns: Sequence[int], memory_mb: float) -> Speed:
    median, p95, p99 = np.percentile(np.array(took_ns) / 1e6, [50, 95, 99])
    return Speed(streams, float(median), float(p95), float(p99), memory_mb)


def _timed(call: Caller, feeds: Sequence[Feeds], calls: int) -> Iterator[int]:
    for at in range(calls):
        began_ns = time.perf_counter_ns()
        call(feeds[at % len(feeds)])
        yield time.perf_counter_ns() - began_ns


def curve(open_it: Opener, spec: BundleSpec, calls: int = CALLS) -> list[Speed]:
    """By the number of streams, for a network whose first axis is open."""
    return [measure(open_it, together(spec), streams, calls) for streams in BATCHES]


def pays(found: Sequence[Speed]) -> int:
    """How many streams should go through one call, 1 where it gains too little: a stream waits up to ``WAIT_MS`` for
    the others, and has to save more than that.
    """
    alone = next(each.each_ms for each in found if each.streams == 1)
    good = [each.streams for each in found if alone - each.each_ms > WAIT_MS and each.p95_ms <= SHORT_MS]
    return max(good, default=1)


def settings() -> list[CpuSettings]:
    """Those that are compared, the most modest first: a live program has other work for the processor."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = [count for count in (1, 2, 4, 8) if count <= cores]
    return [
        CpuSettings(count, spinning, arena)
        for count, spinning, arena in itertools.product(threads, (False, True), (True, False))
        if count > 1 or not spinning
    ]


def best_settings(found: dict[CpuSettings, Speed]) -> CpuSettings:
    """The most modest that is as good as the best."""
    least = min(each.median_ms for each in found.values())
    return next(each for each in settings() if each in found and found[each].median_ms <= NEAR * least)


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
