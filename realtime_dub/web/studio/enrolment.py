"""How far a session is with learning a person."""

from __future__ import annotations

import time


class Enrolment:
    """``seconds`` of looking, from :meth:`begin` on."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._since_s: float | None = None

    def begin(self) -> None:
        self._since_s = time.monotonic()

    @property
    def progress(self) -> float:
        """0 to 1."""
        if self._since_s is None:
            return 0.0
        return min(1.0, (time.monotonic() - self._since_s) / self.seconds)
