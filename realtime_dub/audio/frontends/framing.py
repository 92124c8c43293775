"""Cuts a stream of sound into windows, and mel scales: what the front ends share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from realtime_dub.media import Floats, samples_to_ns


class FramedSpec(BaseModel):
    """What the specs of all front ends have in common; each has its own fields and their defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    if TYPE_CHECKING:
        rate: int  # Hz
        window: int  # samples
        hop: int  # samples

    @property
    def hop_ns(self) -> int:
        """Time from frame to frame."""
        return samples_to_ns(self.hop, self.rate)

    @property
    def half_window_ns(self) -> int:
        """How much sound after its centre a frame needs: the front end's part of the latency budget."""
        return samples_to_ns(self.window - self.window // 2, self.rate)


class Framing:
    """Windows of a stream, the i-th centred on sample ``i * hop``. Before the first sample is silence."""

    def __init__(self, window: int, hop: int) -> None:
        self._window, self._hop = window, hop
        self.reset()

    def reset(self) -> None:
        """Forget the sound heard; the next sample is the first."""
        self._pending = np.zeros(self._window // 2, np.float32)
        self._heard = self.count = 0  # samples; windows given

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the windows (m, window) that it completes. A view: not to be written into."""
        self._heard += len(samples)
        return self._cut(np.concatenate([self._pending, np.asarray(samples, np.float32)]))

    def finish(self) -> Floats:
        """The windows whose centre has been heard but not their whole second half: silence is behind the end."""
        missing = max(0, -(-self._heard // self._hop) - self.count)  # centres before the end, not given yet
        length = (missing - 1) * self._hop + self._window
        silence = np.zeros(max(0, length - len(self._pending)), np.float32)
        return self._cut(np.concatenate([self._pending, silence]))[:missing]

    def _cut(self, heard: Floats) -> Floats:
        count = max(0, (len(heard) - self._window) // self._hop + 1)
        self._pending = heard[count * self._hop :]
        self.count += count
        if count == 0:
            return np.zeros((0, self._window), np.float32)
        # NumPy's own sliding window takes thirty times the time of so few windows.
        step = heard.itemsize
        return np.ndarray((count, self._window), heard.dtype, heard, strides=(self._hop * step, step))


class PreEmphasis:
    """``y[n] = x[n] - amount * x[n - 1]`` over a stream."""

    def __init__(self, amount: float) -> None:
        self._amount = np.float32(amount)
        self.reset()

    def reset(self) -> None:
        self._last = np.zeros(1, np.float32)

    def __call__(self, samples: Floats) -> Floats:
        whole = np.concatenate([self._last, np.asarray(samples, np.float32)])
        self._last = whole[-1:]
        return np.asarray(whole[1:] - self._amount * whole[:-1], np.float32)


def hann(length: int) -> npt.NDArray[np.float64]:
    """Periodic."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length))


def hamming(length: int) -> npt.NDArray[np.float64]:
    """Symmetric."""
    return np.asarray(0.54 - 0.46 * np.cos(2 * np.pi * np.arange(length) / (length - 1)))


def triangles(edges_hz: npt.NDArray[np.float64], rate: int, fft: int) -> npt.NDArray[np.float64]:
    """Filters (fft // 2 + 1, len(edges) - 2) of peak one, each from one edge over the next to the third."""
    bins = np.arange(fft // 2 + 1)[:, None] * (rate / fft)
    rising = (bins - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - bins) / (edges_hz[2:] - edges_hz[1:-1])
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)))


def slaney_filters(low_hz: float, high_hz: float, bands: int, rate: int, fft: int) -> npt.NDArray[np.float64]:
    """Filters (fft // 2 + 1, bands) of equal area on Slaney's scale, as librosa has them."""
    edges_hz = slaney_edges(low_hz, high_hz, bands + 2)
    return triangles(edges_hz, rate, fft) * (2.0 / (edges_hz[2:] - edges_hz[:-2]))


def oshaughnessy_edges(low_hz: float, high_hz: float, count: int) -> npt.NDArray[np.float64]:
    """Evenly spaced on ``2595 log10(1 + f / 700)``."""
    low, high = (2595.0 * np.log10(1.0 + hz / 700.0) for hz in (low_hz, high_hz))
    return np.asarray(700.0 * (10.0 ** (np.linspace(low, high, count) / 2595.0) - 1.0))


def slaney_edges(low_hz: float, high_hz: float, count: int) -> npt.NDArray[np.float64]:
    """Evenly spaced on the scale of Slaney's Auditory Toolbox: linear below 1 kHz, logarithmic above."""
    low, high = (_slaney_mel(hz) for hz in (low_hz, high_hz))
    mels = np.linspace(low, high, count)
    return np.asarray(np.where(mels < 15.0, mels * 200.0 / 3, 1000.0 * 6.4 ** ((mels - 15.0) / 27.0)))


def _slaney_mel(hz: float) -> float:
    return hz * 3 / 200.0 if hz < 1000.0 else 15.0 + 27.0 * float(np.log(hz / 1000.0) / np.log(6.4))
