"""Other voices, rooms and microphones, made in the mel domain where they cost little.

Everything works on band powers before the logarithm, where independent sounds add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from engines.common import Array
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

Augmentation = Callable[[Array, list[Array], np.random.Generator], Array]
Harshness = Literal["mild", "either", "strong"]


def warp(power: Array, factor: float) -> Array:
    """Move the spectrum (n, bands) along the mel axis by ``factor`` of frequency: a longer or shorter vocal tract."""
    bands = power.shape[1]
    source = np.clip(np.arange(bands) / factor, 0, bands - 1)
    low = np.minimum(source.astype(int), bands - 2)
    part = (source - low).astype(np.float32)
    return power[:, low] * (1 - part) + power[:, low + 1] * part


def smear(power: Array, width: float) -> Array:
    """Blur over the bands: the harmonics of the voice's pitch go, the formants stay."""
    reach = int(np.ceil(2 * width))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    bands = np.arange(power.shape[1])
    matrix = np.exp(-0.5 * ((bands[:, None] - bands[None]) / width) ** 2)
    matrix[np.abs(bands[:, None] - bands[None]) > reach] = 0
    return power @ (matrix / kernel.sum()).astype(np.float32)


def random_curve(rng: np.random.Generator, bands: int, decibel: float, knots: int = 6) -> Array:
    """A smooth gain over the bands (bands,), as a factor of power: rooms and microphones."""
    levels = rng.normal(0, decibel, knots)
    curve = np.interp(np.linspace(0, knots - 1, bands), np.arange(knots), levels)
    return (10 ** (curve / 10)).astype(np.float32)


def band_limit(rng: np.random.Generator, bands: int) -> Array:
    """What is left of the bands on a telephone or headset line (bands,)."""
    limit = np.ones(bands, np.float32)
    limit[rng.integers(50, bands) :] = 1e-4
    limit[: rng.integers(1, 12)] = 1e-3
    return limit


def make_noises(spec: LogMelSpec, rng: np.random.Generator, seconds: float = 20.0) -> list[Array]:
    """Band powers (n, bands) of synthesised noises, of mean power 1."""
    return [unit(LogMel(spec).power(noise)) for noise in noise_sounds(spec.rate, rng, seconds)]


def noise_sounds(rate: int, rng: np.random.Generator, seconds: float = 20.0) -> list[Array]:
    """Synthesised noises (n,): white, pink, brown, rumble, hum, fan, keys."""
    count = int(seconds * rate)
    slopes = [_coloured(rng, count, slope) for slope in (0.0, 0.5, 1.0, 1.5)]
    seconds_axis = np.arange(count) / rate
    hum = sum(np.sin(2 * np.pi * 50 * k * seconds_axis + k) / k for k in range(1, 12)) + 0.1 * slopes[0]
    fan = slopes[1] * (1.2 + np.sin(2 * np.pi * 7 * seconds_axis)) + 0.3 * np.sin(2 * np.pi * 240 * seconds_axis)
    keys = slopes[0] * np.repeat(rng.random(count // 400 + 1) ** 12, 400)[:count]
    return [noise.astype(np.float32) for noise in (*slopes, hum, fan, keys)]


def _coloured(rng: np.random.Generator, count: int, slope: float) -> Array:
    spectrum = np.fft.rfft(rng.standard_normal(count))
    frequency = np.maximum(np.arange(len(spectrum)), count * 20 / 16_000)
    noise = np.fft.irfft(spectrum / frequency**slope, count)
    return np.asarray(noise / noise.std())


def unit(power: Array) -> Array:
    """Powers (n, bands) of mean 1."""
    return power / power.mean()


def babble(powers: list[Array], rng: np.random.Generator, voices: int = 5, frames: int = 2000) -> Array:
    """Several voices at once (frames, bands), mean power 1, far enough off to be no speech of the person's own."""
    total = np.zeros((frames, powers[0].shape[1]), np.float32)
    for _ in range(voices):
        parts = [powers[rng.integers(len(powers))] for _ in range(frames // 250 + 2)]
        row = np.concatenate([part / part.mean() for part in parts])
        row = np.resize(row[rng.integers(len(row) // 4) :], (frames, row.shape[1]))
        total = total + warp(row, rng.uniform(0.8, 1.3))
    return unit(smear(total, 1.5))


def switched_on(power: Array, silent: Array, rng: np.random.Generator) -> Array:
    """A line (n, bands) that is dead in pauses ``silent`` (n,): a microphone switched on, a gate, a file that begins.

    The noise that begins with the line is no speech.
    """
    if rng.random() < 0.3:
        return np.asarray(power * ~silent[:, None])
    first = len(silent) if silent.all() else int(silent.argmin())
    out = power.copy()
    out[: rng.integers(0, first + 1)] = 0
    return out


def noise_like(noises: list[Array], rng: np.random.Generator, frames: int) -> Array:
    """A stretch (frames, bands) of one of ``noises`` under a random curve."""
    noise = noises[rng.integers(len(noises))]
    rows = (rng.integers(len(noise)) + np.arange(frames)) % len(noise)
    return noise[rows] * random_curve(rng, noise.shape[1], 3.0)


def vary(power: Array, noises: list[Array], rng: np.random.Generator) -> Array:
    """The same voice (n, bands) on another day: a little level, colour and background."""
    out = power * random_curve(rng, power.shape[1], 1.0) * np.float32(10 ** (rng.normal(0, 2) / 10))
    if rng.random() < 0.5:
        ratio = 10 ** (rng.uniform(25, 50) / 10)
        out = out + noise_like(noises, rng, len(out)) * (out.mean() / ratio)
    return out


def overdriven(power: Array, rng: np.random.Generator) -> Array:
    """A microphone driven too far: what is louder than its limit becomes distortion over all bands."""
    total = power.mean(1, keepdims=True)
    limit = np.float32(np.quantile(total, rng.uniform(0.5, 0.95)) + 1e-20)
    over = np.maximum(0, total - limit)
    return power * (limit / np.maximum(total, limit)) + np.float32(rng.uniform(0.02, 0.15)) * over


def coded(power: Array, rng: np.random.Generator) -> Array:
    """A codec of few bits: bands far below a frame's loudest are noise of about their level, the top is cut."""
    weak = power < power.max(1, keepdims=True) * np.float32(10 ** rng.uniform(-3.5, -2))
    out = np.where(weak, power * 10 ** (rng.normal(0, 0.25, power.shape)), power).astype(np.float32)
    out[:, rng.integers(62, power.shape[1] + 1) :] *= np.float32(1e-3)
    return out


def strong(power: Array, noises: list[Array], rng: np.random.Generator) -> Array:
    """As :func:`mild` for the worst of days: two sounds in three within 20 dB of a noise, or under it."""
    out = _as_another(power, rng)
    if rng.random() < 0.9:
        ratio = 10 ** (rng.uniform(*((-5, 20) if rng.random() < 0.75 else (20, 40))) / 10)
        out = out + noise_like(noises, rng, len(out)) * (out.mean() / ratio)
    if rng.random() < 0.15:
        out = overdriven(out, rng)
    if rng.random() < 0.2:
        out = out * band_limit(rng, out.shape[1])
    if rng.random() < 0.2:
        out = coded(out, rng)
    return out * np.float32(10 ** (rng.uniform(-20, 8) / 10))


def _as_another(power: Array, rng: np.random.Generator) -> Array:
    out = power
    if rng.random() < 0.8:
        out = warp(out, float(np.exp(rng.uniform(-0.12, 0.26))))
    if rng.random() < 0.3:
        out = smear(out, rng.uniform(0.7, 2.0))
    if rng.random() < 0.8:
        out = out * random_curve(rng, out.shape[1], 5.0)
    return out


def mild(power: Array, noises: list[Array], rng: np.random.Generator) -> Array:
    """One random voice, line, level and background for the sound of a clip (n, bands)."""
    out = _as_another(power, rng)
    if rng.random() < 0.15:
        out = out * band_limit(rng, out.shape[1])
    if rng.random() < 0.7:
        ratio = 10 ** (rng.uniform(0, 35) / 10)
        out = out + noise_like(noises, rng, len(out)) * (out.mean() / ratio)
    return out * np.float32(10 ** (rng.uniform(-20, 8) / 10))


def either(power: Array, noises: list[Array], rng: np.random.Generator) -> Array:
    """:func:`strong` or :func:`mild`, one sound in two: nets that hear nothing but noise learn less of the voice."""
    return (strong if rng.random() < 0.5 else mild)(power, noises, rng)


AUGMENTATIONS: dict[Harshness, Augmentation] = {"mild": mild, "either": either, "strong": strong}
