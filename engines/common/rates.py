"""Curves and pictures of one rate at the instants of another. Rates need not divide each other, nor times be even."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from engines.common import Array

STEADY_FPS = 25  # pictures a second of the data sets, and of figures that are told per picture
_NS = 1_000_000_000


def places(count: int, fps: float, rate: float) -> npt.NDArray[np.int64]:
    """Where pictures 0 .. ``count`` - 1 at ``fps`` lie in a curve of ``rate`` values a second."""
    return np.rint(np.arange(count) * (rate / fps)).astype(np.int64)


def steady_ns(count: int, start_ns: int = 0) -> list[int]:
    """Times of ``count`` pictures at ``STEADY_FPS``."""
    return [start_ns + k * _NS // STEADY_FPS for k in range(count)]


def at_times(values: npt.NDArray[Any], known: Array, wanted: Array) -> npt.NDArray[Any]:
    """``values`` (T, ...) of the rising times ``known`` (T,) as they are at ``wanted`` (n,): straight lines between.

    At a known time the value itself; held at both ends; NaN next to NaN.
    """
    known, wanted = np.asarray(known), np.clip(wanted, known[0], known[-1])
    after = np.clip(np.searchsorted(known, wanted), 0, len(known) - 1)
    before = np.where(known[after] == wanted, after, np.maximum(after - 1, 0))
    span = np.maximum(known[after] - known[before], 1e-12)
    part = ((wanted - known[before]) / span).astype(np.float32).reshape(-1, *[1] * (values.ndim - 1))
    exact = (before == after).reshape(part.shape)
    mixed = values[before] + part * (values[after] - values[before])
    return np.where(exact, values[before], mixed).astype(values.dtype)


def nearest(known: Array, wanted: Array) -> npt.NDArray[np.int64]:
    """Of the rising times ``known`` (T,) the place of that nearest to each of ``wanted`` (n,)."""
    middles = (np.asarray(known)[1:] + np.asarray(known)[:-1]) / 2
    return np.searchsorted(middles, wanted).astype(np.int64)
