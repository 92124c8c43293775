"""What each kind of input is made of: whole files to begin with, and the reader that users meet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from realtime_dub.errors import RealtimeDubError
from realtime_dub.web.refusals import Refusal

REFUSED = (RealtimeDubError, Refusal)
Reader = Callable[[bytes], object]


@dataclass(frozen=True)
class Kind:
    """``make`` gives the reader, once in each process; it raises one of ``refused`` for what it does not take.

    ``slow``: a copy takes a tenth of a second and more.
    """

    whole: Callable[[], Sequence[bytes]]
    make: Callable[[], Reader]
    is_text: bool = False
    refused: tuple[type[Exception], ...] = REFUSED
    slow: bool = False


def by_path(suffix: str, read: Callable[[Path], object]) -> Reader:
    """One file in memory's own folder, written anew each time."""
    path = Path(tempfile.mkdtemp(dir=memory())) / f"a{suffix}"

    def reader(data: bytes) -> object:
        path.write_bytes(data)
        return read(path)

    return reader


def memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
