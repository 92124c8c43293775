"""How much of something may be had: tokens that come back with time, up to so many."""

from __future__ import annotations


class TokenBucket:
    """Fills by ``per_s`` up to ``most``. One thread at a time."""

    def __init__(self, per_s: float, most: float) -> None:
        self._per_s, self._most = per_s, most
        self._left, self._since_s = most, 0.0

    def left(self, now_s: float) -> float:
        """What may be used now; below 0 after more was spent than there was."""
        self._left = min(self._most, self._left + max(0.0, now_s - self._since_s) * self._per_s)
        self._since_s = now_s
        return self._left

    def take(self, amount: float, now_s: float) -> bool:
        """False, and nothing is used, where there is not so much."""
        if self.left(now_s) < amount:
            return False
        self._left -= amount
        return True

    def spend(self, amount: float) -> None:
        """Of what has been used already, whatever is left."""
        self._left -= amount
