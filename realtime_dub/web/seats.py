"""How many may come in: pipelines cost most of a core each, viewers a tenth, interpreters next to nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal

if TYPE_CHECKING:
    from realtime_dub.web.session import Session

RETRY_S = "60"
FULL = {
    "studio": "The studio is full: {most} are at work.",
    "interpreter": "The studio has no seat for another interpreter: {most} are here.",
    "viewer": "The studio has no seat for another viewer: {most} are watching.",
}


class Seats:
    """Each role has seats of its own."""

    def __init__(self, config: ServeConfig) -> None:
        self.most = {
            "studio": config.max_sessions,
            "interpreter": config.max_interpreters,
            "viewer": config.max_viewers,
        }

    def taken(self, role: str, sessions: Iterable[Session]) -> int:
        return sum(each.options.role == role and not each.closed for each in sessions)

    def check(self, role: str, sessions: Iterable[Session]) -> None:
        """Raises Refusal where no seat is left."""
        most = self.most[role]
        if self.taken(role, sessions) >= most:
            raise Refusal(503, FULL[role].format(most=most), "Try again in a minute.", {"Retry-After": RETRY_S})

    def told(self, sessions: Iterable[Session]) -> dict[str, int]:
        """For ``/api/config``."""
        present = tuple(sessions)
        return {
            "sessions": self.taken("studio", present),
            "max_sessions": self.most["studio"],
            "interpreters": self.taken("interpreter", present),
            "viewers": self.taken("viewer", present),
            "max_viewers": self.most["viewer"],
        }
