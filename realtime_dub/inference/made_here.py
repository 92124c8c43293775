"""Networks whose graphs this program built, of weights that somebody had: there is nothing of anybody else's in them.

``import-engine`` writes them down, by their hash. Like those that came with the program, they run in its own process
and on every backend.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from realtime_dub.inference.engine_cache import default_root

FILE = "made-here.json"
_HASHES = TypeAdapter(list[str])


def was_made_here(network: str, root: Path | None = None) -> bool:
    """``network``: a file's sha256."""
    return network in _known(root or default_root())


def write(network: str, root: Path | None = None) -> None:
    """Beside the others. Raises OSError."""
    folder = root or default_root()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f".lock-{FILE}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        part = (folder / FILE).with_suffix(".part")
        with part.open("wb") as file:
            file.write(_HASHES.dump_json(sorted({*_known(folder), network}), indent=1))
            file.flush()
            os.fsync(file.fileno())
        part.replace(folder / FILE)


def _known(root: Path) -> list[str]:
    try:
        return _HASHES.validate_json((root / FILE).read_bytes())
    except (OSError, ValidationError):
        return []
