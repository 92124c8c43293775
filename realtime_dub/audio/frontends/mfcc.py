"""Mel-frequency cepstra, as small recurrent nets for lips hear them.

Two shapes are in use: 12 of each frame period, 13 without the first (:func:`per_frame`, landmark dubbing); and 13 with
the log mean energy, 100 a second, and the first difference of both, 28 in all (Synthesizing Obama:
``MfccSpec(energy=True, differences=True)``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from realtime_dub.audio.frontends.framing import (
    FramedSpec,
    Framing,
    hamming,
    hann,
    oshaughnessy_edges,
    slaney_filters,
    triangles,
)
from realtime_dub.media import Floats


class MfccSpec(FramedSpec):
    """Everything that fixes the front end."""

    kind: Literal["mfcc"] = "mfcc"
    rate: int = Field(default=16_000, ge=4_000, le=384_000)  # Hz
    window: int = Field(default=400, gt=1, le=16_384)  # samples
    hop: int = Field(default=160, gt=0, le=16_384)  # samples
    fft: int = Field(default=512, gt=1, le=16_384)
    taper: Literal["hann", "hamming"] = "hamming"
    filters: int = Field(default=40, ge=8, le=256)
    low_hz: float = Field(default=133.0, ge=0)
    high_hz: float = Field(default=6856.0, gt=0)
    cepstra: int = Field(default=13, ge=2, le=64)
    without_first: bool = False  # the loudness
    energy: bool = False  # the logarithm of a window's mean square is added
    differences: bool = False  # to the frame before are added
    scale: Literal["oshaughnessy", "slaney"] = "oshaughnessy"  # of the filters; Slaney's are of equal area
    decibels: bool = False  # ten times the common logarithm of powers, not the natural one
    floor: float = Field(default=1e-10, ge=1e-30, le=1)  # of powers, before the logarithm

    @model_validator(mode="after")
    def _consistent(self) -> MfccSpec:
        if not self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError("high_hz is not above low_hz, or not below half the rate")
        if self.fft < self.window:
            raise ValueError("fft is shorter than the window")
        if self.cepstra > self.filters:
            raise ValueError("there are more cepstra than filters")
        return self

    @property
    def features(self) -> int:
        """Values per frame."""
        return (self.cepstra - self.without_first + self.energy) * (2 if self.differences else 1)


def per_frame(frame_rate: float, rate: int = 16_000) -> MfccSpec:
    """12 cepstra of each period of a video, the window three of them: as librosa gives them, in decibels."""
    hop = round(rate / frame_rate)
    fft = 1 << (3 * hop - 1).bit_length()
    return MfccSpec(
        rate=rate,
        window=3 * hop,
        hop=hop,
        fft=fft,
        taper="hann",
        filters=128,
        low_hz=0.0,
        high_hz=rate / 2,
        without_first=True,
        scale="slaney",
        decibels=True,
        # librosa's is 80 dB below the loudest of the whole sound, which no stream knows: this is, for usual speech.
        floor=5e-10,
    )


class Mfcc:
    """The front end of one stream of sound."""

    def __init__(self, spec: MfccSpec | None = None) -> None:
        self.spec = spec = spec or MfccSpec()
        self._framing = Framing(spec.window, spec.hop)
        self._window = (hann if spec.taper == "hann" else hamming)(spec.window).astype(np.float32)
        self._filters = _filters(spec).astype(np.float32)
        self._unit = np.float32(10.0 / np.log(10.0) if spec.decibels else 1.0)
        self._cosines = _cosines(spec.filters, spec.cepstra)
        self.reset()

    @property
    def frames(self) -> int:
        return self._framing.count

    def reset(self) -> None:
        self._framing.reset()
        self._before: Floats | None = None

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames (m, features) that it completes."""
        return self._features(self._framing.process(samples))

    def finish(self) -> Floats:
        return self._features(self._framing.finish())

    def power(self, samples: Floats) -> Floats:
        """As :meth:`process`, before floor and logarithm: what each filter lets through (m, filters)."""
        return self._power(self._framing.process(samples))

    def cepstra(self, power: Floats) -> Floats:
        """Of what filters let through (..., filters): (..., cepstra), without the first where that is left out."""
        logarithms = np.log(np.maximum(power, np.float32(self.spec.floor)))
        return np.asarray(self._unit * (logarithms @ self._cosines)[..., int(self.spec.without_first) :], np.float32)

    def _power(self, windows: Floats) -> Floats:
        power = np.abs(np.fft.rfft(windows * self._window, self.spec.fft)) ** 2 / self.spec.fft
        return np.asarray(power.astype(np.float32) @ self._filters, np.float32)

    def _features(self, windows: Floats) -> Floats:
        spec = self.spec
        parts = [self.cepstra(self._power(windows))]
        if spec.energy:
            mean_square = np.mean(np.square(windows), axis=1, keepdims=True)
            parts.append(np.log(np.maximum(mean_square, np.float32(spec.floor))))
        found = np.concatenate(parts, 1).astype(np.float32)
        return self._with_differences(found) if spec.differences else found

    def _with_differences(self, found: Floats) -> Floats:
        """The first frame has none: it is taken to follow one like itself."""
        if not len(found):
            return np.zeros((0, self.spec.features), np.float32)
        before = found[:1] if self._before is None else self._before
        self._before = found[-1:]
        return np.concatenate([found, np.diff(found, axis=0, prepend=before)], 1)


def _filters(spec: MfccSpec) -> npt.NDArray[np.float64]:
    if spec.scale == "slaney":
        return slaney_filters(spec.low_hz, spec.high_hz, spec.filters, spec.rate, spec.fft)
    return triangles(oshaughnessy_edges(spec.low_hz, spec.high_hz, spec.filters + 2), spec.rate, spec.fft)


def _cosines(filters: int, count: int) -> npt.NDArray[np.float32]:
    """The orthonormal DCT-II (filters, count)."""
    at = (np.arange(filters)[:, None] + 0.5) * np.arange(count)
    matrix = np.cos(np.pi * at / filters) * np.sqrt(2.0 / filters)
    matrix[:, 0] /= np.sqrt(2.0)
    return np.asarray(matrix, np.float32)
