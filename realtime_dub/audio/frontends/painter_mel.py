"""The mel spectrogram that LipGAN and Wav2Lip were trained on: 80 frames a second, values within -4..4.

Pre-emphasis, magnitudes of a centred Hann window, filters of equal area on Slaney's scale, decibels. After
Rudrabha/LipGAN and Rudrabha/Wav2Lip, ``audio.py``; silence before the first sample where they mirror the sound.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from realtime_dub.audio.frontends.framing import FramedSpec, Framing, PreEmphasis, hann, slaney_filters
from realtime_dub.media import Floats

LEAST = 1e-5  # of a magnitude
REFERENCE_DB, RANGE_DB, BOUND = 20.0, 100.0, 4.0


class PainterMelSpec(FramedSpec):
    """Everything that fixes the front end."""

    kind: Literal["painter_mel"] = "painter_mel"
    rate: int = Field(default=16_000, ge=4_000, le=384_000)  # Hz
    bands: int = Field(default=80, ge=8, le=256)
    window: int = Field(default=800, gt=1, le=8_192)  # samples, and bins of the transform
    hop: int = Field(default=200, gt=0, le=8_192)  # samples
    low_hz: float = Field(default=55.0, ge=0)
    high_hz: float = Field(default=7600.0, gt=0)
    pre_emphasis: float = Field(default=0.97, ge=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> PainterMelSpec:
        if not self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError("high_hz is not above low_hz, or not below half the rate")
        return self

    @property
    def features(self) -> int:
        return self.bands


class PainterMel:
    """The front end of one stream of sound."""

    def __init__(self, spec: PainterMelSpec | None = None) -> None:
        self.spec = spec or PainterMelSpec()
        self._framing = Framing(self.spec.window, self.spec.hop)
        self._emphasis = PreEmphasis(self.spec.pre_emphasis)
        self._window = hann(self.spec.window).astype(np.float32)
        of = self.spec
        self._filters = slaney_filters(of.low_hz, of.high_hz, of.bands, of.rate, of.window).astype(np.float32)

    @property
    def frames(self) -> int:
        return self._framing.count

    def reset(self) -> None:
        self._framing.reset()
        self._emphasis.reset()

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames (m, bands) that it completes."""
        return self._features(self._framing.process(self._emphasis(samples)))

    def finish(self) -> Floats:
        return self._features(self._framing.finish())

    def _features(self, windows: Floats) -> Floats:
        magnitude = np.abs(np.fft.rfft(windows * self._window, axis=-1)).astype(np.float32)
        decibels = 20.0 * np.log10(np.maximum(magnitude @ self._filters, LEAST)) - REFERENCE_DB
        scaled = 2 * BOUND * (decibels + RANGE_DB) / RANGE_DB - BOUND
        return np.asarray(np.clip(scaled, -BOUND, BOUND), np.float32)
