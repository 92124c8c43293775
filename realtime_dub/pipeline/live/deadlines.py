"""By when each step of a tick has to be done."""

from __future__ import annotations

from realtime_dub.media import NS
from realtime_dub.pipeline.schedule import TOLERANCE_NS, Admission, Grid, phase_lock
from realtime_dub.pipeline.timing import LEAD_NS, Timing


class Deadlines:
    """The grid of a run, and the moments of tick k on it. ``composing``: what compositing takes, as it is measured."""

    def __init__(self, timing: Timing, capture_ns: int, now_ns: int) -> None:
        """``capture_ns``: of a frame that the grid is to be in step with."""
        plan = timing.plan
        first_ns = phase_lock(capture_ns, timing.fps, plan.budget_ns, now_ns + plan.budget_ns - plan.voice_ns)
        self.grid = Grid(first_ns, timing.fps, plan.budget_ns)
        self.composing = Admission(timing.compose_ns)
        self._timing = timing

    def start_ns(self, k: int) -> int:
        """The engine can have heard enough of the voice."""
        return self.grid.media(k) + self._timing.plan.voice_ns

    def ready_ns(self, k: int) -> int:
        """Everything that a mouth needs should be there."""
        return self.grid.media(k) + self._timing.plan.ready_ns

    def engine_ns(self, k: int) -> int:
        """A mouth has to be there, for compositing to be in time."""
        return self.composing.latest_ns(self.hand_over_ns(k))

    def hand_over_ns(self, k: int) -> int:
        return self.grid.at(k) - self._timing.publish_ns - LEAD_NS

    def last_moment_ns(self, k: int) -> int:
        """A frame that is not done by then is not waited for: half of the tolerance is left to the loop's timers."""
        return self.hand_over_ns(k) + LEAD_NS + TOLERANCE_NS // 2

    def is_over(self, k: int) -> bool:
        """Tick k is past the seconds that were asked for."""
        seconds = self._timing.seconds
        return seconds is not None and self.grid.offset(k) >= round(seconds * NS)
