"""Smooth warps: a thin-plate spline through landmark pairs, evaluated on a coarse grid, applied with ``cv2.remap``.

Thin-plate splines after Bookstein 1989. A dense evaluation costs tens of milliseconds; on a grid of a fourteenth of a
mouth width and enlarged, the error is below a twentieth of a pixel and the cost about two milliseconds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import Image

Points2 = npt.NDArray[np.float64]  # (n, 2) pixels
Real = npt.NDArray[np.floating[Any]]
Box = tuple[int, int, int, int]  # x, y, width, height

_TILE = 64  # pixels, in which maps are kept
_BANDS, _LEAST_BAND = 4, 8  # of a box: each call lets other threads have Python, and waits for it again; pixels
_BESIDE = 2  # pixels beside what is shown: a patch that is carried over mixes it with its neighbours
_NO_MAP = np.empty(0, np.float32)  # remap takes both coordinates from its first map
STIFFNESS = 2e-3  # smoothing of the spline: what two landmarks that contradict each other are allowed to be off


class ThinPlate:
    """The displacement that takes each of ``target`` (n, 2) to ``source`` (n, 2), smooth in between.

    ``unit`` is the length that makes the stiffness independent of the picture's size (a mouth width, pixels).
    """

    def __init__(self, target: Points2, source: Points2, unit: float, stiffness: float = STIFFNESS) -> None:
        self._unit = unit
        self._nodes = np.asarray(target, np.float64) / unit
        count = len(self._nodes)
        system = np.zeros((count + 3, count + 3))
        system[:count, :count] = _kernel(self._nodes, self._nodes)
        system.ravel()[: count * (count + 4) : count + 4] += stiffness  # the diagonal
        system[:count, count] = 1.0
        system[:count, count + 1 :] = self._nodes
        system[count:, :count] = system[:count, count:].T
        right = np.zeros((count + 3, 2))
        right[:count] = np.asarray(source, np.float64) / unit - self._nodes
        self._weights = np.linalg.solve(system, right)

    def __call__(self, at: Points2) -> Points2:
        """Displacement (m, 2) in pixels at points (m, 2)."""
        return _evaluated(at / self._unit, self._nodes, self._weights) * self._unit

    def field(self, box: Box, step: float) -> npt.NDArray[np.float32]:
        """Displacement of every pixel of ``box``, (height, width, 2), from a grid about ``step`` pixels wide."""
        return np.asarray(cv2.resize(self.grid(box, step), box[2:], interpolation=cv2.INTER_CUBIC), np.float32)

    def grid(self, box: Box, step: float) -> npt.NDArray[np.float32]:
        """Displacement (rows, columns, 2) on a grid about ``step`` pixels wide, whose nodes lie as a small picture's
        pixels in ``box``.
        """
        x, y, width, height = box
        columns, rows = max(4, round(width / step) + 1), max(4, round(height / step) + 1)
        # cv2.resize maps pixel centres: node j sits at (j + 0.5) * width / columns - 0.5.
        grid_x = x + (np.arange(columns) + 0.5) * width / columns - 0.5
        grid_y = y + (np.arange(rows) + 0.5) * height / rows - 0.5
        # Single precision is good for a thousandth of a pixel, in a third of the time.
        at = np.empty((rows, columns, 2), np.float32)
        at[..., 0], at[..., 1] = grid_x / self._unit, (grid_y / self._unit)[:, None]
        nodes, weights = self._nodes.astype(np.float32), self._weights.astype(np.float32)
        weights[: len(nodes)] *= 0.5  # which the kernel of many more numbers is spared, exactly
        across, down = _squares(at[0, :, :1], nodes[:, 0]), _squares(at[:, 0, 1:], nodes[:, 1])
        kernel = _bent_twice((across + down[:, None]).reshape(-1, len(nodes)))
        moved = _weighed(kernel, at.reshape(-1, 2), weights) * np.float32(self._unit)
        return np.asarray(moved.reshape(rows, columns, 2), np.float32)


def _evaluated(at: Real, nodes: Real, weights: Real) -> Real:
    """The spline of ``nodes`` (n, 2) and ``weights`` (n + 3, 2) at points (m, 2), all in its unit."""
    return _weighed(_kernel(at, nodes), at, weights)


def _weighed(kernel: Real, at: Real, weights: Real) -> Real:
    count = kernel.shape[1]
    return np.asarray(kernel @ weights[:count] + weights[count] + at @ weights[count + 1 :])


def _kernel(a: Real, b: Real) -> Real:
    squared = _squares(a[:, :1], b[:, 0])
    squared += _squares(a[:, 1:], b[:, 1])
    return _bent(squared)


def _squares(a: Real, b: Real) -> Real:
    """(a - b)^2 (n, m) of a column (n, 1) and a row (m,)."""
    apart = a - b
    apart *= apart
    return apart


def _bent(squared: Real) -> Real:
    """r^2 log r = r^2 log(r^2) / 2 of squared distances, and 0 at r = 0, in their place."""
    bent = _bent_twice(squared)
    bent *= 0.5
    return bent


def _bent_twice(squared: Real) -> Real:
    logarithm = np.add(squared, 1e-12)
    squared *= np.log(logarithm, out=logarithm)
    return squared


def identity_map(box: Box) -> npt.NDArray[np.float32]:
    """Pixel coordinates (height, width, 2) of ``box``, a new array."""
    x, y, width, height = box
    kept = _from_zero(-(-height // _TILE) * _TILE, -(-width // _TILE) * _TILE)
    return np.asarray(cv2.add(kept[:height, :width], np.array([x, y, 0, 0], np.float64)), np.float32)


def moved_map(box: Box, displacement: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Where the pixels of ``box`` come from (height, width, 2), by their ``displacement``, which is changed to that."""
    return np.asarray(cv2.add(identity_map(box), displacement, dst=displacement), np.float32)


@lru_cache(maxsize=4)
def _from_zero(height: int, width: int) -> npt.NDArray[np.float32]:
    """Kept, because the box of a face that moves hardly changes its size."""
    return np.stack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)), -1)


def sample(image: Image, where: npt.NDArray[np.float32], fine: bool = True) -> Image:
    """``image`` at the pixel coordinates ``where`` (height, width, 2), the edge repeated outside.

    ``fine``: bicubic, at four times the work of bilinear, which is enough where there are more pixels than detail.
    """
    how = cv2.INTER_CUBIC if fine else cv2.INTER_LINEAR
    return np.asarray(cv2.remap(image, where, _NO_MAP, interpolation=how, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def sample_shown(
    image: Image, box: Box, where: npt.NDArray[np.float32], shown: npt.NDArray[np.uint8], fine: bool = True
) -> Image:
    """As :func:`sample` for the pixels of ``box`` where ``shown`` (height, width) is not 0; elsewhere mostly ``image``.

    A lower face fills six tenths of its box: it is sampled in bands, each as wide as what is shown of it.
    """
    x, y, width, height = box
    found = image[y : y + height, x : x + width].copy()
    step = max(_LEAST_BAND, -(-height // _BANDS))
    for top in range(0, height, step):
        left, first, wide, high = cv2.boundingRect(shown[top : top + step])
        if wide:
            rows, columns = slice(top + first, top + first + high), slice(max(0, left - _BESIDE), left + wide + _BESIDE)
            found[rows, columns] = sample(image, where[rows, columns], fine)
    return found
