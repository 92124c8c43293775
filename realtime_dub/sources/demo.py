"""The built-in face: the public-domain portrait of Grace Hopper that matplotlib carries as sample data."""

from __future__ import annotations

import math
from fractions import Fraction
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.errors import DependencyError, EndOfStream
from realtime_dub.media import Floats, Frame, Image, VideoInfo, ticks_to_ns

PORTRAIT = "matplotlib/mpl-data/sample_data/grace_hopper.jpg"  # 512x600, face 201 high (hairline to chin)
CENTRE = (261.0, 216.0)  # what lies in the middle of the picture: the face, chin at three quarters of the height
MARGIN = 0.03  # of the longer side: more than the motion takes
VIEW_HEIGHT = 412.0  # rows of the portrait that fill the picture: the face takes 49 % of it


class DemoSource:
    """The portrait as a webcam would see it, with the slight motion of a hand-held camera, without end.

    The picture depends on the frame's number and the rate alone. Where the view is wider than the portrait its
    background is mirrored at the edge.
    """

    def __init__(self, width: int = 640, height: int = 480, fps: float | Fraction = 25) -> None:
        self.width, self.height = width, height
        self.fps = Fraction(fps).limit_denominator(1001)
        self._seq = 0
        self._canvas: Image | None = None

    def open(self) -> VideoInfo:
        """Read the portrait. Raises DependencyError where matplotlib came without its sample data."""
        self._canvas = self._view(read_portrait())
        return VideoInfo(self.width, self.height, self.fps, live=False, name="demo")

    def read(self) -> Frame:
        canvas = self._canvas
        if canvas is None:
            raise EndOfStream
        period = 1 / self.fps
        pts_ns = ticks_to_ns(self._seq, period)
        matrix = self._camera(float(self._seq * period))
        image = cv2.warpAffine(canvas, matrix, (self.width, self.height))
        frame = Frame(np.asarray(image, np.uint8), pts_ns, self._seq, ticks_to_ns(self._seq + 1, period) - pts_ns)
        self._seq += 1
        return frame

    def close(self) -> None:
        self._canvas = None

    def _view(self, portrait: Image) -> Image:
        """The portrait brought to size, with a margin around the picture for the motion.

        Done once and with the right filter: the motion of a frame is then nearly a plain shift, and never looks beyond
        the edge, which takes OpenCV twice the time.
        """
        scale = self.height / VIEW_HEIGHT
        size = (round(portrait.shape[1] * scale), round(portrait.shape[0] * scale))
        scaled = cv2.resize(portrait, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
        self._margin = 2 + round(MARGIN * max(self.width, self.height))
        left = self._margin + round(self.width / 2 - CENTRE[0] * scale)
        top = self._margin + round(self.height / 2 - CENTRE[1] * scale)
        place = np.array([[1, 0, left], [0, 1, top]], np.float32)
        size = (self.width + 2 * self._margin, self.height + 2 * self._margin)
        return np.asarray(cv2.warpAffine(scaled, place, size, borderMode=cv2.BORDER_REFLECT_101), np.uint8)

    def _camera(self, t: float) -> Floats:
        """The 2x3 matrix from the canvas to the picture at ``t`` seconds."""
        x, y, degrees, zoom = motion(t)
        middle = (self.width / 2 + self._margin, self.height / 2 + self._margin)
        matrix = cv2.getRotationMatrix2D(middle, degrees, zoom)
        matrix[0, 2] += x * self.height - self._margin
        matrix[1, 2] += y * self.height - self._margin
        return np.asarray(matrix, np.float32)


def motion(t: float) -> tuple[float, float, float, float]:
    """Shift right and down (in picture heights), turn (degrees) and zoom of the camera at ``t`` seconds.

    Sums of sines whose periods share no multiple: smooth, never the same twice, at most 12 pixels a second at 480 rows.
    """

    def wave(period_s: float, phase: float) -> float:
        return math.sin(2 * math.pi * (t / period_s + phase))

    return (
        0.008 * wave(5.3, 0.0) + 0.002 * wave(1.7, 0.3),
        0.006 * wave(4.1, 0.2) + 0.002 * wave(1.3, 0.7),
        0.5 * wave(7.9, 0.1) + 0.1 * wave(2.3, 0.5),
        1 + 0.008 * wave(9.7, 0.4),
    )


def read_portrait() -> Image:
    """The portrait, (600, 512, 3). Found without importing matplotlib, which makes a folder in the user's home."""
    try:
        data = Path(str(metadata.distribution("matplotlib").locate_file(PORTRAIT))).read_bytes()
    except (ModuleNotFoundError, OSError) as error:
        raise DependencyError("the built-in face is missing", PORTRAIT, "pip install matplotlib") from error
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), np.uint8)
