"""GRID-style clips as sound, mouth motion and speech: what a motion net is trained and measured on.

A folder holds the clips; ``<folder>.words.tsv`` beside it (clip, start_ms, end_ms, word; ``sil`` = silence) has the
word times. Held-out split by the sorted names: index % 20 == 0 is the test set, 10 validation, the rest training.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

Words = list[tuple[int, int, str]]  # start ms, end ms, word
SILENCE = "sil"
ANY_WORD = "speech"  # stands for words where nobody told them
SPELT = (  # what each letter of a clip's name stands for
    {"b": "bin", "l": "lay", "p": "place", "s": "set"},
    {"b": "blue", "g": "green", "r": "red", "w": "white"},
    {"a": "at", "b": "by", "i": "in", "w": "with"},
    {letter: letter for letter in "abcdefghijklmnopqrstuvxyz"},
    dict(
        zip("z123456789", ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], strict=True)
    ),
    {"a": "again", "n": "now", "p": "please", "s": "soon"},
)
FADE_MS = (400, 900)  # motion this far from speech goes over into rest; nearer there are breaths, which can be heard


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip. Motion is in the person's mouth widths, relative to the neutral shape of the clip."""

    name: str
    audio: Array  # (n,) 16 kHz
    motion: Array  # (T, 168, 3) at the video's frames
    fps: float
    neutral: Array  # (478, 3) in mouth widths
    words: Words | None
    offset_s: float = 0.0  # what is heard at t is seen at t - offset_s
    speaker: str = ""


def split(names: list[str]) -> dict[str, list[str]]:
    """The clips' names as train, validation and test."""
    names = sorted(names)
    test, validation = names[::20], names[10::20]
    held = set(test) | set(validation)
    return {"train": [n for n in names if n not in held], "validation": validation, "test": test}


def sentence(name: str) -> list[str]:
    """The words that the name of a clip of GRID spells (``s05_bbaf2n``); none where it spells none."""
    for part in name.split("_"):
        if len(part) == len(SPELT) and all(letter in words for letter, words in zip(part, SPELT, strict=True)):
            return [words[letter] for letter, words in zip(part, SPELT, strict=True)]
    return []


def read_words(path: Path) -> dict[str, Words]:
    """Word times per clip; empty where there is no such file."""
    words: dict[str, Words] = defaultdict(list)
    if path.exists():
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t"):
                words[row["clip"]].append((int(row["start_ms"]), int(row["end_ms"]), row["word"]))
    return dict(words)


def to_16k(audio: Array, rate: int) -> Array:
    """Mono sound at 16 kHz, float32."""
    if rate == 16_000:
        return np.asarray(audio, np.float32)
    import soxr

    return np.asarray(soxr.resample(audio, rate, 16_000), np.float32)


def sample_motion(motion: Array, fps: float, times_s: Array) -> Array:
    """Motion (T, ...) of frames at k / fps as it is at ``times_s``: Catmull-Rom, held at both ends."""
    position = np.clip(times_s * fps, 0, len(motion) - 1)
    index = np.minimum(position.astype(int), max(len(motion) - 2, 0))
    u = (position - index).reshape(-1, *[1] * (motion.ndim - 1)).astype(np.float32)
    a, b, c, d = (motion[np.clip(index + shift, 0, len(motion) - 1)] for shift in (-1, 0, 1, 2))
    cubic = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return np.asarray(cubic, np.float32)


def speech_at(words: Words, times_s: Array) -> Array:
    """1 where a word is spoken, 0 in silence."""
    times_ms = times_s * 1000
    speech = np.zeros(len(times_s), np.float32)
    for start, end, word in words:
        if word != SILENCE:
            speech[(times_ms >= start) & (times_ms < end)] = 1
    return speech


def rest_weight(words: Words, times_s: Array) -> Array:
    """How much of the motion at ``times_s`` belongs to speech: 1 near words, 0 far away, a line between."""
    times_ms = times_s * 1000
    spoken = [(start, end) for start, end, word in words if word != SILENCE]
    if not spoken:
        return np.zeros(len(times_s), np.float32)
    away = np.min([np.maximum(0, np.maximum(s - times_ms, times_ms - e)) for s, e in spoken], axis=0)
    return np.clip((FADE_MS[1] - away) / (FADE_MS[1] - FADE_MS[0]), 0, 1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Example:
    """A clip at 100 Hz, at one speed. Frame i of each array is the instant ``i * hop``."""

    power: Array  # (n, bands) before floor and logarithm
    motion: Array  # (n, 168, 3)
    speech: Array  # (n,)


def make_example(clip: Clip, spec: LogMelSpec, speed: float = 1.0) -> Example:
    """Sound and targets of a clip played ``speed`` times as fast: other pitch, formants and rate, same words."""
    audio = clip.audio
    if speed != 1.0:
        import soxr

        audio = np.asarray(soxr.resample(audio, spec.rate * speed, spec.rate), np.float32)
    power = LogMel(spec).power(audio)
    times_s = np.arange(len(power)) * spec.hop / spec.rate * speed
    motion = sample_motion(clip.motion, clip.fps, times_s - clip.offset_s)
    words: Words = clip.words or [(0, 1 << 30, "unknown")]
    weight = rest_weight(words, times_s)
    return Example(power, motion * weight[:, None, None], speech_at(words, times_s))
