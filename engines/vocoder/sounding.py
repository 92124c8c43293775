"""What a vocoder is to whoever trains it, imports it or writes its bundle."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Sized(Protocol):
    """Sizes of a vocoder."""

    @property
    def bands(self) -> int:
        """Of a spectrogram."""

    @property
    def hop(self) -> int:
        """Samples of a frame."""


class Sounding(nn.Module):
    """Log mel (b, bands, n) to samples (b, n * hop). ``title``: what its bundle is called."""

    title: str
    shape: Sized
