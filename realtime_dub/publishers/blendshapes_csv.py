"""A table of the mouth's blendshape weights, one row per picture, for animating a character afterwards."""

from __future__ import annotations

import csv
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TextIO

from realtime_dub.errors import MediaError
from realtime_dub.media import BLENDSHAPES, NS, OutputFormat, Tick

COLUMNS = ("time_s", *BLENDSHAPES)


class BlendshapeCsvPublisher:
    """Writes ``path``: the tick's time in seconds and ARKit's mouth weights, empty where the engine gave none."""

    policy: Literal["latest", "every"] = "every"
    latency_ns = 0

    def __init__(self, path: str) -> None:
        self.name = path
        self._path = Path(path)
        self._file: TextIO | None = None
        self._rows: Any = None

    def open(self, fmt: OutputFormat) -> None:
        """Raises MediaError where the file cannot be written."""
        try:
            self._file = self._path.open("w", newline="", encoding="utf-8")
        except OSError as error:
            raise MediaError("cannot write", f"{self._path}: {error.strerror}", "choose another file name") from error
        self._rows = csv.writer(self._file)
        self._write(COLUMNS)

    def publish(self, tick: Tick) -> None:
        """Raises MediaError where the disk is full."""
        weights = tick.blendshapes
        values = ["" if weights is None else f"{weights[name]:.4f}" for name in BLENDSHAPES]
        self._write((f"{tick.pts_ns / NS:.6f}", *values))

    def _write(self, row: tuple[str, ...]) -> None:
        assert self._rows is not None, "publish comes after open"
        try:
            self._rows.writerow(row)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> MediaError:
        return MediaError("cannot write", f"{self._path}: {error.strerror}", "make room on the disk")

    def close(self) -> None:
        """Raises MediaError where the last rows cannot be written."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            with suppress(OSError):
                file.close()
            raise self._failed(error) from error
