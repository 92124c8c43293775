"""Windows of voices and the lower faces that go with them, of several people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engines.common import Array
from engines.common.avatar import Heard, by_speaker, motion_of, neutral_of
from engines.common.dataset import Dataset, Entry
from engines.common.metrics import LIPS_AT
from engines.common.people import evened
from realtime_dub.face.alignment import mouth_width

FRAME_ROWS = 2  # rows of features from one frame to the next: 40 ms
LIPS_WEIGH = 2.0  # the lips' points, against the others


@dataclass(frozen=True, eq=False)
class Spoken:
    """A track as the net learns it."""

    name: str
    speaker: str
    rows: Array  # (n, features) every ROW_MS
    motion: Array  # (T, 168, 3) at 25 pictures a second, mouth widths from the person's rest
    neutral: Array  # (478, 3) in mouth widths


@dataclass(frozen=True)
class Windows:
    """Which rows belong to which frame."""

    steps: int
    windows: int
    ahead: int  # rows from a frame's instant to the last one that it hears

    def of(self, rows: Array, silence: Array, first: int, count: int) -> Array:
        """Windows (windows - 1 + count, steps, features) for the frames from ``first`` on."""
        frames = np.arange(first - self.windows + 1, first + count)
        at = frames[:, None] * FRAME_ROWS + self.ahead + np.arange(1 - self.steps, 1)
        found = rows[np.clip(at, 0, len(rows) - 1)]
        found[(at < 0) | (at >= len(rows))] = silence
        return np.asarray(found, np.float32)


def spoken(dataset: Dataset, entries: Sequence[Entry], heard: Heard) -> list[Spoken]:
    """The tracks, each person's motion from their own rest."""
    found = []
    for speaker, own in by_speaker(entries).items():
        neutral = neutral_of(dataset, own)
        rest = np.asarray(neutral / np.float32(mouth_width(neutral)), np.float32)
        for entry in own:
            motion = motion_of(dataset.load(entry), neutral)
            found.append(Spoken(entry.name, speaker, heard(entry), motion, rest))
    return found


class Draws:
    """Runs of frames of many people: of who has four times as many tracks twice as many are drawn."""

    def __init__(self, tracks: Sequence[Spoken], windows: Windows, silence: Array, frames: int, noise: float) -> None:
        self._tracks, self._windows, self._silence, self._noise = tracks, windows, silence, noise
        self._frames = min(frames, min(len(track.motion) for track in tracks))
        self.people = list(dict.fromkeys(track.speaker for track in tracks))
        self._shares = evened([track.speaker for track in tracks])

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Windows (b, windows - 1 + n, steps, features), points (b, n, 168, 3), people (b,)."""
        chosen = [self._tracks[int(at)] for at in rng.choice(len(self._tracks), batch, p=self._shares)]
        cuts = [self._cut(track, rng) for track in chosen]
        heard, wanted = (np.stack(each) for each in zip(*cuts, strict=True))
        heard += rng.standard_normal(heard.shape, np.float32) * np.float32(self._noise)
        people = np.array([self.people.index(track.speaker) for track in chosen])
        return torch.from_numpy(heard), torch.from_numpy(wanted), torch.from_numpy(people)

    def _cut(self, track: Spoken, rng: np.random.Generator) -> tuple[Array, Array]:
        first = int(rng.integers(0, len(track.motion) - self._frames + 1))
        heard = self._windows.of(track.rows, self._silence, first, self._frames)
        return heard, track.motion[first : first + self._frames]


@dataclass(frozen=True, eq=False)
class Basis:
    """Principal components of the lower face's motion, the lips' points weighing more. Not centred: 0 is rest."""

    components: Array  # (k, points * 3), coefficients of mean square 1
    analysis: Array  # (points * 3, k): coefficients = motion @ analysis
    explained: float  # share of the weighed motion


def weights() -> npt.NDArray[np.float32]:
    """Of each point (168,)."""
    found = np.ones(168, np.float32)
    found[LIPS_AT] = LIPS_WEIGH
    return found


def make_basis(motion: Array, count: int) -> Basis:
    """Of motions (n, 168, 3)."""
    weigh = np.repeat(weights(), 3).astype(np.float64)
    flat = motion.reshape(len(motion), -1) * weigh
    values, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
    values, vectors = values[::-1], vectors[:, ::-1]
    spread = np.sqrt(np.maximum(values[:count], 1e-12))
    chosen = vectors[:, :count]
    components = (chosen * spread).T / weigh
    analysis = weigh[:, None] * chosen / spread
    explained = float(values[:count].sum() / max(values.sum(), 1e-12))
    return Basis(components.astype(np.float32), analysis.astype(np.float32), explained)
