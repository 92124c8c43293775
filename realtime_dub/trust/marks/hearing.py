"""Looks for the mark in a sound, wherever it begins, also where a sound card's clock was fast or slow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from realtime_dub.media import NS, rescale
from realtime_dub.trust.marks import noise
from realtime_dub.trust.marks.noise import PER_SECOND
from realtime_dub.trust.marks.odds import HOP_S, WINDOW_S, false_per_minute, surety, threshold
from realtime_dub.trust.marks.payload import Payload
from realtime_dub.trust.marks.waves import KEY, Complexes

DRIFTS_PPM = tuple(range(-120, 121, 15))
_PLACES = 16_000  # beginnings that are tried, of a repetition
TESTS = len(DRIFTS_PPM) * _PLACES
_AROUND = 5  # bins of 50 Hz
_LOUDER = 3.0  # times what is around, at most

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Heard:
    """The best that was found in a window: how sure, how fast the clock was, the waves as if it began at 0."""

    z: float
    drift_ppm: float
    waves: Complexes


class Listening:
    """Takes sound in order, gives windows of it."""

    def __init__(self, rate: int) -> None:
        self._rate, self._held, self._first = rate, np.zeros(0, np.float32), 0

    def add(self, mono: Floats) -> Iterator[tuple[int, Floats]]:
        """Whatever is complete now: when it began, ns, and the window."""
        self._held = np.concatenate([self._held, mono])
        size, hop = round(WINDOW_S * self._rate), round(HOP_S * self._rate)
        while len(self._held) >= size:
            yield self._at_ns(), self._held[:size]
            self._held = self._held[hop:]
            self._first += hop

    def flush(self) -> Iterator[tuple[int, Floats]]:
        """What is left at the end: all of a short sound, else what is a second longer than the last window."""
        if len(self._held) >= (HOP_S + 1 if self._first else 1) * self._rate:
            yield self._at_ns(), self._held

    def _at_ns(self) -> int:
        return rescale(self._first, NS, self._rate)


class Listener:
    """Finds marks in windows of a sound of ``rate``."""

    def __init__(self, rate: int, key: str = KEY) -> None:
        self._rate, self._waves = rate, noise.waves(key)
        self._size = rate // PER_SECOND
        self._numbers = noise.numbers()
        self._there = self._numbers < noise.TOP * self._size

    def listen(self, window: Floats) -> Heard:
        spectra = self._spectra(whitened(window, self._rate))
        return max((self._at(spectra, drift) for drift in DRIFTS_PPM), key=lambda each: each.z)

    def read(self, phases: Complexes) -> Payload | None:
        return self._waves.read(phases)

    def _spectra(self, sound: Floats) -> Complexes:
        """(repetitions, waves)"""
        count = len(sound) // self._size
        blocks = sound[: count * self._size].reshape(count, self._size)
        spectra = np.fft.rfft(blocks, axis=1)
        values = np.zeros((count, len(self._numbers)), np.complex128)
        values[:, self._there] = spectra[:, self._numbers[self._there]]
        return values

    def _at(self, spectra: Complexes, drift_ppm: float) -> Heard:
        turns = np.arange(len(spectra))[:, None] * self._numbers * (drift_ppm * 1e-6)
        values = (spectra * np.exp(-2j * np.pi * turns)).sum(0)
        grid = np.zeros(_PLACES, np.complex128)
        grid[self._numbers] = values * np.conj(self._waves.finding)
        sums = np.fft.ifft(grid).real * _PLACES
        place = int(np.argmax(sums))
        back = np.exp(2j * np.pi * self._numbers * place / _PLACES)
        z = surety(float(sums[place]), np.abs(values[self._waves.bit < 0]))
        return Heard(z, drift_ppm, values * back)


def found(heard: Heard) -> bool:
    return heard.z >= threshold(TESTS)


def odds(heard: Heard) -> float:
    """At most so often a minute unmarked sound is like that."""
    return false_per_minute(heard.z, TESTS)


def whitened(sound: Floats, rate: int) -> Floats:
    """Each moment and each frequency alike loud: of 20 ms, each half over the next, the spectrum by what is around."""
    hop = rate // 100
    size = 2 * hop
    count = len(sound) // hop - 1
    if count < 1:
        return np.zeros(0, np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(sound, size)[: (count - 1) * hop + 1 : hop]
    shape = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size))
    spectra = np.fft.rfft(frames * shape, axis=1)
    loud = np.abs(spectra)
    around = np.sqrt(_smooth(loud * loud)) + 1e-5 * size**0.5
    spectra *= np.minimum(1 / around, _LOUDER / np.maximum(loud, 1e-12))
    parts = np.fft.irfft(spectra, size, axis=1) * shape
    out = np.zeros((count + 1, hop))
    out[:-1] += parts[:, :hop]
    out[1:] += parts[:, hop:]
    return np.asarray(out.ravel(), np.float32)


def _smooth(power: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(frames, bins) averaged over ``_AROUND`` bins."""
    half = _AROUND // 2
    padded = np.pad(power, ((0, 0), (half + 1, half)), mode="edge").cumsum(1)
    return np.asarray((padded[:, _AROUND:] - padded[:, :-_AROUND]) / _AROUND)
