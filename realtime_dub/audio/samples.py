"""Samples that are no sound: put out where they come in, so that nothing after a source ever meets one."""

from __future__ import annotations

import numpy as np

from realtime_dub.bounds import HIGHEST_RATE, LOWEST_RATE, MOST_CHANNELS
from realtime_dub.errors import MediaError
from realtime_dub.media import Samples

LOUDEST = 64.0  # times full scale, 36 dB over it: no programme is that loud, damage is


def can_be(rate: int, channels: int) -> bool:
    """Sound has such a shape."""
    return LOWEST_RATE <= rate <= HIGHEST_RATE and 1 <= channels <= MOST_CHANNELS


def check_shape(rate: int, channels: int, shown: str) -> None:
    """Raises MediaError where ``shown`` says that it has a rate or a number of channels that no sound has."""
    if can_be(rate, channels):
        return
    shape = f"{rate} Hz and {channels} channel{'s' * (channels != 1)}"
    choose = f"choose {LOWEST_RATE} to {HIGHEST_RATE} Hz and up to {MOST_CHANNELS} channels"
    raise MediaError("cannot use the audio of", f"{shown}: it has {shape}", choose)


def is_clean(samples: Samples) -> bool:
    """All of it is sound: finite, and no louder than any. Microseconds."""
    return not samples.size or bool(samples.min() >= -LOUDEST and samples.max() <= LOUDEST)  # False beside NaN


def cleaned(samples: Samples) -> Samples:
    """``samples`` themselves where all of them are sound; else with silence in the place of what is none."""
    return samples if is_clean(samples) else np.where(np.abs(samples) <= LOUDEST, samples, np.float32(0))


class Cleaner:
    """Puts silence in the place of what is not finite, or louder than any sound. Counts it, for one note."""

    def __init__(self) -> None:
        self._put_out = 0

    def __call__(self, samples: Samples) -> Samples:
        """``samples`` themselves where all of them are sound."""
        if is_clean(samples):
            return samples
        self._put_out += int(samples.size - np.count_nonzero(np.abs(samples) <= LOUDEST))
        return cleaned(samples)

    def notes(self, name: str) -> list[str]:
        """What the user of ``name`` should know."""
        if not self._put_out:
            return []
        return [f"{name} has {self._put_out} samples that are not finite, or far too loud: replaced with silence"]
