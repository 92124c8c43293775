"""Decoded sound as samples of one rate and one or two channels, whatever changes midway."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import av
import numpy as np

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.audio.samples import Cleaner, can_be
from realtime_dub.media import Floats, Samples

MIDDLE = {"FC", "BC", "TC", "TFC", "TBC", "BFC", "LFE", "LFE2"}
# Shares in two channels: 3 dB less than ITU-R BS.775, against sums beyond full scale. That leaves out the bass channel.
SHARES = {"FL": 0.71, "FR": 0.71, "LFE": 0.25, "LFE2": 0.25}
SHARE = 0.5  # of every other channel


class SoundFrames:
    """Frames of PyAV in, samples of ``rate`` with ``channels`` (1 or 2) out; both are those of the first frame.

    Places round the listener (5.1) are mixed down to two channels; channels without a place to one
    (``audio.mono``). A frame of another rate or layout is brought to that of the first, with neither a click nor a
    sample more or less: what it was, a stream's end or another's beginning, is to be asked for by :meth:`turn_to`.
    """

    def __init__(self, first: Any, shape: tuple[int, int] | None = None) -> None:
        """``shape``: another rate and number of channels than those of ``first``."""
        self.rate, self.channels = shape or (int(first.sample_rate), _channels(_places(first)))
        self._shape: tuple[str, str, int] | None = None
        self._resampler: StreamResampler | None = None
        self._last = np.zeros((0, self.channels), np.float32)  # of what is being resampled
        self._mono = MonoMixer(self.rate)
        self.cleaner = Cleaner()

    def turn_to(self, frame: Any) -> Samples:
        """Before each frame: what is left of those before it, where this one is of another shape."""
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape == self._shape:
            return self._none()
        rest = self.flush()
        self._shape = shape
        if not can_be(frame.sample_rate, frame.layout.nb_channels):
            return rest
        self._pack = av.AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
        self._mix = self._mixing(_places(frame))
        if frame.sample_rate != self.rate:
            self._resampler = StreamResampler(frame.sample_rate, self.rate, self.channels)
        return rest

    def __call__(self, frame: Any) -> Samples:
        """Samples (n, channels). Of a frame whose shape cannot be, none."""
        if not can_be(frame.sample_rate, frame.layout.nb_channels):
            return self._none()
        # Packed, because PyAV counts the planes of more than seven channels wrongly.
        parts = [part.to_ndarray().reshape(-1, frame.layout.nb_channels) for part in self._pack.resample(frame)]
        samples = self._mix(self.cleaner(np.concatenate(parts))) if parts else self._none()
        return self._resampled(samples) if self._resampler is not None else samples

    def flush(self) -> Samples:
        """What is still held back, at the end."""
        resampler, self._resampler, self._shape = self._resampler, None, None
        last, self._last = self._last, self._none()
        return self._none() if resampler is None else resampler.flush(_mirrored(last[::-1]))

    def _resampled(self, samples: Samples) -> Samples:
        assert self._resampler is not None
        if len(samples) == 0:
            return samples
        if len(self._last) == 0:
            self._resampler.go_on_from(_mirrored(samples)[::-1])
        self._last = np.concatenate([self._last, samples])[-self._resampler.reach - 2 :]
        return self._resampler.process(samples)

    def _mixing(self, places: Sequence[str]) -> Callable[[Samples], Samples]:
        matrix = _to_two(places)
        if len(places) == self.channels:
            return lambda samples: samples
        if self.channels == 1 or (matrix is None and len(places) > 1):
            return lambda samples: np.repeat(self._mono(samples)[:, None], self.channels, axis=1)
        if matrix is None:
            return lambda samples: np.repeat(samples, 2, axis=1)
        return lambda samples: samples @ matrix

    def _none(self) -> Samples:
        return np.zeros((0, self.channels), np.float32)


def _places(frame: Any) -> list[str]:
    return [channel.name for channel in frame.layout.channels]


def _channels(places: Sequence[str]) -> int:
    return 2 if len(places) == 2 or (len(places) > 2 and _to_two(places) is not None) else 1


def _to_two(places: Sequence[str]) -> Floats | None:
    """(channels, 2) for more than two channels that all have a place; else None."""
    rows = [_row(place) for place in places]
    if len(places) <= 2 or None in rows:
        return None
    return np.array(rows, np.float32)


def _row(place: str) -> tuple[float, float] | None:
    share = SHARES.get(place, SHARE)
    if place in MIDDLE:
        return share, share
    if "L" in place:
        return share, 0.0
    return (0.0, share) if "R" in place else None


def _mirrored(samples: Samples) -> Samples:
    """What may lie beyond the first sample: the signal turned about that point, going away from it."""
    return 2 * samples[:1] - samples[1:]
