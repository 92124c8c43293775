"""Laplacian pyramid blend (Burt and Adelson 1983): low frequencies mix widely, detail over a few pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from realtime_dub.media import Image


def blend(background: Image, foreground: Image, mask: npt.NDArray[np.uint8], levels: int = 3) -> Image:
    """``foreground`` where ``mask`` (height, width) is 255, ``background`` where 0, all of one size."""
    levels = min(levels, max(0, int(np.log2(max(1, min(mask.shape) // 8)))))
    # One pyramid of the difference does for both pictures: the blend is linear.
    difference = foreground.astype(np.float32) - background
    weight = mask.astype(np.float32) * np.float32(1 / 255)
    mixed = _mix(difference, weight, levels)
    mixed += background
    return np.clip(mixed + 0.5, 0, 255, out=mixed).astype(np.uint8)


def _mix(difference: npt.NDArray[np.float32], weight: npt.NDArray[np.float32], levels: int) -> npt.NDArray[np.float32]:
    if levels == 0:
        return difference * weight[..., None]
    size = (difference.shape[1], difference.shape[0])
    low = cv2.pyrDown(difference)
    detail = difference - cv2.pyrUp(low, dstsize=size)
    detail *= weight[..., None]
    detail += cv2.pyrUp(_mix(np.asarray(low), np.asarray(cv2.pyrDown(weight)), levels - 1), dstsize=size)
    return np.asarray(detail)
