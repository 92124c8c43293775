"""How good painted mouths are: how far from the true ones between the lips, and how much they move on their own."""

from __future__ import annotations

import cv2
import numpy as np

from engines.common import Array

_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of SSIM (Wang et al. 2004)
SIGMA = 1.5


def figures(drawn: Array, painted: Array, truth: Array, inside: Array) -> dict[str, float]:
    """Of twos: pictures (n, 2, h, w, 3) BGR 0..255 and the masks (n, 2, h, w) of what lies between the lips.

    ``l1``: levels; ``ssim``: of the grey picture; ``detail``: gradients' mean size, of the true ones'; ``moves``: what
    changes from one moment to the next, of what truly does; each as ``NAME_dark`` for the mouths without paint.
    """
    found = {f"{name}_dark": value for name, value in _against(drawn, truth, inside).items()}
    return {**_against(painted, truth, inside), **found}


def _against(pictures: Array, truth: Array, inside: Array) -> dict[str, float]:
    weight = (inside > 127).astype(np.float64)
    pictures, truth = pictures.astype(np.float64), truth.astype(np.float64)
    both = weight[:, 0] * weight[:, 1]
    steps = [np.abs(each[:, 1] - each[:, 0]).mean(-1) for each in (pictures, truth)]
    ssims = [_ssim(_grey(a), _grey(b)) for a, b in zip(_flat(pictures), _flat(truth), strict=True)]
    gradients = [np.stack([_gradient(_grey(each)) for each in _flat(side)]) for side in (pictures, truth)]
    flat = _flat(weight)
    return {
        "l1": _mean(np.abs(pictures - truth).mean(-1), weight),
        "ssim": _mean(np.stack(ssims), flat),
        "detail": _mean(gradients[0], flat) / _mean(gradients[1], flat),
        "moves": _mean(steps[0], both) / max(_mean(steps[1], both), 1e-6),
    }


def _flat(twos: Array) -> Array:
    return twos.reshape(-1, *twos.shape[2:])


def _mean(values: Array, weight: Array) -> float:
    return float((values * weight).sum() / max(float(weight.sum()), 1e-6))


def _grey(picture: Array) -> Array:
    return np.asarray(picture @ np.array([0.114, 0.587, 0.299]))


def _gradient(grey: Array) -> Array:
    return np.asarray(np.hypot(*np.gradient(grey)))


def _ssim(a: Array, b: Array) -> Array:
    def mean(values: Array) -> Array:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), SIGMA))

    means, squares = mean(a) * mean(b), mean(a) ** 2 + mean(b) ** 2
    both: Array = mean(a * b) - means
    apart: Array = mean(a * a) + mean(b * b) - squares
    return np.asarray((2 * means + _C1) * (2 * both + _C2) / ((squares + _C1) * (apart + _C2)))
