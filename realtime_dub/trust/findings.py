"""Marks that were found in a file's pictures and sound, whatever looks for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime_dub.imports import resolve


@dataclass(frozen=True, slots=True)
class Finding:
    """A mark that was found from ``start_s`` to ``end_s``; ``where``: picture or sound; ``confidence``: 0 to 1."""

    where: str
    start_s: float
    end_s: float
    confidence: float
    says: str = ""  # what the mark carries


Detector = Callable[[Path], Sequence[Finding]]
# Each a function of a file, ``Detector``: "name": "module:attribute", loaded when a file is looked at.
DETECTORS: dict[str, str] = {"marks": "realtime_dub.trust.marks.found:stretches_in"}


def marks_in(path: Path) -> list[Finding]:
    """All that all detectors find. Raises MediaError where the file cannot be read."""
    return [finding for name in DETECTORS.values() for finding in resolve(name)(path)]
