"""A table of the mouth's blendshape weights, one row per picture, for animating a character afterwards."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Literal

from realtime_dub.media import BLENDSHAPES, NS, OutputFormat, Tick
from realtime_dub.writing import GrowingFile

COLUMNS = ("time_s", *BLENDSHAPES)


class BlendshapeCsvPublisher:
    """Writes ``path``: the tick's time in seconds and ARKit's mouth weights, empty where the engine gave none.

    The file appears with the first row, and always ends with a whole one.
    """

    policy: Literal["latest", "every"] = "every"
    latency_ns = 0

    def __init__(self, path: str) -> None:
        self.name = path
        self._path = Path(path)
        self._file: GrowingFile | None = None
        self._kept_ns = 0

    def open(self, fmt: OutputFormat) -> None:
        """Raises MediaError where the file cannot be written."""
        self._file = GrowingFile(self._path)
        self._file.open()
        self._kept_ns = 0

    def publish(self, tick: Tick) -> None:
        """Raises LostOutput where the disk is full or the file was removed."""
        assert self._file is not None, "publish comes after open"
        weights = tick.blendshapes
        values = ["" if weights is None else f"{weights[name]:.4f}" for name in BLENDSHAPES]
        row = _line(f"{tick.pts_ns / NS:.6f}", *values)
        try:
            self._file.append(row if self._file.size else _line(*COLUMNS) + row)
        except OSError as error:
            self._file.abandon()
            raise self._file.lost(error, self._kept_ns) from error
        self._kept_ns = tick.pts_ns + tick.duration_ns

    def close(self) -> None:
        """Raises LostOutput where the file is not at its place any more."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except OSError as error:
            raise file.lost(error, self._kept_ns) from error


def _line(*values: str) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(values)
    return line.getvalue().encode()
