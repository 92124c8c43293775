"""What the slim painter's hearing learns from: voices, and how the lower face moves to them.

Of who is filmed that is the filmed motion. To who is only heard it is what the shipped motion net of ``mouthbank``
tells, which has heard far more voices than faces were filmed. ``heard-PART.npz`` has it all; it appears whole or not at
all.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path

import numpy as np
import soxr
import torch
from torch import Tensor

from engines.common import Array
from engines.common.dataset import Dataset, Entry, as_clip
from engines.common.metrics import openings
from engines.common.people import evened
from engines.common.rates import STEADY_FPS
from engines.common.speech.data import clip_weights
from engines.lipgan.faces import silent_frame
from engines.lipgan.slim import FRAMES, MOTION
from engines.lipgan.voices import SOME, Voices
from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.audio.frontends.windows import centred_look_ahead_ms, last_frame, windows
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.mouthbank.motion import MotionStream

TEACHER, LOOK_AHEAD_MS = "mouthbank", 160
BLOCK = 10_240  # samples that the teacher hears at a time
SPEEDS = (1.0, 1.0, 0.87, 0.93, 1.07, 1.15)  # of who is only heard
MANY = 6_000  # motions that the directions are found in
SPAN = 25  # pictures, of which those of a stretch are drawn
RATE = 16_000
FLUSH_MS = 200  # of silence behind the look-ahead, so that the last motion is known
NEW_NS = 10 * NS  # from one sound to the next: the teacher begins anew


@dataclass(frozen=True, eq=False)
class Index:
    """Of ``t`` tracks."""

    mel: Array  # (m, 80) float16 of all tracks, one after another
    mel_ends: Array  # (t,) where a track ends in it
    told: Array  # (k, motion) of each picture, 25 a second: the motion, in the directions
    opening: Array  # (k,) of the filmed lips, mouth widths; NaN of who is only heard
    ends: Array  # (t,) where the pictures of a track end
    chances: Array  # (t,) how often to draw it among those that are filmed, or among those that are not
    filmed: Array  # (t,)
    speakers: Array  # (t,) names
    mean: Array  # (504,) of the motion
    lines: Array  # (504, motion): its directions


class Heard:
    """The voices of a part. ``voices`` makes them sound otherwise."""

    def __init__(self, path: Path, seed: int) -> None:
        with np.load(path, allow_pickle=False) as stored:
            self.index = Index(**{each.name: stored[each.name] for each in fields(Index)})
        self._spec = PainterMelSpec()
        self._silent = silent_frame(self._spec)
        self._look_ahead_ns = centred_look_ahead_ms(self._spec, FRAMES) * MS
        rng = np.random.default_rng([seed, 13])
        some = rng.integers(0, len(self.index.ends), SOME)
        self.voices = Voices(self._spec, rng, [self.mel(int(track)) for track in some])

    def mel(self, track: int) -> Array:
        """What is heard of a track (m, 80)."""
        return self.index.mel[_within(self.index.mel_ends, track)]

    def opening(self, track: int) -> Array:
        """How far the filmed lips are open (n,), mouth widths."""
        return self.index.opening[_within(self.index.ends, track)]

    def draw(self, rng: np.random.Generator, stretches: int, each: int, filmed: float) -> tuple[Tensor, Tensor]:
        """Windows (n, 27, 80) and what is to be told (n, motion): ``each`` of every stretch, which is disturbed as a
        whole. ``filmed``: share of the stretches whose talker is filmed.
        """
        rows = [self._stretch(rng, self._track(rng, filmed), each) for _ in range(stretches)]
        mel, told = (np.concatenate(column) for column in zip(*rows, strict=True))
        return torch.from_numpy(mel), torch.from_numpy(told.astype(np.float32))

    def _track(self, rng: np.random.Generator, filmed: float) -> int:
        wanted = self.index.filmed == (rng.random() < filmed)
        chances = self.index.chances * (wanted if wanted.any() else ~wanted)
        return int(rng.choice(len(chances), p=chances / chances.sum()))

    def _stretch(self, rng: np.random.Generator, track: int, each: int) -> tuple[Floats, Array]:
        there = _within(self.index.ends, track)
        count = there.stop - there.start
        first = int(rng.integers(0, max(1, count - SPAN + 1)))
        numbers = np.sort(rng.integers(first, min(first + SPAN, count), each))
        return self.windows(track, numbers, lambda mel: self.voices(mel, rng)), self.index.told[there][numbers]

    def windows(self, track: int, numbers: Array, disturbed: Callable[[Floats], Floats] = np.asarray) -> Floats:
        """What is heard around pictures of a track (n, 27, 80), in their order; ``disturbed`` makes the stretch of them
        sound otherwise.
        """
        lasts = np.array([last_frame(self._spec, int(k) * NS // STEADY_FPS, self._look_ahead_ns) for k in numbers])
        low, high = int(lasts[0]) - FRAMES + 1, int(lasts[-1])
        stretch = disturbed(windows(self.mel(track), [high], high - low + 1, self._silent)[0])
        return np.stack([stretch[last - FRAMES + 1 - low : last + 1 - low] for last in lasts])


def _within(ends: Array, track: int) -> slice:
    return slice(int(ends[track - 1]) if track else 0, int(ends[track]))


def gathered(dataset: Dataset, filmed: list[Entry], heard: list[Entry], motion: int, seed: int, path: Path) -> None:
    """Write what is heard of who is filmed, and of who is only ``heard``. ``motion``: how many directions it is told
    in.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clips = [as_clip(dataset.load(entry)) for entry in filmed]
    mean, lines = directions(np.concatenate([clip.motion for clip in clips]), motion)
    rng, teacher = np.random.default_rng([seed, 17]), Teacher()
    parts = [_Part(_mel(clip.audio), clip.motion, openings(clip.motion, clip.neutral)) for clip in clips]
    sounds = (at_speed(dataset.audio(entry), float(rng.choice(SPEEDS))) for entry in heard)
    parts = [each.in_directions(mean, lines) for each in chain(parts, (_heard(sound, teacher) for sound in sounds))]
    chances = evened([entry.speaker for entry in filmed])
    if heard:
        chances = np.concatenate([chances, clip_weights(heard, [len(each.motion) for each in parts[len(filmed) :]])])
    index = Index(
        mel=np.concatenate([each.mel for each in parts]),
        mel_ends=np.cumsum([len(each.mel) for each in parts]),
        told=np.concatenate([each.motion for each in parts]),
        opening=np.concatenate([each.opening for each in parts]).astype(np.float32),
        ends=np.cumsum([len(each.motion) for each in parts]),
        chances=chances,
        filmed=np.arange(len(parts)) < len(filmed),
        speakers=np.array([entry.speaker for entry in (*filmed, *heard)]),
        mean=mean,
        lines=lines,
    )
    partial = path.with_suffix(".part.npz")
    np.savez(partial, **{each.name: getattr(index, each.name) for each in fields(Index)})
    os.replace(partial, path)


@dataclass(frozen=True, eq=False)
class _Part:
    mel: Array
    motion: Array  # (k, ...)
    opening: Array  # (k,)

    def in_directions(self, mean: Array, lines: Array) -> _Part:
        told = (self.motion.reshape(-1, MOTION) - mean) @ lines
        return replace(self, motion=told.astype(np.float32))


class Teacher:
    """The motion net that ships, which sees no face."""

    def __init__(self) -> None:
        self._stream = MotionStream(load_default(TEACHER, LOOK_AHEAD_MS))
        self._begin_ns = 0

    def motion(self, sound: Array) -> Floats:
        """How the lower face moves (k, 168, 3) to a sound (n,) of 16 kHz, 25 times a second."""
        stream, begin_ns = self._stream, self._begin_ns
        found: list[Floats] = []
        instants = begin_ns + np.arange(max(1, len(sound) * STEADY_FPS // RATE)) * NS // STEADY_FPS
        padded = np.concatenate([sound, np.zeros((LOOK_AHEAD_MS + FLUSH_MS) * RATE // 1000, np.float32)])
        for at in range(0, len(padded), BLOCK):
            stream.hear(padded[at : at + BLOCK], begin_ns + at * NS // RATE)
            known = instants[len(found) :] <= stream.heard_until_ns()
            found += [stream.at(int(each)).displacement for each in instants[len(found) :][known]]
        self._begin_ns += len(padded) * NS // RATE + NEW_NS
        return np.stack(found)


def at_speed(sound: Array, speed: float) -> Array:
    """A sound (n,) at ``speed`` times its rate, the voice as much higher."""
    return sound if speed == 1.0 else np.asarray(soxr.resample(sound, RATE * speed, RATE), np.float32)


def _heard(sound: Array, teacher: Teacher) -> _Part:
    motion = teacher.motion(sound)
    return _Part(_mel(sound), motion, np.full(len(motion), np.nan, np.float32))


def _mel(audio: Array) -> Array:
    front_end = open_front_end(PainterMelSpec())
    return np.concatenate([front_end.process(audio), front_end.finish()]).astype(np.float16)


def directions(motion: Array, count: int) -> tuple[Array, Array]:
    """The mean (504,) of motions (n, 168, 3), and the directions (504, count) in which they differ most, such that
    ``(motion - mean) @ lines`` has a spread of 1.
    """
    few = motion[:: max(1, len(motion) // MANY)].reshape(-1, MOTION).astype(np.float32)
    mean = few.mean(0)
    spread, lines = np.linalg.svd(few - mean, full_matrices=False)[1:]
    return mean, lines[:count].T * (np.sqrt(len(few)) / np.maximum(spread[:count], 1e-6))
