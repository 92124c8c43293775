"""How long to wait before what has failed is tried again."""

from __future__ import annotations


class Retries:
    """Twice as long after each failure, up to ``most_s``; from ``first_s`` on again after ``calm_s`` without one."""

    def __init__(self, first_s: float, most_s: float, calm_s: float) -> None:
        self._first_s, self._most_s, self._calm_s = first_s, most_s, calm_s
        self._next_s, self._failed_s = first_s, float("-inf")

    def pause_s(self, now_s: float) -> float:
        """It has failed now: the rest before the next try."""
        if now_s - self._failed_s > self._calm_s:
            self._next_s = self._first_s
        self._failed_s = now_s
        pause_s, self._next_s = self._next_s, min(self._most_s, 2 * self._next_s)
        return pause_s
