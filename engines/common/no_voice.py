"""Rows of band powers in which the person does not speak although something sounds, and such sounds in their pauses.

All sounds are made once, at the start; a row is cut, bent and mixed from them in about a millisecond.
"""

from __future__ import annotations

import numpy as np

from engines.common import Array
from engines.common.augment import random_curve, warp
from engines.common.room_sounds import BACKGROUNDS, EVENTS
from engines.common.sounds import BODY, Die
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

EACH = 8  # sounds of each kind
NEXT_DOOR = 16
FRAMES = 800  # of a background
SHORTEST = 12  # frames of a pause in which something may sound
FADE = 4  # frames at the end of a sound that is cut
# Loudest tenth of a second against the person's speech, dB: what a body makes, and what a room does.
BODY_LEVEL = {"breath": (-38, -12), "sniff": (-35, -10), "smack": (-32, -8)}
LOUD_LEVEL = (-20, 8)
FAR_LEVEL = (-32, -13)


class OtherSounds:
    """Sounds that are no speech of the person's, as band powers."""

    def __init__(self, spec: LogMelSpec, rng: np.random.Generator, speech: list[Array]) -> None:
        """``speech``: powers (n, bands) of clips, heard from the next room."""
        die = Die(rng)
        makers = {**BODY, **EVENTS}
        self._events = {name: [_struck(spec, make(die)) for _ in range(EACH)] for name, make in makers.items()}
        self._backgrounds = [_even(spec, make(die)) for make in BACKGROUNDS.values() for _ in range(EACH)]
        self._far = [next_door(speech, rng) for _ in range(NEXT_DOOR)]

    @property
    def backgrounds(self) -> list[Array]:
        """Music, fans, traffic (n, bands), mean power 1."""
        return self._backgrounds

    def row(self, rng: np.random.Generator, frames: int, speech_level: float) -> Array:
        """A row (frames, bands) without the person's voice; ``speech_level`` is the power that voice would have."""
        power = np.full((frames, self._far[0].shape[1]), 10 ** rng.uniform(-9, -5), np.float32)
        kind = rng.random()
        if kind < 0.2:
            return power + _cut(self._far, rng, frames) * _gain(rng, (-25, -8), speech_level)
        if kind < 0.4:
            power += _cut(self._backgrounds, rng, frames) * _gain(rng, (-35, 5), speech_level)
        at, name = int(rng.integers(0, 60)), self._name(rng)
        while at < frames - SHORTEST:
            at += self._put(power[at:], rng, name, speech_level) + int(rng.integers(5, 150))
            name = name if rng.random() < 0.6 else self._name(rng)
        return power

    def among(self, rng: np.random.Generator, power: Array, silent: Array) -> Array:
        """``power`` (n, bands) with sounds in some of the pauses ``silent`` (n,) shows, and at times voices far off."""
        if silent.all():
            return power
        level = float(power[~silent].mean())
        out = power.copy()
        if rng.random() < 0.3:
            out += _cut(self._far, rng, len(out)) * _gain(rng, FAR_LEVEL, level)
        for start, end in _runs(silent):
            if end - start >= SHORTEST and rng.random() < 0.6:
                self._put(out[start + int(rng.integers(0, (end - start) // 2)) : end], rng, self._name(rng), level)
        return out

    def _name(self, rng: np.random.Generator) -> str:
        names = list(self._events)
        return names[rng.integers(len(names))]

    def _put(self, room: Array, rng: np.random.Generator, name: str, speech_level: float) -> int:
        """Add a sound to ``room`` (n, bands), cut to fit; returns its length in frames."""
        event = self._events[name][rng.integers(EACH)]
        gain = _gain(rng, BODY_LEVEL.get(name, LOUD_LEVEL), speech_level)
        sound = warp(event[: len(room)], rng.uniform(0.85, 1.2)) * random_curve(rng, event.shape[1], 2.0)
        if len(event) > len(room):
            sound[-FADE:] = sound[-FADE:] * np.linspace(1, 0, FADE, dtype=np.float32)[:, None]
        room[: len(sound)] += sound * gain
        return len(sound)


def next_door(clips: list[Array], rng: np.random.Generator) -> Array:
    """Speech (n, bands), mean power 1, of one or two people or a television in another room: late and dull."""
    total = np.zeros((FRAMES, clips[0].shape[1]), np.float32)
    for _ in range(rng.integers(1, 3)):
        row = np.resize(np.concatenate([clips[i] for i in rng.integers(0, len(clips), 4)]), total.shape)
        total += row / row.mean()
    return _unit(_through_wall(_late(total, rng), rng))


def _late(power: Array, rng: np.random.Generator) -> Array:
    """A room in which hardly any sound comes straight."""
    keep = np.float32(10 ** (-0.06 / rng.uniform(0.3, 1.0)))
    out, tail = np.empty_like(power), np.zeros(power.shape[1], np.float32)
    straight = np.float32(rng.uniform(0, 0.4))
    for index, row in enumerate(power):
        tail = keep * tail + (1 - keep) * row
        out[index] = straight * row + tail
    return out


def _through_wall(power: Array, rng: np.random.Generator) -> Array:
    """Without most of what is above 0.8 to 3 kHz."""
    bands = np.arange(power.shape[1])
    corner = rng.uniform(25, 55)
    return power * (10 ** (-rng.uniform(0.05, 0.2) * np.maximum(0, bands - corner))).astype(np.float32)


def _struck(spec: LogMelSpec, sound: Array) -> Array:
    """Powers (n, bands), the loudest tenth of a second 1."""
    power = LogMel(spec).power(np.concatenate([sound, np.zeros(spec.hop * (FADE + 1), np.float32)]))
    loud = np.convolve(power.mean(1), np.full(10, 0.1))
    return power / np.float32(loud.max())


def _even(spec: LogMelSpec, sound: Array) -> Array:
    return _unit(LogMel(spec).power(sound))


def _unit(power: Array) -> Array:
    return np.asarray(power / power.mean(), np.float32)


def _cut(sounds: list[Array], rng: np.random.Generator, frames: int) -> Array:
    sound = sounds[rng.integers(len(sounds))]
    rows = (rng.integers(len(sound)) + np.arange(frames)) % len(sound)
    return warp(sound[rows], rng.uniform(0.9, 1.15)) * random_curve(rng, sound.shape[1], 3.0)


def _gain(rng: np.random.Generator, decibel: tuple[float, float], level: float) -> np.float32:
    return np.float32(10 ** (rng.uniform(*decibel) / 10) * level)


def _runs(silent: Array) -> list[tuple[int, int]]:
    """Where each stretch of true values of ``silent`` (n,) begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
