"""A mel spectrogram to sound without a network: Griffin and Lim's search for phases that fit (1984).

Quicker by the momentum of Perraudin, Balazs and Søndergaard (2013). It always works, and sounds as if spoken in a tube.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.frontends.framing import hann
from realtime_dub.audio.frontends.voice_mel import VoiceMelSpec
from realtime_dub.media import Floats

ROUNDS, MOMENTUM = 48, 0.9
Complex = npt.NDArray[np.complex128]


def griffin_lim(mel: Floats, spec: VoiceMelSpec, rounds: int = ROUNDS) -> Floats:
    """Samples (n * hop,) of frames (n, bands); frame i is centred on sample ``i * hop``."""
    if not len(mel):
        return np.zeros(0, np.float32)
    magnitude = magnitudes(mel, spec)
    phases = np.exp(2j * np.pi * np.random.default_rng(0).random(magnitude.shape))
    before = np.zeros_like(phases)
    for _ in range(rounds):
        found = _spectrum(_sound(magnitude * phases, spec), spec)
        phases = found + MOMENTUM * (found - before)
        phases /= np.maximum(np.abs(phases), 1e-12)
        before = found
    return _sound(magnitude * phases, spec)[spec.window // 2 :][: len(mel) * spec.hop].astype(np.float32)


def magnitudes(mel: Floats, spec: VoiceMelSpec) -> npt.NDArray[np.float64]:
    """(n, fft // 2 + 1), none below zero, whose bands are nearly those of ``mel``: least squares, then made to fit."""
    filters, wanted = spec.filters().astype(np.float64), np.exp(np.minimum(mel.astype(np.float64), 20.0))
    found = np.maximum(wanted @ np.linalg.pinv(filters), 1e-8)
    for _ in range(30):  # multiplicative steps keep it above zero
        found *= (wanted @ filters.T) / np.maximum(found @ filters @ filters.T, 1e-12)
    return np.asarray(found)


def _spectrum(sound: npt.NDArray[np.float64], spec: VoiceMelSpec) -> Complex:
    windows = np.lib.stride_tricks.sliding_window_view(sound, spec.window)[:: spec.hop]
    return np.asarray(np.fft.rfft(windows * hann(spec.window), spec.fft, axis=-1))


def _sound(spectrum: Complex, spec: VoiceMelSpec) -> npt.NDArray[np.float64]:
    """The sound whose windows are nearest to these: they overlap and are added."""
    window = hann(spec.window)
    pieces = np.fft.irfft(spectrum, spec.fft, axis=-1)[:, : spec.window] * window
    length = (len(pieces) - 1) * spec.hop + spec.window
    made, weight = np.zeros(length), np.zeros(length)
    for place, piece in enumerate(pieces):
        at = slice(place * spec.hop, place * spec.hop + spec.window)
        made[at] += piece
        weight[at] += window**2
    # Where the edge has hardly a window, the sound fades.
    return np.asarray(made / np.maximum(weight, 0.1 * weight.max()))
