"""Pictures of a track in one file: decoded one at a time."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from engines.common import Array
from engines.common.prepare.clip import write_whole

QUALITY = 93  # of JPEG


class Stored:
    """``data/KIND/TRACK.npz``. ``numbers`` (n,): which of the track's pictures each row is."""

    def __init__(self, data: Path, kind: str, track: str) -> None:
        with np.load(stored_path(data, kind, track), allow_pickle=False) as stored:
            self._data, ends, self.numbers = stored["data"], stored["ends"], stored["numbers"]
        self._bounds = np.concatenate([[0], ends]).astype(int)

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, row: int) -> Array:
        """A picture (side, side, 3) BGR, or a matte (side, side)."""
        coded = self._data[self._bounds[row] : self._bounds[row + 1]]
        return np.asarray(cv2.imdecode(coded, cv2.IMREAD_UNCHANGED), np.uint8)


def stored_path(data: Path, kind: str, track: str) -> Path:
    return data / kind / f"{track}.npz"


def store(data: Path, kind: str, track: str, coded: Sequence[bytes], numbers: Array) -> None:
    """Write pictures that :func:`coded_picture` or :func:`coded_matte` made, whole or not at all."""
    ends = np.cumsum([len(each) for each in coded])
    write_arrays(
        stored_path(data, kind, track), data=np.frombuffer(b"".join(coded), np.uint8), ends=ends, numbers=numbers
    )


def coded_picture(image: Array) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def coded_matte(matte: Array) -> bytes:
    return cv2.imencode(".png", matte, [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()


def write_arrays(path: Path, **arrays: Array) -> None:
    """An ``.npz``, whole or not at all."""
    stored = io.BytesIO()
    np.savez(stored, **arrays)
    write_whole(path, stored.getvalue())
