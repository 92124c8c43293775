"""Log-mel features of 16 kHz sound, the same live, offline and in training.

Frame i is centred on sample ``i * hop``, so at ``i * hop / rate`` seconds after the first sample's instant. What lies
before the first sample is silence. A frame is given once half a window of sound after its centre has come in.
Triangular filters on O'Shaughnessy's mel scale, ``2595 log10(1 + f / 700)``, each summing to one: a band's value is
the mean power spectral density there, and white noise of variance v gives v in every band.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from realtime_dub.media import Floats, samples_to_ns

NARROWEST_HZ = 100.0  # from the lowest band to the highest


class LogMelSpec(BaseModel):
    """Everything that fixes the front end. Kept in a bundle's ``spec.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: str = Field(default="logmel", pattern="^logmel$")
    rate: int = Field(default=16_000, ge=4_000, le=384_000)  # Hz
    bands: int = Field(default=80, ge=8, le=256)
    window: int = Field(default=400, gt=1, le=8_192)  # samples, periodic Hann
    hop: int = Field(default=160, gt=0, le=8_192)  # samples
    fft: int = Field(default=512, gt=1, le=8_192)
    low_hz: float = Field(default=40.0, ge=0)
    high_hz: float = Field(default=7600.0, gt=0)
    floor: float = Field(default=1e-8, ge=1e-30, le=1)  # of the band power, before the logarithm
    mean: float = Field(default=-11.0, ge=-100, le=100)  # taken off the natural logarithm
    scale: float = Field(default=4.0, ge=0.01, le=100)  # divides it after that

    @model_validator(mode="after")
    def _consistent(self) -> LogMelSpec:
        if not self.low_hz + NARROWEST_HZ <= self.high_hz <= self.rate / 2:
            raise ValueError(f"high_hz is not {NARROWEST_HZ:g} Hz above low_hz, or not below half the rate")
        if self.fft < self.window:
            raise ValueError("fft is shorter than the window")
        return self

    @property
    def hop_ns(self) -> int:
        """Time from frame to frame."""
        return samples_to_ns(self.hop, self.rate)

    @property
    def half_window_ns(self) -> int:
        """How much sound after its centre a frame needs: the front end's part of the latency budget."""
        return samples_to_ns(self.window // 2, self.rate)


def mel_filters(spec: LogMelSpec) -> npt.NDArray[np.float32]:
    """Triangles (fft // 2 + 1, bands), columns summing to one."""
    edges_mel = np.linspace(_mel(spec.low_hz), _mel(spec.high_hz), spec.bands + 2)
    edges = 700.0 * (10.0 ** (edges_mel / 2595.0) - 1.0)
    bins = np.arange(spec.fft // 2 + 1)[:, None] * (spec.rate / spec.fft)
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    _fill_empty(triangles, edges[1:-1] * spec.fft / spec.rate)
    return np.asarray(triangles / triangles.sum(0), np.float32)


def _mel(hz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hz / 700.0))


def _fill_empty(triangles: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]) -> None:
    """A low band narrower than the bins may hold none: it reads the two bins around its centre."""
    for band in np.flatnonzero(triangles.sum(0) < 1e-9):
        low = min(int(centres[band]), len(triangles) - 2)
        triangles[low, band] = low + 1 - centres[band]
        triangles[low + 1, band] = centres[band] - low


class LogMel:
    """The front end of one stream of sound. Chunks of any size give what the whole sound gives at once."""

    def __init__(self, spec: LogMelSpec | None = None) -> None:
        self.spec = spec or LogMelSpec()
        phase = 2 * np.pi * np.arange(self.spec.window) / self.spec.window
        window = 0.5 - 0.5 * np.cos(phase)
        self._window = (window / np.sqrt((window**2).sum())).astype(np.float32)
        self._filters = mel_filters(self.spec)
        self.reset()

    def reset(self) -> None:
        """Forget the sound heard; the next sample is the first."""
        self._pending = np.zeros(self.spec.window // 2, np.float32)
        self.frames = 0  # given so far

    def frame_ns(self, index: int) -> int:
        """The instant of a frame's centre, counted from the first sample's."""
        return samples_to_ns(index * self.spec.hop, self.spec.rate)

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames that it completes (m, bands), m >= 0, from frame ``self.frames`` on."""
        return self.compress(self.power(samples))

    def power(self, samples: Floats) -> Floats:
        """As :meth:`process`, before floor and logarithm: mean power density per band (m, bands)."""
        spec = self.spec
        heard = np.concatenate([self._pending, np.asarray(samples, np.float32)])
        count = max(0, (len(heard) - spec.window) // spec.hop + 1)
        self._pending = heard[count * spec.hop :]
        self.frames += count
        if count == 0:
            return np.zeros((0, spec.bands), np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(heard, spec.window)[:: spec.hop][:count]
        spectrum = np.fft.rfft(windows * self._window, spec.fft)
        density = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return np.asarray(density @ self._filters, np.float32)

    def compress(self, power: Floats) -> Floats:
        """Normalised logarithm of band powers of any shape."""
        logarithm = np.log(np.maximum(power, np.float32(self.spec.floor)))
        return np.asarray((logarithm - self.spec.mean) / self.spec.scale, np.float32)
