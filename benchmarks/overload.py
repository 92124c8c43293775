"""An engine that is too slow for a while, and what became of the ticks: age, frozen pictures, time to recover."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, Samples
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Generated, Latency
from realtime_dub.mouth.engine import Engine
from realtime_dub.pipeline.statistics import Kind, Recorder

NAME = "overloaded"
STEADY = 25  # fresh ticks in a row that count as recovered
SAME_NS = 5 * MS  # captures closer than this are of one frame


class Overloaded:
    """``mouthbank`` whose every mouth takes ``slow_ns`` between ``begin_ns`` and ``end_ns`` after the first one."""

    name = NAME
    slow_ns: ClassVar[int] = 60 * MS
    begin_ns: ClassVar[int] = 0
    end_ns: ClassVar[int] = 0
    first_ns: ClassVar[int | None] = None  # clock time of the first mouth

    def __init__(self, **options: object) -> None:
        self._inner = registry.create("mouthbank", **options)
        self.bundle, self.backend = self._inner.bundle, self._inner.backend

    def latency(self) -> Latency:
        return self._inner.latency()

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._inner.hear(samples, pts_ns)

    def heard_until_ns(self) -> int:
        return self._inner.heard_until_ns()

    def observe(self, tracked: TrackedFrame) -> None:
        self._inner.observe(tracked)

    def generate(self, tracked: TrackedFrame, at_ns: int) -> Generated | None:
        start_ns = time.monotonic_ns()
        if Overloaded.first_ns is None:
            Overloaded.first_ns = start_ns
        patch = self._inner.generate(tracked, at_ns)
        if self.begin_ns <= start_ns - Overloaded.first_ns < self.end_ns:
            time.sleep(max(0, start_ns + self.slow_ns - time.monotonic_ns()) / NS)
        return patch

    def close(self) -> None:
        self._inner.close()


ENGINE = Engine(
    NAME, "mouthbank, too slow for a while", "benchmarks.overload:Overloaded", registry.engine("mouthbank").options
)


def enter(begin_s: float, length_s: float) -> None:
    """Make the engine known to the program under its name."""
    Overloaded.begin_ns, Overloaded.end_ns = round(begin_s * NS), round((begin_s + length_s) * NS)
    Overloaded.first_ns = None
    registry.ENGINES[NAME] = "benchmarks.overload:ENGINE"


@dataclass(frozen=True, slots=True)
class Left:
    """A tick as it was handed over."""

    at_ns: int
    kind: Kind
    age_ns: int
    lagged: bool


@contextmanager
def ticks_watched() -> Iterator[list[Left]]:
    """Every tick that a run in this block hands over."""
    seen: list[Left] = []
    original = Recorder.handed_over

    def watched(self: Recorder, kind: Kind, age_ns: int | None, lagged: bool = False) -> None:
        seen.append(Left(time.monotonic_ns(), kind, age_ns or 0, lagged))
        original(self, kind, age_ns, lagged)

    Recorder.handed_over = watched  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Recorder.handed_over = original  # type: ignore[method-assign]


def summary(ticks: Sequence[Left]) -> dict[str, float]:
    """What the overload did: ages in ms, ticks, and seconds from its end until every tick is fresh again."""
    first_ns = Overloaded.first_ns or 0
    begin_ns, end_ns = first_ns + Overloaded.begin_ns, first_ns + Overloaded.end_ns
    during = [tick for tick in ticks if begin_ns <= tick.at_ns < end_ns]
    after = [tick for tick in ticks if tick.at_ns >= end_ns]
    return {
        "during": len(during),
        "during_fresh": sum(tick.kind == "fresh" for tick in during),
        "age_max_ms": max((tick.age_ns for tick in ticks), default=0) / MS,
        "lagged": sum(tick.lagged for tick in ticks),
        "longest_freeze_ms": longest_freeze_ns(ticks) / MS,
        "recovery_s": recovery_ns(after, end_ns) / NS,
    }


def longest_freeze_ns(ticks: Sequence[Left]) -> int:
    """The longest time for which a frame was shown again and again, from its first tick to its last."""
    longest, since_ns, shown_ns = 0, None, None
    for tick in ticks:
        capture_ns = tick.at_ns - tick.age_ns
        if shown_ns is None or since_ns is None or abs(capture_ns - shown_ns) > SAME_NS:
            since_ns, shown_ns = tick.at_ns, capture_ns
        longest = max(longest, tick.at_ns - since_ns)
    return longest


def recovery_ns(after: Sequence[Left], end_ns: int) -> float:
    """From ``end_ns`` to the first of STEADY fresh ticks in a row; infinite where they never come."""
    for k in range(len(after) - STEADY + 1):
        if all(tick.kind == "fresh" for tick in after[k : k + STEADY]):
            return after[k].at_ns - end_ns
    return float("inf")
