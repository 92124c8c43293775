"""What a visitor sent and what was left out: counted by kind, for the server and for the visitor."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

NOTES = {
    "too large": "Your picture is too large: send at most 4096 by 2304 pixels.",
    "too costly": "Your picture takes too long to decode: send a smaller one, or fewer a second.",
    "too many sizes": "Your picture changes its size too often: some of it is left out.",
    "too many": "You send too many pictures a second: some are left out.",
    "too much sound": "You send more sound than lasts a second in a second: some is left out.",
    "packets": "You send more than 12 Mbit or 1000 packets a second: some are left out.",
    "sources": "You send too many streams over one connection: nothing more of them is taken. Connect again.",
}


class Counts(Protocol):
    """A counter of the server's metrics."""

    def labels(self, kind: str) -> Counts: ...

    def inc(self, amount: float) -> None: ...


class Dropped(Counter[str]):
    """How often, by kind. Counted by the decoders' threads, too: each has kinds of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: Counter[str] = Counter()

    def report(self, counts: Counts) -> str | None:
        """Add to the server's what came since the last look; what to tell the visitor of a kind that is new."""
        note = None
        for kind, count in tuple(self.items()):
            if count > self._seen[kind]:
                counts.labels(kind).inc(count - self._seen[kind])
                note = note if self._seen[kind] else NOTES.get(kind, note)
                self._seen[kind] = count
        return note
