"""What is lost on the way, and who counts it.

Whoever can lose something has ``lost()``; the recorder asks all of them when it reports.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Protocol, runtime_checkable

from realtime_dub.media import MS, AudioBlock

MISSING_NS = MS  # a block that begins so long after the one before it follows a hole


@dataclass(frozen=True, slots=True)
class Lost:
    """Counts from the beginning on."""

    gaps: int = 0  # times that silence stood in for the voice
    drops: int = 0  # pictures that came and were never tracked
    overflows: int = 0  # times that sound was lost because a buffer was full, or had run dry
    slips: int = 0  # times that the place in the sound was changed at once, because a device's clock had moved
    packets: int = 0  # of a browser, that never came
    devices: int = 0  # times that a microphone or a speaker was lost, or moved by the sound server

    def __add__(self, other: Lost) -> Lost:
        mine, more = asdict(self), asdict(other)
        return Lost(**{name: count + more[name] for name, count in mine.items()})


KINDS = tuple(asdict(Lost()))


@runtime_checkable
class Loses(Protocol):
    """Something on the way of picture or sound."""

    def lost(self) -> Lost:
        """So far. From any thread."""


def lost_by(parts: tuple[object, ...]) -> Lost:
    """All that those of ``parts`` have lost that can lose something."""
    return sum((each.lost() for each in parts if isinstance(each, Loses)), Lost())


class GapCount:
    """Counts the gaps of a voice, marked ones and missing blocks. What is silent before it is heard at all is none."""

    def __init__(self) -> None:
        self.gaps = 0
        self._heard = self._within = False
        self._end_ns = 0

    def hear(self, block: AudioBlock) -> None:
        """The next block."""
        missing = block.pts_ns - self._end_ns > MISSING_NS
        self.gaps += self._heard and not self._within and (block.gap or missing)
        self._heard, self._within = self._heard or not block.gap, block.gap
        self._end_ns = block.end_ns
