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
    difference = np.asarray(cv2.subtract(foreground, background, dtype=cv2.CV_32F), np.float32)
    weight = mask.astype(np.float32) * np.float32(1 / 255)
    return np.asarray(cv2.add(_mix(difference, weight, levels), background, dtype=cv2.CV_8U), np.uint8)


def _mix(difference: npt.NDArray[np.float32], weight: npt.NDArray[np.float32], levels: int) -> npt.NDArray[np.float32]:
    """``difference`` (height, width, 3), which is overwritten, at ``weight`` (height, width)."""
    each = cv2.merge([weight] * 3)
    if levels == 0:
        return np.asarray(cv2.multiply(difference, each, dst=difference), np.float32)
    size = (difference.shape[1], difference.shape[0])
    low = np.asarray(cv2.pyrDown(difference), np.float32)
    detail = cv2.subtract(difference, cv2.pyrUp(low, dstsize=size), dst=difference)
    cv2.multiply(detail, each, dst=detail)
    mixed = _mix(low, np.asarray(cv2.pyrDown(weight), np.float32), levels - 1)
    return np.asarray(cv2.add(detail, cv2.pyrUp(mixed, dstsize=size), dst=detail), np.float32)
