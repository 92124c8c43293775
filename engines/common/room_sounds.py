"""Sounds of rooms that are no speech of the person: things that knock and ring, music, engines, voices next door."""

from __future__ import annotations

import numpy as np

from engines.common import Array
from engines.common.sounds import RATE, Die, decay, harmonics, hump, joined, resonate

SEMITONE = 2 ** (1 / 12)
SCALES = ([0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 3, 5, 7, 10])


def clap(die: Die) -> Array:
    """Hands, once to six times, in a room."""
    parts, at = [], 0.0
    for _ in range(die.count(1, 6)):
        noise = resonate(die.noise(0.35), [(die(700, 2200), die(400, 1500), 1.0)], 0.1)
        parts.append((at, noise * (decay(len(noise), die(0.003, 0.01)) + die(0.03, 0.15) * decay(len(noise), 0.08))))
        at += die(0.18, 0.6)
    return joined(parts)


def slam(die: Die) -> Array:
    """A door: a click of the lock, a low thud, the room."""
    noise = die.noise(die(0.5, 0.9))
    low = resonate(noise, [(die(50, 120), die(20, 60), 1.0), (die(150, 400), die(60, 200), die(0.1, 0.5))], 0.003)
    thud = low / low.std() * decay(len(low), die(0.05, 0.2))
    lock = resonate(die.noise(0.05), [(die(1500, 3500), 600, 1.0)], 0.1)
    return joined([(0.0, die(0.1, 0.4) * lock / lock.std() * decay(len(lock), 0.008)), (die(0.02, 0.12), thud)])


def keys(die: Die, seconds: float = 3.0) -> Array:
    """Typing: each key down, a softer one up."""
    parts, at, bright = [(0.0, np.zeros(int(seconds * RATE)))], 0.0, die(1800, 4500)
    while at < seconds - 0.3:
        for wait, loud in ((0.0, 1.0), (die(0.05, 0.11), die(0.2, 0.6))):
            noise = resonate(die.noise(0.04), [(bright * die(0.8, 1.25), 900, 1.0), (die(180, 420), 90, 0.5)], 0.05)
            parts.append((at + wait, noise * decay(len(noise), die(0.003, 0.01)) * loud * die(0.4, 1.0)))
        at += die(0.08, 0.45)
    return joined(parts)


def ring(die: Die, seconds: float = 4.0) -> Array:
    """A telephone: two tones that warble, or a little tune, with rests."""
    parts, at = [(0.0, np.zeros(int(seconds * RATE)))], 0.0
    notes, length = [die(420, 1800) for _ in range(die.count(2, 5))], die(0.04, 0.18)
    while at < seconds - 1.4:
        for index in range(int(die(0.4, 1.2) / length)):
            time = np.arange(int(length * RATE)) / RATE
            tone = np.sin(2 * np.pi * notes[index % len(notes)] * time) + 0.3 * np.sin(
                4 * np.pi * notes[index % len(notes)] * time
            )
            parts.append((at + index * length, tone * hump(len(time), 0.15, 0.2)))
        at += 1.2 + die(0.4, 2.0)
    return joined([(start, part) for start, part in parts if start + len(part) / RATE <= seconds])


def fan(die: Die, seconds: float = 8.0) -> Array:
    """A fan: air, and the tones of its blades."""
    air = resonate(die.noise(seconds), [(die(80, 300), die(100, 400), 1.0), (die(500, 1500), 900, die(0.1, 0.4))], 0.01)
    time = np.arange(len(air)) / RATE
    blades = sum(np.sin(2 * np.pi * k * die(50, 160) * time) / k for k in range(1, 4))
    turning = 1 + die(0.03, 0.4) * np.sin(2 * np.pi * die(1, 9) * time)
    return joined([(0.0, air / air.std() * turning + die(0.05, 0.8) * np.asarray(blades))])


def traffic(die: Die, seconds: float = 8.0) -> Array:
    """A street: a low roar, and cars that pass."""
    roar = resonate(die.noise(seconds), [(die(40, 110), die(40, 120), 1.0)], 0.005)
    parts = [(0.0, roar / roar.std())]
    for _ in range(die.count(1, 4)):
        length = min(die(1.5, 5), seconds)
        tyres = resonate(die.noise(length), [(die(500, 1300), die(300, 900), 1.0), (die(70, 180), 50, 0.6)], 0.01)
        start = die.rng.uniform(0, max(0.01, seconds - len(tyres) / RATE))
        parts.append((start, die(0.7, 3) * tyres / tyres.std() * hump(len(tyres), die(0.35, 0.65))))
    return joined(parts)[: int(seconds * RATE)]


def tune(die: Die, seconds: float = 8.0) -> Array:
    """Music without a voice: drums, bass, chords and a melody in one key, each of them not always there."""
    beat, root, scale = 60 / die(70, 160), die(48, 95), SCALES[die.count(0, 2)]
    players = [_drums, _bass, _melody, _chords]
    chosen = [player for player in players if die.rng.random() < 0.7] or [players[die.count(0, 3)]]
    parts = [(0.0, np.zeros(int(seconds * RATE)))]
    for player in chosen:
        parts += player(die, beat, root, scale, seconds)
    return joined([(at, part[: int(seconds * RATE) - int(at * RATE)]) for at, part in parts if at < seconds - 0.05])


Parts = list[tuple[float, Array]]


def _drums(die: Die, beat: float, root: float, scale: list[int], seconds: float) -> Parts:
    parts: Parts = []
    time = np.arange(int(0.25 * RATE)) / RATE
    kick = np.sin(2 * np.pi * die(40, 60) * time + 8 * (1 - np.exp(-30 * time))) * decay(len(time), 0.08)
    snare = resonate(die.noise(0.2), [(die(180, 260), 60, 1.0), (3000, 2000, 0.5)], 0.1)
    snare = snare / snare.std() * decay(len(snare), die(0.03, 0.08)) * 0.4
    hat = resonate(die.noise(0.08), [(7000, 1500, 1.0)], 0.01)
    hat = hat / hat.std() * decay(len(hat), die(0.01, 0.03)) * die(0.05, 0.2)
    for index in range(int(seconds / beat * 2)):
        at = index * beat / 2
        parts.append((at, hat))
        if index % 4 == 0:
            parts.append((at, kick))
        elif index % 4 == 2:
            parts.append((at, snare))
    return parts


def _note(die: Die, hz: float, seconds: float, fall: float, peaks: int) -> Array:
    """A tone with a bell or a bow: harmonics through a few resonances, struck."""
    wobble = 1 + die(0.001, 0.006) * np.sin(2 * np.pi * die(4, 7) * np.arange(int(seconds * RATE)) / RATE)
    tone = resonate(harmonics(hz * wobble), [(die(300, 2500), die(300, 1500), 1.0) for _ in range(peaks)], 0.1)
    attack = np.minimum(1, np.arange(len(tone)) / (die(0.003, 0.06) * RATE))
    return np.asarray(tone / (tone.std() + 1e-9) * attack * decay(len(tone), fall))


def _bass(die: Die, beat: float, root: float, scale: list[int], seconds: float) -> Parts:
    fall = die(0.1, 0.6)
    return [
        (i * beat, 0.5 * _note(die, root * SEMITONE ** scale[die.count(0, len(scale) - 1)], beat, fall, 1))
        for i in range(int(seconds / beat))
    ]


def _melody(die: Die, beat: float, root: float, scale: list[int], seconds: float) -> Parts:
    parts: Parts = []
    at, place, loud, fall = 0.0, die.count(7, 20), die(0.15, 0.6), die(0.1, 1.0)
    while at < seconds - 0.1:
        length = beat * (0.25, 0.5, 0.5, 1.0, 2.0)[die.count(0, 4)]
        place = int(np.clip(place + die.count(-3, 3), 4, 24))
        step, octave = scale[place % len(scale)], place // len(scale)
        parts.append((at, loud * _note(die, root * 2 ** (1 + octave) * SEMITONE**step, length * 1.2, fall, 3)))
        at += length
    return parts


def _chords(die: Die, beat: float, root: float, scale: list[int], seconds: float) -> Parts:
    loud, fall = die(0.08, 0.3), die(0.3, 3.0)
    parts: Parts = []
    for index in range(int(seconds / beat / 2)):
        first = die.count(0, len(scale) - 1)
        for third in (0, 2, 4):
            step = scale[(first + third) % len(scale)]
            parts.append((index * 2 * beat, loud * _note(die, 4 * root * SEMITONE**step, 2 * beat, fall, 2)))
    return parts


EVENTS = {"clap": clap, "door": slam, "keys": keys, "telephone": ring}
BACKGROUNDS = {"music": tune, "fan": fan, "traffic": traffic}
