"""How alike two pictures look."""

from __future__ import annotations

import cv2
import numpy as np

from realtime_dub.media import Image

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim_map(a: Image, b: Image) -> np.ndarray:
    """Structural similarity (Wang et al. 2004) around each pixel, of the grey pictures."""
    x, y = (cv2.cvtColor(each, cv2.COLOR_BGR2GRAY).astype(np.float64) for each in (a, b))

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mx, my = mean(x), mean(y)
    vx, vy, both = mean(x * x) - mx * mx, mean(y * y) - my * my, mean(x * y) - mx * my
    return (2 * mx * my + _C1) * (2 * both + _C2) / ((mx**2 + my**2 + _C1) * (vx + vy + _C2))


def ssim(a: Image, b: Image) -> float:
    return float(ssim_map(a, b).mean())
