"""Keeps the output's grid in step with its camera.

The grid is locked to one frame, and that one may have been late. Once frames have shown for a while where they really
stand, the grid is moved there: by a little at each tick, so that nothing is seen of it. The voice goes on without a
seam, at the same delay, as a tick has the voice of as long as it lasts.
"""

from __future__ import annotations

import cmath
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import tau

from realtime_dub.media import NS
from realtime_dub.pipeline.schedule import GUARD_NS, TOLERANCE_NS, Grid

WATCHED_NS = 3 * NS // 2  # the captures of so long are looked at,
LEAST = 10  # at least so many,
EVERY_NS = NS // 2  # so often
PAUSE_NS = NS // 2  # frames behind a longer one, and three frames long, are another camera's, or the same begun anew
STEP = 16  # a tick is longer or shorter by this share of a period at most
SPREAD, DRIFT = 3, 16  # shares of a period: most captures lie within the one, their two halves are no farther apart
ROOM_NS = GUARD_NS - TOLERANCE_NS  # from where frames are too old, for those that come as they should
MOST_ROOM_NS = 2 * ROOM_NS  # and for those that come when they like: younger frames are late sooner
SLACK_NS = ROOM_NS // 2


@dataclass(frozen=True, slots=True)
class Stand:
    """Where frames stand: phases on the grid, ns."""

    phase_ns: int  # the middle one of them
    below_ns: int  # of that, most are so much earlier at most

    def off_ns(self, period_ns: int) -> int:
        """By how much the grid would have to be later; 0 where it is near enough.

        It is where frames are not too old, and, at rates that leave room for it, where the picture is within half a
        period of its sound.
        """
        wanted_ns = min(max(ROOM_NS, 3 * self.below_ns // 2 + SLACK_NS), MOST_ROOM_NS, period_ns // 4)
        off_ns = _nearest(self.phase_ns - wanted_ns, period_ns)
        most_ns = max(SLACK_NS, period_ns // 2 - TOLERANCE_NS - wanted_ns - self.below_ns)
        return off_ns if not -SLACK_NS <= off_ns <= most_ns else 0


def stand(phases_ns: Sequence[int], period_ns: int) -> Stand | None:
    """Of frames in the order of their capture. None where they stand nowhere: they come at another rate, or change."""
    turns = sum(cmath.exp(1j * tau * each / period_ns) for each in phases_ns)
    centre_ns = round(cmath.phase(turns) / tau * period_ns)
    off_ns = [_nearest(each - centre_ns, period_ns) for each in phases_ns]
    ordered, half, tenth = sorted(off_ns), len(off_ns) // 2, len(off_ns) // 10
    drift_ns = _middle(off_ns[half:]) - _middle(off_ns[:half])
    if ordered[-1 - tenth] - ordered[tenth] > period_ns // SPREAD or abs(drift_ns) > period_ns // DRIFT:
        return None
    middle_ns = _middle(off_ns)
    return Stand(centre_ns + middle_ns, middle_ns - ordered[tenth])


def _middle(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _nearest(value_ns: int, period_ns: int) -> int:
    """The same modulo a period, from minus half of one to half of one."""
    return (value_ns + period_ns // 2) % period_ns - period_ns // 2


class InStep:
    """Moves ``grid``. ``put`` and ``step`` are called on the loop."""

    def __init__(self, grid: Grid) -> None:
        self._grid, self._period_ns = grid, int(NS / grid.fps)
        self._captures: deque[int] = deque()
        self._looked_ns = 0  # up to which capture
        self._left_ns = 0  # by which the grid is still to be moved

    def put(self, capture_ns: int) -> None:
        """A frame of a camera that runs was tracked."""
        captures, pause_ns = self._captures, max(PAUSE_NS, 3 * self._period_ns)
        if captures and not 0 < capture_ns - captures[-1] < pause_ns:
            captures.clear()
        captures.append(capture_ns)
        while len(captures) > LEAST and capture_ns - captures[0] > WATCHED_NS:
            captures.popleft()
        if len(captures) == 1:
            self._looked_ns = capture_ns + WATCHED_NS - EVERY_NS

    def step(self, k: int) -> None:
        """Before tick ``k`` begins, and before the one before it is given out."""
        if not self._left_ns:
            self._left_ns = self._off_ns()
        if self._left_ns:
            most_ns = self._period_ns // STEP
            by_ns = max(-most_ns, min(self._left_ns, most_ns))
            self._grid.move(k, by_ns)
            self._left_ns -= by_ns

    def _off_ns(self) -> int:
        captures = self._captures
        if len(captures) < LEAST or captures[-1] - self._looked_ns < EVERY_NS:
            return 0
        self._looked_ns = captures[-1]
        found = stand([self._grid.phase(each) for each in captures], self._period_ns)
        return 0 if found is None else found.off_ns(self._period_ns)
