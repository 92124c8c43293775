"""The mel spectrogram of vocoders: natural logarithms of magnitudes, 80 bands of 0–8000 Hz.

After Kong et al., HiFi-GAN (2020), as HPMDubbing has it: a Hann window in the middle of a transform of 1024, filters of
equal area on Slaney's scale. Silence lies before the first sample where they mirror the sound.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from realtime_dub.audio.frontends.framing import FramedSpec, Framing, hann, slaney_filters
from realtime_dub.media import Floats

LEAST = 1e-5  # of a magnitude


class VoiceMelSpec(FramedSpec):
    """Everything that fixes the front end; the profile of 16 kHz."""

    kind: Literal["voice_mel"] = "voice_mel"
    rate: int = Field(default=16_000, ge=8_000, le=48_000)  # Hz
    bands: int = Field(default=80, ge=8, le=256)
    window: int = Field(default=640, gt=1, le=8_192)  # samples
    hop: int = Field(default=160, gt=0, le=8_192)  # samples
    fft: int = Field(default=1_024, gt=1, le=16_384)
    low_hz: float = Field(default=0.0, ge=0)
    high_hz: float = Field(default=8_000.0, gt=0)

    @model_validator(mode="after")
    def _consistent(self) -> VoiceMelSpec:
        if not self.low_hz < self.high_hz <= self.rate / 2:
            raise ValueError("high_hz is not above low_hz, or not below half the rate")
        if self.window > self.fft:
            raise ValueError("window is longer than fft")
        return self

    @property
    def features(self) -> int:
        return self.bands

    def filters(self) -> Floats:
        """(fft // 2 + 1, bands)."""
        return slaney_filters(self.low_hz, self.high_hz, self.bands, self.rate, self.fft).astype(np.float32)


AT_16K, AT_22K = VoiceMelSpec(), VoiceMelSpec(rate=22_050, window=880, hop=220)


class VoiceMel:
    """The front end of one stream of sound."""

    def __init__(self, spec: VoiceMelSpec = AT_16K) -> None:
        self.spec = spec
        self._framing = Framing(spec.window, spec.hop)
        self._window, self._filters = hann(spec.window).astype(np.float32), spec.filters()

    @property
    def frames(self) -> int:
        return self._framing.count

    def reset(self) -> None:
        self._framing.reset()

    def process(self, samples: Floats) -> Floats:
        """Sound (n,) in; the frames (m, bands) that it completes."""
        return self._features(self._framing.process(samples))

    def finish(self) -> Floats:
        return self._features(self._framing.finish())

    def _features(self, windows: Floats) -> Floats:
        magnitude = np.abs(np.fft.rfft(windows * self._window, self.spec.fft, axis=-1)).astype(np.float32)
        return np.asarray(np.log(np.maximum(magnitude @ self._filters, LEAST)), np.float32)
