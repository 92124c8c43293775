"""A mel spectrogram to sound by pulses and noise, without a network: WORLD's synthesis.

Morise, Yokomori, Ozawa: WORLD, a vocoder-based high-quality speech synthesis system for real-time applications (IEICE
Trans. E99-D, 2016). WORLD is given pitch, envelope and noise; here they are read off the spectrogram: the pitch by the
ripple that overtones leave in its lower bands (Noll's cepstrum, 1967), the envelope by smoothing that away, the noise
by how its bands fall. Where bands are too wide for a deep voice's overtones, the pitch is a guess.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.frontends.framing import hann, slaney_edges
from realtime_dub.audio.frontends.voice_mel import VoiceMelSpec
from realtime_dub.media import Floats

Doubles = npt.NDArray[np.float64]
LOWEST_HZ, HIGHEST_HZ, PITCHES = 70.0, 400.0, 96
RIPPLE_HZ = (60.0, 1_000.0)  # where overtones are looked for
STEP_HZ = 10.0
SMOOTH_HZ = 260.0  # of the envelope that ripples are taken from
JUMP = 0.35  # what a change of pitch by one class costs, in units of the ripple
AWAY = 0.1  # what a pitch costs that is e times the voice's usual one
LOW_HZ, HIGH_HZ = 1_000.0, 3_000.0
FALL, SHARP = 1.5, 2.0  # from the low bands to the high ones, of a frame that is as much pulse as noise; how it turns
BREATH_HZ, BREATHY = 4_000.0, 1_500.0  # above that a voice is noise, too; over how many Hz it turns
QUIET = -6.5  # mean log of the low bands where nobody speaks


def world(mel: Floats, spec: VoiceMelSpec) -> Floats:
    """Samples (n * hop,) of frames (n, bands); frame i is centred on sample ``i * hop``."""
    if not len(mel):
        return np.zeros(0, np.float32)
    log_mel = np.asarray(mel, np.float64)
    hz, voiced = pitch_in(log_mel, spec)
    power = envelope_of(log_mel, spec)
    bins = np.arange(spec.fft // 2 + 1) * spec.rate / spec.fft
    breath = 1 / (1 + np.exp(-(bins - BREATH_HZ) / BREATHY))
    noise = 1 - voiced[:, None] * (1 - 0.9 * breath)  # share of the power
    return _synthesised(power, noise, hz, spec).astype(np.float32)


def pitch_in(log_mel: Doubles, spec: VoiceMelSpec) -> tuple[Doubles, Doubles]:
    """Hz (n,) of frames (n, bands), and how voiced each is, 0..1."""
    voiced = _voiced(log_mel, spec)
    at = np.arange(*RIPPLE_HZ, STEP_HZ)
    rows = log_mel @ _between(spec, at)
    rows -= _smoothed(rows, round(SMOOTH_HZ / STEP_HZ))
    pitches = np.geomspace(LOWEST_HZ, HIGHEST_HZ, PITCHES)
    found = rows @ np.cos(2 * np.pi * at[:, None] / pitches) * 2 / len(at)
    usual = pitches[(voiced @ found).argmax()]
    return pitches[_path(voiced[:, None] * found - AWAY * np.abs(np.log(pitches / usual)))], voiced


def _voiced(log_mel: Doubles, spec: VoiceMelSpec) -> Doubles:
    """By how much the low bands are above the high ones: a voice falls, a hiss does not. 0 where nobody speaks."""
    centres = slaney_edges(spec.low_hz, spec.high_hz, spec.bands + 2)[1:-1]
    fall = log_mel[:, centres < LOW_HZ].mean(1) - log_mel[:, centres > HIGH_HZ].mean(1)
    told = 1 / (1 + np.exp(-SHARP * (fall - FALL)))
    return np.where(log_mel[:, centres < LOW_HZ].mean(1) > QUIET, told, 0.0)


def envelope_of(log_mel: Doubles, spec: VoiceMelSpec) -> Doubles:
    """Power (n, fft // 2 + 1) of white noise that has these bands, without what overtones leave in them."""
    level = np.log(spec.filters().sum(0).mean() * np.sqrt((hann(spec.window) ** 2).sum()))
    bins = np.arange(spec.fft // 2 + 1) * spec.rate / spec.fft
    rows = np.exp(2 * (log_mel - level)) @ _between(spec, bins)
    narrow = _smoothed(rows, round(SMOOTH_HZ / 2 * spec.fft / spec.rate))
    return np.where(bins < RIPPLE_HZ[1], narrow, rows)


def _path(found: Doubles) -> npt.NDArray[np.int64]:
    """The pitch of each frame that ripples most, along a line that does not leap."""
    classes = np.arange(found.shape[1])
    cost = JUMP * np.minimum(np.abs(classes[:, None] - classes), 8) / 8
    best, back = found[0], []
    for row in found[1:]:
        ways = best[:, None] - cost
        back.append(ways.argmax(0))
        best = row + ways.max(0)
    path = [int(best.argmax())]
    for came in reversed(back):
        path.append(int(came[path[-1]]))
    return np.array(path[::-1])


def _synthesised(power: Doubles, noise: Doubles, hz: Doubles, spec: VoiceMelSpec) -> Doubles:
    """A pulse at each period, and as much noise as lies between two, each with the shape of its frame."""
    count, hop, fft = len(power), spec.hop, spec.fft
    length = count * hop
    pace = np.interp(np.arange(length), np.arange(count) * hop, hz) / spec.rate
    turns = np.cumsum(pace)
    starts = np.flatnonzero(np.diff(np.floor(turns), prepend=0.0) > 0)
    rng, made = np.random.default_rng(0), np.zeros(length + 2 * fft)
    for start, end in zip(starts, [*starts[1:], length], strict=True):
        frame = min(start // hop, count - 1)
        period = min(max(end - start, 1), fft)
        periodic = _response(power[frame] * (1 - noise[frame]) * period)
        made[start : start + fft] += periodic
        hiss = np.fft.rfft(rng.standard_normal(period), 2 * fft)
        shaped = np.fft.irfft(hiss * np.fft.rfft(_response(power[frame] * noise[frame]), 2 * fft))
        made[start : start + fft + period] += shaped[: fft + period]
    return np.clip(made[:length], -1.0, 1.0)


def _response(power: Doubles) -> Doubles:
    """The sound (fft,) of a power spectrum (fft // 2 + 1,) whose energy comes as early as it can."""
    fft = 2 * (len(power) - 1)
    cepstrum = np.fft.irfft(np.log(np.maximum(power, 1e-14)) / 2)
    cepstrum[1 : fft // 2] *= 2
    cepstrum[fft // 2 + 1 :] = 0
    return np.asarray(np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), fft))


def _between(spec: VoiceMelSpec, at_hz: Doubles) -> Doubles:
    """(bands, m): between which bands each frequency (m,) lies."""
    centres = slaney_edges(spec.low_hz, spec.high_hz, spec.bands + 2)[1:-1]
    return np.stack([np.interp(at_hz, centres, row) for row in np.eye(spec.bands)])


def _smoothed(rows: Doubles, width: int) -> Doubles:
    """Means over ``width`` neighbours along the last axis, fewer at its ends."""
    kernel = np.ones(2 * (width // 2) + 1)
    full = np.apply_along_axis(np.convolve, 1, rows, kernel, "same")
    return np.asarray(full / np.convolve(np.ones(rows.shape[1]), kernel, "same"))
