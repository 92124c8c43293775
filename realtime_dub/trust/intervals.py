"""When a film's pictures were changed, in memory that does not grow with the film."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from realtime_dub.media import MS

GAP_NS = 500 * MS  # a shorter stretch of unchanged pictures is not told apart
MOST = 500  # intervals that are told; of more, those that are nearest to each other become one

Interval = tuple[int, int]  # ns from the film's first picture: begins, ends


@dataclass(frozen=True, slots=True)
class Film:
    """A film that was written to its end. ``dubbed``: when its pictures were changed."""

    path: Path
    dubbed: tuple[Interval, ...]
    duration_ns: int


@dataclass(slots=True)
class Intervals:
    """Grows by ticks in order. What is between two changes less than GAP_NS apart counts as changed."""

    duration_ns: int = 0
    _found: list[Interval] = field(default_factory=list)

    def add(self, start_ns: int, end_ns: int, changed: bool) -> None:
        """One picture, shown from ``start_ns`` to ``end_ns``."""
        self.duration_ns = max(self.duration_ns, end_ns)
        if not changed:
            return
        if self._found and start_ns - self._found[-1][1] < GAP_NS:
            self._found[-1] = (self._found[-1][0], max(end_ns, self._found[-1][1]))
            return
        self._found.append((start_ns, end_ns))
        if len(self._found) > MOST:
            self._join()

    def found(self) -> tuple[Interval, ...]:
        return tuple(self._found)

    def _join(self) -> None:
        """The two that are nearest to each other: too much is said to be changed, and never too little."""
        gaps = [after[0] - before[1] for before, after in zip(self._found, self._found[1:], strict=False)]
        at = gaps.index(min(gaps))
        self._found[at : at + 2] = [(self._found[at][0], self._found[at + 1][1])]
