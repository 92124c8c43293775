"""Log-mel features of 16 kHz sound, the same live, offline and in training.

Frame i is centred on sample ``i * hop``, so at ``i * hop / rate`` seconds after the first sample's instant. What lies
before the first sample is silence. A frame is given once half a window of sound after its centre has come in.
Triangular filters on O'Shaughnessy's mel scale, ``2595 log10(1 + f / 700)``, each summing to one: a band's value is
the mean power spectral density there, and white noise of variance v gives v in every band.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from realtime_dub.audio.frontends.framing import FramedSpec, Framing, hann, oshaughnessy_edges, triangles
from realtime_dub.media import Floats, samples_to_ns

NARROWEST_HZ = 100.0  # from the lowest band to the highest


class LogMelSpec(FramedSpec):
    """Everything that fixes the front end. Kept in a bundle's ``spec.json``."""

    kind: Literal["logmel"] = "logmel"
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
    def features(self) -> int:
        """Values per frame."""
        return self.bands

    @property
    def half_window_ns(self) -> int:
        """How much sound after its centre a frame needs: the front end's part of the latency budget."""
        return samples_to_ns(self.window // 2, self.rate)


def mel_filters(spec: LogMelSpec) -> npt.NDArray[np.float32]:
    """Triangles (fft // 2 + 1, bands), columns summing to one."""
    edges_hz = oshaughnessy_edges(spec.low_hz, spec.high_hz, spec.bands + 2)
    filters = triangles(edges_hz, spec.rate, spec.fft)
    _fill_empty(filters, edges_hz[1:-1] * spec.fft / spec.rate)
    return np.asarray(filters / filters.sum(0), np.float32)


def _fill_empty(filters: npt.NDArray[np.float64], centres: npt.NDArray[np.float64]) -> None:
    """A low band narrower than the bins may hold none: it reads the two bins around its centre."""
    for band in np.flatnonzero(filters.sum(0) < 1e-9):
        low = min(int(centres[band]), len(filters) - 2)
        filters[low, band] = low + 1 - centres[band]
        filters[low + 1, band] = centres[band] - low


class LogMel:
    """The front end of one stream of sound. Chunks of any size give what the whole sound gives at once."""

    def __init__(self, spec: LogMelSpec | None = None) -> None:
        self.spec = spec or LogMelSpec()
        window = hann(self.spec.window)
        self._window = (window / np.sqrt((window**2).sum())).astype(np.float32)
        self._filters = mel_filters(self.spec)
        self._framing = Framing(self.spec.window, self.spec.hop)

    @property
    def frames(self) -> int:
        """Given so far."""
        return self._framing.count

    def reset(self) -> None:
        """Forget the sound heard; the next sample is the first."""
        self._framing.reset()

    def frame_ns(self, index: int) -> int:
        """The instant of a frame's centre, counted from the first sample's."""
        return samples_to_ns(index * self.spec.hop, self.spec.rate)

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames that it completes (m, bands), m >= 0, from frame ``self.frames`` on."""
        return self.compress(self.power(samples))

    def finish(self) -> Floats:
        """The frames (m, bands) that only the silence behind the end completes."""
        return self.compress(self._density(self._framing.finish()))

    def power(self, samples: Floats) -> Floats:
        """As :meth:`process`, before floor and logarithm: mean power density per band (m, bands)."""
        return self._density(self._framing.process(samples))

    def compress(self, power: Floats) -> Floats:
        """Normalised logarithm of band powers of any shape."""
        logarithm = np.log(np.maximum(power, np.float32(self.spec.floor)))
        return np.asarray((logarithm - self.spec.mean) / self.spec.scale, np.float32)

    def _density(self, windows: Floats) -> Floats:
        if not len(windows):
            return np.zeros((0, self.spec.bands), np.float32)
        spectrum = np.fft.rfft(windows * self._window, self.spec.fft)
        density = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        return np.asarray(density @ self._filters, np.float32)
