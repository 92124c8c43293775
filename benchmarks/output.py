"""How every benchmark answers: a table for people, then one line of JSON for programs."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns, process_time_ns

import numpy as np
from rich.console import Console
from rich.table import Table

from realtime_dub.media import MS

Row = tuple[object, ...]


class Stopwatch:
    """How long the repetitions of named pieces of work take, and the processor time of all threads meanwhile."""

    def __init__(self) -> None:
        self._took_ms: dict[str, list[float]] = defaultdict(list)
        self._busy_ms: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start_ns, busy_ns = perf_counter_ns(), process_time_ns()
        yield
        self._busy_ms[name].append((process_time_ns() - busy_ns) / MS)
        self._took_ms[name].append((perf_counter_ns() - start_ns) / MS)

    def summary(self) -> dict[str, dict[str, float]]:
        """Per name the count, median, 95th and 99th percentile and maximum in ms, in order of first use.

        ``cpu`` and ``cpu95`` are the median and the 95th percentile of the processor time, which a busy machine hardly
        changes.
        """
        busy = {name: percentiles(times) for name, times in self._busy_ms.items()}
        return {
            name: {"n": len(took), **percentiles(took), "cpu": busy[name]["p50"], "cpu95": busy[name]["p95"]}
            for name, took in self._took_ms.items()
        }


def percentiles(values: Iterable[float]) -> dict[str, float]:
    p50, p95, p99, largest = np.percentile(list(values), (50, 95, 99, 100))
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(largest)}


def show(title: str, columns: tuple[str, ...], rows: Iterable[Row]) -> None:
    """Print a table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def console() -> Console:
    """A pipe has no width: give it room for every column."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=160)


def last_line(result: dict[str, object]) -> None:
    """Print the JSON: nothing comes after it."""
    print(json.dumps(plain(result)), flush=True)


def _cell(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() else f"{value:.3f}"


def plain(value: object) -> object:
    """Rounded, and NaN as null, which JSON has no other word for."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value
