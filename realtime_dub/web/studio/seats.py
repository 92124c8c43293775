"""How many may come in: pipelines cost most of a core each, viewers a tenth, interpreters next to nothing.

The line is counted apart: each who is shown something counts with the most that its video may take.

A seat is taken by who is connected; a handshake takes none (``pending``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.limits import ORIGINAL_KBPS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.said import said

RETRY_S = "60"
FULL = {
    "studio": "The studio is full: {most} are at work.",
    "interpreter": "The studio has no seat for another interpreter: {most} are here.",
    "viewer": "The studio has no seat for another viewer: {most} are watching.",
}


LINE_FULL = "The studio's line is full: all that it may send is taken."


class Seated(Protocol):
    @property
    def role(self) -> str: ...

    @property
    def has_seat(self) -> bool:
        """It has been connected, and is not over."""


class Seats:
    """Each role has seats of its own. ``times``: of so many studios together."""

    def __init__(self, config: ServeConfig, times: int = 1) -> None:
        self.most = {
            "studio": times * config.max_sessions,
            "interpreter": times * config.max_interpreters,
            "viewer": times * config.max_viewers,
        }
        most_kbps = max(config.bitrate_kbps, config.max_bitrate_kbps)
        self._kbps = {"studio": most_kbps, "viewer": most_kbps, "interpreter": min(most_kbps, ORIGINAL_KBPS)}
        self._line_kbps = times * config.max_bandwidth_kbps if config.max_bandwidth_kbps is not None else None

    def taken(self, role: str, sessions: Iterable[Seated]) -> int:
        return sum(each.role == role and each.has_seat for each in sessions)

    def left(self, role: str, sessions: Iterable[Seated]) -> int:
        """Seats that are free, and have room on the line."""
        present = tuple(sessions)
        left = self.most[role] - self.taken(role, present)
        if self._line_kbps is not None:
            free_kbps = self._line_kbps - sum(self._kbps[each] * self.taken(each, present) for each in self.most)
            left = min(left, free_kbps // self._kbps[role])
        return left

    def check(self, role: str, sessions: Iterable[Seated]) -> None:
        """Raises Refusal where no seat is left."""
        present = tuple(sessions)
        if self.left(role, present) < 1:
            full = self.taken(role, present) >= self.most[role]
            what = said(FULL[role], most=self.most[role]) if full else said(LINE_FULL)
            raise Refusal(503, what, "Try again in a minute.", {"Retry-After": RETRY_S})

    def to_dict(self, sessions: Iterable[Seated]) -> dict[str, int]:
        """For ``/api/config``."""
        present = tuple(sessions)
        return {
            "sessions": self.taken("studio", present),
            "max_sessions": self.most["studio"],
            "interpreters": self.taken("interpreter", present),
            "viewers": self.taken("viewer", present),
            "max_viewers": self.most["viewer"],
        }
