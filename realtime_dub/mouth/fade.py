"""Ways from the live mouth to the dubbed one and back that take their time: nothing flickers."""

from __future__ import annotations

import math

from realtime_dub.face.types import Pose, TrackedFrame
from realtime_dub.media import MS, NS

AWAY_NS, BACK_NS = 120 * MS, 200 * MS  # from the dubbed mouth to the live one, and back
BREAK_NS = NS  # behind such a hole it begins anew; longer than any fade
# Degrees by which the head is turned from the camera, as the tracker finds them: it takes a mesh turned by 34 for one
# of 28, by 58 for one of 44. Up to the first a mouth is drawn; at the second, half of it is hidden, and the live one is
# left.
TURNED, GONE = 28.0, 44.0
SLACK = 2.0  # degrees by which the head may tremble


class Fade:
    """A weight 0..1 on its way to where it is wanted, at rising instants."""

    def __init__(
        self, in_ns: int = BACK_NS, out_ns: int = AWAY_NS, begins: float | None = None, least_step: float = 0.0
    ) -> None:
        """``in_ns``, ``out_ns``: how long the whole way up and down takes, 0 = it is there at once; ``begins``: the
        first weight, None = as wanted; ``least_step``: so far it goes up even where no time has passed.
        """
        self._in_ns, self._out_ns, self._least_step = in_ns, out_ns, least_step
        self._weight = begins
        self._at_ns: int | None = None

    @property
    def weight(self) -> float:
        """At the last instant."""
        return self._weight or 0.0

    def __call__(self, wanted: float, at_ns: int) -> float:
        """The weight at ``at_ns``. Where much time has passed, or time has turned back, it is as wanted."""
        step_ns = 0 if self._at_ns is None else at_ns - self._at_ns
        self._at_ns = at_ns
        if self._weight is not None and 0 <= step_ns < BREAK_NS:
            low = self._weight - _part(step_ns, self._out_ns)
            high = self._weight + max(_part(step_ns, self._in_ns), self._least_step)
            wanted = min(max(wanted, low), high)  # of one number NumPy makes ten times the work
        self._weight = wanted
        return wanted


def _part(step_ns: int, whole_ns: int) -> float:
    return step_ns / whole_ns if whole_ns else 1.0


class TurnFade:
    """The weight of the dubbed mouth on a head that is turned to the side, raised or lowered."""

    def __init__(self) -> None:
        self._fade = Fade()
        self._turned: float | None = None  # degrees; None before the first face
        self._shot = 0

    def __call__(self, tracked: TrackedFrame) -> float:
        """For frames in order; those without a face leave it as it is."""
        if tracked.face is None:
            return 0.0
        now = turned_deg(tracked.face.pose)
        if self._turned is None or tracked.shot != self._shot:
            self._fade, self._turned, self._shot = Fade(), now, tracked.shot
        self._turned = min(max(self._turned, now - SLACK), now + SLACK)
        wanted = min(max((GONE - self._turned) / (GONE - TURNED), 0.0), 1.0)
        return self._fade(wanted, tracked.frame.pts_ns)


def turned_deg(pose: Pose) -> float:
    """The angle between where the face looks and the camera, degrees."""
    return math.degrees(math.acos(min(max(float(pose.rotation[2, 2]), -1.0), 1.0)))
