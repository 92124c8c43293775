"""A few words in a film's header from its first byte on: what made it, should its credentials never come.

Credentials are added when a film is whole. One with these words and no credentials was interrupted, or lost them.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import realtime_dub

HEAD, TAIL = 1 << 18, 1 << 16  # bytes looked at: a film's header is at its beginning or its end
_WORDS = re.compile(rb"made by realtime-dub ([\w.+-]{1,40})(?: with ([\w.+ -]{1,60}) sha256 ([0-9a-f]{64}))?")


@dataclass(frozen=True, slots=True)
class Tag:
    """What made a film. ``bundle`` and ``sha256`` are empty where no network did."""

    version: str = realtime_dub.__version__
    bundle: str = ""
    sha256: str = ""

    def __str__(self) -> str:
        bundle = re.sub(r"[^\w.+ -]", "_", self.bundle, flags=re.ASCII)[:60]
        network = f" with {bundle} sha256 {self.sha256}" if bundle and self.sha256 else ""
        return f"made by realtime-dub {self.version}{network}"


def read_tag(path: Path) -> Tag | None:
    """None where the file has none. Looks for the words alone, whatever kind of file it is. Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        size = os.fstat(file.fileno()).st_size
        file.seek(max(len(head), size - TAIL))
        found = _WORDS.search(head) or _WORDS.search(file.read(TAIL))
    return None if found is None else _tag(found)


def _tag(found: re.Match[bytes]) -> Tag:
    return Tag(*((part or b"").decode("ascii", "replace") for part in found.groups()))
