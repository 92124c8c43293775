"""One avatar for a server of pages, as a program of its own: ``prepare FILM FOLDER``, then ``train FILM FOLDER``.

It goes on where it was stopped. Whoever starts it holds its standard input open: it ends where that does. How far it
is stands in the folder; the last line of standard error says why it failed.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from engines.common import engine as engines
from engines.common.command import run
from realtime_dub.errors import RealtimeDubError

STOPPED = 3


def prepare(film: Path, folder: Path) -> None:
    """All that comes before training, and the report on the recording. Raises UserError."""
    engines.load("avatar").of_film(film, folder / "data")


def train(film: Path, folder: Path) -> None:
    """Leaves the process."""
    sys.argv[1:] = ["avatar", "--video", str(film), "--out", str(folder), "--resume"]
    run("engines.common.train_engine", "train-engine", "stopped")


def main(what: str, film: str, folder: str) -> None:
    threading.Thread(target=_end_with_starter, daemon=True).start()
    work: Callable[[Path, Path], None] = {"prepare": prepare, "train": train}[what]
    Path(folder).mkdir(exist_ok=True)
    try:
        work(Path(film), Path(folder))
    except RealtimeDubError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _end_with_starter() -> None:
    while os.read(0, 1024):
        pass
    os._exit(STOPPED)


if __name__ == "__main__":
    main(*sys.argv[1:])
