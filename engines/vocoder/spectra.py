"""How far sounds are apart in spectra of several lengths: what a generator learns by before it is judged.

After Yamamoto, Song, Kim: Parallel WaveGAN (ICASSP 2020), section 2.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZES = (256, 512, 1024)  # samples; a hop is a quarter
LEAST = 1e-5  # of a magnitude


class Spectra(nn.Module):
    """Spectral convergence, and the distance of log magnitudes, mean over the lengths."""

    def __init__(self) -> None:
        super().__init__()
        for size in SIZES:
            self.register_buffer(f"window_{size}", torch.hann_window(size))

    def forward(self, made: Tensor, real: Tensor) -> Tensor:
        """Of sounds (b, n)."""
        parts = []
        for size in SIZES:
            one, other = self._magnitudes(made, size), self._magnitudes(real, size)
            parts.append((other - one).norm() / other.norm().clamp_min(LEAST) + (other.log() - one.log()).abs().mean())
        return torch.stack(parts).mean()

    def _magnitudes(self, sound: Tensor, size: int) -> Tensor:
        with torch.autocast(sound.device.type, enabled=False):
            window = getattr(self, f"window_{size}")
            found = torch.stft(sound.float(), size, size // 4, window=window, return_complex=True)
            return (found.real**2 + found.imag**2 + LEAST**2).sqrt()
