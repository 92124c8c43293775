"""A picture for a quick look at a run: source, mouth before and after, and result, for a few moments of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.errors import ConfigError
from realtime_dub.face.types import Face
from realtime_dub.flow import Spread
from realtime_dub.media import Image
from realtime_dub.paths import WholeFile

ROW_HEIGHT = 240  # pixels
MAX_WIDTH = 480  # of one picture in a row
GAP = 4
BACKGROUND = 32
CORNERS = (61, 291)  # of the mouth, in MediaPipe's face mesh
LIPS = (61, 291, 0, 17, 13, 14)
CLOSE_UP = 1.8  # side of the close-up in mouth widths


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    seq: int
    image: Image


class ContactSheet(Spread[_Row]):
    """Collects moments and draws them; ``path`` ends in .png or .jpg.

    The moments are spread evenly over a run of any length in memory for fewer than ``2 * rows`` of them.
    """

    def __init__(self, path: Path | str, rows: int = 8) -> None:
        super().__init__(rows, 2 * rows - 1)
        self.path = Path(path)
        if self.path.suffix.lower() not in (".png", ".jpg", ".jpeg"):
            raise ConfigError("a contact sheet is an image, not", repr(str(path)), "use a name such as sheet.png")
        self._file = WholeFile(path)

    def add(self, source: Image, face: Face | None, result: Image, seq: int) -> None:
        """Offer a moment: the source's picture, the face in it, and the picture published instead."""
        self.offer(lambda: _Row(seq, _draw(source, face, result, seq)))

    def write(self, seal: Callable[[bytes], bytes] = bytes) -> bool:
        """Write the sheet, as ``seal`` gives its file back. False where nothing was added, and then nothing is written.

        Raises MediaError.
        """
        if not (rows := [row.image for row in self.chosen()]):
            return False
        width = max(row.shape[1] for row in rows)
        sheet = np.vstack([_pad(row, width - row.shape[1]) for row in rows])
        done, coded = cv2.imencode(self.path.suffix.lower(), sheet)
        assert done, "an 8-bit picture can always be coded"
        self._file.write(seal(coded.tobytes()))
        return True


def _draw(source: Image, face: Face | None, result: Image, seq: int) -> Image:
    close_ups = [_close_up(source, face), _close_up(result, face)]
    cells = [_fit(source), *close_ups, _fit(result)]
    _write_text(cells[0], f"#{seq}" if face is not None else f"#{seq} no face")
    gap = np.full((ROW_HEIGHT + GAP, GAP, 3), BACKGROUND, np.uint8)
    parts = [part for cell in cells for part in (_pad(cell, 0, GAP), gap)]
    return np.hstack(parts[:-1])


def _fit(image: Image) -> Image:
    """A copy that is as high as a row, or as wide as is allowed."""
    height, width = image.shape[:2]
    scale = min(ROW_HEIGHT / height, MAX_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
    return _pad(np.asarray(small, np.uint8), 0, ROW_HEIGHT - size[1])


def _close_up(image: Image, face: Face | None) -> Image:
    """The mouth, square and enlarged; plain background where there is no face or it is not in the picture."""
    empty = np.full((ROW_HEIGHT, ROW_HEIGHT, 3), BACKGROUND, np.uint8)
    if face is None:
        return empty
    lips = face.points[list(LIPS), :2]
    center = (lips.min(0) + lips.max(0)) / 2
    half = max(4.0, CLOSE_UP / 2 * float(np.linalg.norm(face.points[CORNERS[0], :2] - face.points[CORNERS[1], :2])))
    low = np.clip(np.floor(center - half).astype(int), 0, None)
    high = np.ceil(center + half).astype(int)
    crop = image[low[1] : max(low[1], high[1]), low[0] : max(low[0], high[0])]
    if crop.size == 0:
        return empty
    scale = ROW_HEIGHT / max(crop.shape[:2])
    size = (max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale)))
    large = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    return _pad(large, ROW_HEIGHT - size[0], ROW_HEIGHT - size[1])


def _pad(image: Image, right: int, below: int = 0) -> Image:
    return np.pad(image, ((0, below), (0, right), (0, 0)), constant_values=BACKGROUND)


def _write_text(image: Image, text: str) -> None:
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(image, text, (6, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, thickness, cv2.LINE_AA)
