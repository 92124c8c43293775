"""Sounds that are no speech, made from random numbers: what a person's body makes beside words.

Every maker gives one sound (n,) at :data:`RATE`, peak 1. They are drawn with a :class:`Die`, so that what is trained
on and what is measured with can come from ranges that do not overlap. What rooms add is in ``room_sounds``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.common import Array

RATE = 16_000
NYQUIST = RATE / 2


class Die:
    """Random numbers from ranges; with ``outside`` from both of their borders on, a fifth of the range farther out."""

    def __init__(self, rng: np.random.Generator, outside: bool = False) -> None:
        self.rng, self._outside = rng, outside

    def __call__(self, low: float, high: float) -> float:
        """A number between two positive ones, evenly in the logarithm; or a little below ``low`` or above ``high``."""
        at = self.rng.random()
        if self._outside:
            at = 0.4 * at - 0.2 if at < 0.5 else 0.8 + 0.4 * at
        return float(low * (high / low) ** at)

    def count(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def noise(self, seconds: float) -> Array:
        """White noise (n,)."""
        return self.rng.standard_normal(max(64, int(seconds * RATE)))


def resonate(sound: Array, peaks: Sequence[tuple[float, float, float]], floor: float = 0.02) -> Array:
    """``sound`` (n,) through resonances (Hz, width in Hz, gain), all else at ``floor``."""
    size = 1 << (len(sound) - 1).bit_length()
    hz = np.fft.rfftfreq(size, 1 / RATE)
    gain = floor + sum(g / (1 + ((hz - at) / width) ** 2) for at, width, g in peaks)
    return np.fft.irfft(np.fft.rfft(sound, size) * gain, size)[: len(sound)]


def decay(count: int, seconds: float) -> Array:
    """An exponential (n,) from 1 that falls to 1/e in ``seconds``."""
    return np.exp(-np.arange(count) / (seconds * RATE))


def hump(count: int, peak: float, power: float = 1.0) -> Array:
    """From 0 to 1 at the part ``peak`` of the time and back (n,)."""
    at = np.linspace(0, 1, count)
    rise = np.minimum(at / peak, (1 - at) / (1 - peak))
    return np.sin(0.5 * np.pi * np.clip(rise, 0, 1)) ** (2 * power)


def harmonics(pitch_hz: Array) -> Array:
    """A voice's source (n,) whose pitch (n,) may change, harmonics falling by 6 dB an octave."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    count = max(1, min(40, int(7000 / pitch_hz.max())))
    return np.asarray(sum(np.sin(k * phase) / k for k in range(1, count + 1)))


def joined(parts: Sequence[tuple[float, Array]]) -> Array:
    """Sounds laid where they begin (seconds, (n,)), peak 1."""
    out = np.zeros(max(int(at * RATE) + len(part) for at, part in parts))
    for at, part in parts:
        out[int(at * RATE) : int(at * RATE) + len(part)] += part
    return np.asarray(out / np.abs(out).max(), np.float32)


def _tract(die: Die) -> list[tuple[float, float, float]]:
    """The resonances of an open mouth that says about ``a`` or ``ə``."""
    scale = die(0.9, 1.3)
    return [
        (die(450, 850) * scale, die(70, 160), 1.0),
        (die(1050, 1700) * scale, die(90, 200), die(0.3, 0.8)),
        (die(2400, 2900) * scale, die(150, 300), die(0.1, 0.4)),
        (die(3400, 3900) * scale, die(200, 400), die(0.05, 0.2)),
    ]


def breath(die: Die) -> Array:
    """In, out, or in and out, by the mouth or the nose."""
    parts, at = [], 0.0
    for inwards in ([True], [False], [True, False])[die.count(0, 2)]:
        seconds = die(0.3, 0.9) if inwards else die(0.4, 1.6)
        centre = die(900, 2400) if inwards else die(450, 1500)
        peaks = [(centre, die(300, 900), 1.0), (centre * die(1.8, 2.6), die(400, 1200), die(0.15, 0.6))]
        noise = resonate(die.noise(seconds), peaks, die(0.01, 0.06))
        envelope = hump(len(noise), die(0.5, 0.8) if inwards else die(0.12, 0.4), die(0.6, 1.4))
        parts.append((at, noise / noise.std() * envelope * (1 if inwards else die(0.4, 1.2))))
        at += seconds + die(0.03, 0.3)
    return joined(parts)


def cough(die: Die) -> Array:
    """One, or two or three: a burst as the throat opens, its noise through the tract, sometimes a voice at the end."""
    tract, parts, at = _tract(die), [], 0.0
    for _ in range((1, 2, 3)[die.count(0, 2)]):
        seconds = die(0.2, 0.4)
        noise = resonate(die.noise(seconds), tract, die(0.05, 0.2))
        burst = noise / noise.std() * decay(len(noise), die(0.04, 0.12))
        burst[: int(0.003 * RATE)] *= np.linspace(0, 1, int(0.003 * RATE))
        if die.rng.random() < 0.6:
            pitch = np.linspace(die(150, 330), die(90, 150), len(noise))
            voice = resonate(harmonics(pitch), tract)
            burst += die(0.2, 0.8) * voice / voice.std() * hump(len(noise), die(0.4, 0.7)) * 0.4
        parts.append((at, burst * die(0.6, 1.0)))
        at += seconds + die(0.05, 0.35)
    return joined(parts)


def laugh(die: Die) -> Array:
    """Ha-ha: 4 to 6 pulses a second, breathed and then voiced, pitch and loudness falling; at times breath alone."""
    tract, parts, at = _tract(die), [], 0.0
    pitch, period, voiced = die(140, 420), 1 / die(4, 6), die.rng.random() < 0.8
    for index in range(die.count(3, 9)):
        air = resonate(die.noise(period * die(0.7, 0.95)), tract, 0.05)
        pulse = die(0.15, 0.5) * air / air.std() * hump(len(air), die(0.2, 0.35))
        if voiced:
            start = pitch * die(0.93, 1.08)
            voice = resonate(harmonics(np.linspace(start, start * die(0.72, 0.95), len(air))), tract)
            pulse += voice / voice.std() * hump(len(air), die(0.45, 0.65), 2.0)
        parts.append((at, pulse * die(0.82, 0.97) ** index))
        at, pitch = at + period * die(0.93, 1.07), pitch * die(0.9, 1.0)
    return joined(parts)


def clear_throat(die: Die) -> Array:
    """Once or twice: a creaking voice and noise behind nearly shut lips."""
    tract = [(die(220, 420), die(80, 200), 1.0), (die(900, 1500), die(150, 350), die(0.1, 0.35))]
    parts, at = [], 0.0
    for _ in range(die.count(1, 2)):
        seconds = die(0.22, 0.6)
        noise = die.noise(seconds)
        creak = np.repeat(die.rng.normal(1, 0.12, len(noise) // 160 + 1), 160)[: len(noise)]
        voice = resonate(harmonics(die(60, 110) * np.clip(creak, 0.5, 1.6)), tract)
        rough = resonate(noise, tract, 0.05)
        envelope = hump(len(noise), die(0.2, 0.5), 0.7)
        parts.append((at, (voice / voice.std() + die(0.3, 1.2) * rough / rough.std()) * envelope))
        at += seconds + die(0.05, 0.25)
    return joined(parts)


def sniff(die: Die) -> Array:
    """Air drawn through the nose, once to three times."""
    parts, at = [], 0.0
    for _ in range(die.count(1, 3)):
        noise = resonate(die.noise(die(0.12, 0.45)), [(die(1500, 4500), die(600, 1800), 1.0)], 0.03)
        parts.append((at, noise / noise.std() * hump(len(noise), die(0.4, 0.85), die(0.5, 1.2))))
        at += len(noise) / RATE + die(0.08, 0.4)
    return joined(parts)


def smack(die: Die) -> Array:
    """Lips or tongue that part: a click or two."""
    parts, at = [], 0.0
    for _ in range(die.count(1, 3)):
        noise = resonate(die.noise(die(0.015, 0.06)), [(die(900, 3200), die(200, 700), 1.0)], 0.1)
        parts.append((at, noise / noise.std() * decay(len(noise), die(0.003, 0.012)) * die(0.3, 1.0)))
        at += die(0.02, 0.12)
    return joined(parts)


BODY = {
    "breath": breath,
    "cough": cough,
    "laughter": laugh,
    "throat": clear_throat,
    "sniff": sniff,
    "smack": smack,
}
