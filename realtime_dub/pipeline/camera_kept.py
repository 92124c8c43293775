"""What a machine was measured to hold, kept for the next start: measuring takes one to two seconds.

One small file in the cache folder, with a measurement for each engine. It counts for the machine, the version and the
settings it was made with alone. One that speaks for small frames may have met a busy machine, and is soon made again.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import realtime_dub
from realtime_dub.errors import MediaError
from realtime_dub.media import NS
from realtime_dub.paths import WholeFile, cache_folder, read_plain

if TYPE_CHECKING:
    from realtime_dub.config import LiveConfig

FORMAT = 1
DAY_S = 86_400
GOOD_S, SLOW_S = 30 * DAY_S, DAY_S  # how long a measurement counts: one that was quick enough, and one that was not
MOST_ENTRIES, MOST_BYTES = 8, 1 << 16


@dataclass(frozen=True, slots=True)
class Kept:
    """One machine's measurement of one engine. ``what``: which engine, with all that its speed depends on."""

    path: Path
    what: dict[str, str]

    def read(self, may_ns: float) -> tuple[float, float] | None:
        """What a mouth took, ns, and how many seconds ago that was measured; None where there is none that counts.

        ``may_ns``: what it may take.
        """
        for entry in _entries(self.path):
            if entry["of"] == self._key():
                age_s = time.time() - entry["at_s"]
                took_ns = float(entry["took_ns"])
                return (took_ns, age_s) if 0 <= age_s < (GOOD_S if took_ns <= may_ns else SLOW_S) else None
        return None

    def write(self, took_ns: float) -> None:
        """In place of the last one. A folder that cannot be written to is no reason to stop: it is measured again."""
        others = [entry for entry in _entries(self.path) if entry["of"] != self._key()]
        entry = {"of": self._key(), "took_ns": took_ns, "at_s": time.time()}
        written = {"format": FORMAT, "entries": [entry, *others][:MOST_ENTRIES]}
        with suppress(OSError, MediaError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            WholeFile(self.path).write(json.dumps(written, indent=1).encode())

    def _key(self) -> dict[str, str]:
        return {**machine(), **self.what}


def kept(**what: object) -> Kept:
    """Of an engine that is made as ``what`` says."""
    return Kept(cache_folder() / "camera.json", {name: str(value) for name, value in what.items()})


def kept_for(config: LiveConfig) -> Kept:
    """Of the engine of a live run."""
    names = ("engine", "bundle", "backend", "look_ahead", "quality", "learn", "identity")
    return kept(**{name: getattr(config, name) for name in names})


def ago(age_s: float) -> str:
    """When something was, in words."""
    days = int(age_s // DAY_S)
    return "today" if days < 1 else "yesterday" if days == 1 else f"{days} days ago"


@cache
def machine() -> dict[str, str]:
    """What its speed depends on, and the program's version."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "version": realtime_dub.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.node()} {sys.platform} {platform.machine()}",
        "processor": _processor() or platform.processor(),
        "cores": str(cores),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def _processor() -> str:
    """Its name, as Linux has it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def _entries(path: Path) -> list[dict[str, Any]]:
    """Those of the file that are whole; none where it is not there, or another program's."""
    try:
        found = json.loads(read_plain(path, MOST_BYTES))
        entries = found["entries"] if found["format"] == FORMAT else []
        return [entry for entry in entries if _is_whole(entry)]
    except (OSError, ValueError, KeyError, TypeError, MediaError):
        return []


def _is_whole(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("of"), dict):
        return False
    took_ns, at_s = entry.get("took_ns"), entry.get("at_s")
    return isinstance(took_ns, int | float) and isinstance(at_s, int | float) and 0 < took_ns < 3600 * NS
