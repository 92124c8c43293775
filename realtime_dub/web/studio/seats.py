"""How many may come in: pipelines cost most of a core each, viewers a tenth, interpreters next to nothing.

A seat is taken by who is connected; a handshake takes none (``pending``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal

RETRY_S = "60"
FULL = {
    "studio": "The studio is full: {most} are at work.",
    "interpreter": "The studio has no seat for another interpreter: {most} are here.",
    "viewer": "The studio has no seat for another viewer: {most} are watching.",
}


class Seated(Protocol):
    @property
    def role(self) -> str: ...

    @property
    def has_seat(self) -> bool:
        """It has been connected, and is not over."""


class Seats:
    """Each role has seats of its own."""

    def __init__(self, config: ServeConfig) -> None:
        self.most = {
            "studio": config.max_sessions,
            "interpreter": config.max_interpreters,
            "viewer": config.max_viewers,
        }

    def taken(self, role: str, sessions: Iterable[Seated]) -> int:
        return sum(each.role == role and each.has_seat for each in sessions)

    def left(self, role: str, sessions: Iterable[Seated]) -> int:
        return self.most[role] - self.taken(role, sessions)

    def check(self, role: str, sessions: Iterable[Seated]) -> None:
        """Raises Refusal where no seat is left."""
        if self.left(role, sessions) < 1:
            raise Refusal(
                503, FULL[role].format(most=self.most[role]), "Try again in a minute.", {"Retry-After": RETRY_S}
            )

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
