"""What parts of a run have to say for the report."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class HasNotes(Protocol):
    """A source, a generator or a publisher that may have something to say at the end."""

    @property
    def notes(self) -> list[str]:
        """Sentences."""


def notes_of(*parts: object) -> list[str]:
    """All that ``parts`` have to say."""
    return [note for part in parts if isinstance(part, HasNotes) for note in part.notes]
