"""Pictures of a track as they were written: decoded one at a time."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from engines.common import Array


class Stored:
    """``data/KIND/TRACK.npz``. ``numbers`` (n,): which of the track's pictures each row is."""

    def __init__(self, data: Path, kind: str, track: str) -> None:
        with np.load(data / kind / f"{track}.npz", allow_pickle=False) as stored:
            self._data, ends, self.numbers = stored["data"], stored["ends"], stored["numbers"]
        self._bounds = np.concatenate([[0], ends]).astype(int)

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, row: int) -> Array:
        """A picture (side, side, 3) BGR, or a matte (side, side)."""
        coded = self._data[self._bounds[row] : self._bounds[row + 1]]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.uint8)
