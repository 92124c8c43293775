"""One person's recording as one line of frames: what was heard, where the head was, and where a track begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.dataset import Track
from realtime_dub.mouth.avatar.person import Person

FRAME_ROWS = 2  # rows of features from one frame to the next: 40 ms


@dataclass(frozen=True, eq=False)
class Line:
    """Tracks one after another. Where one begins, the head is somewhere else at once: that is not learnt."""

    windows: Array  # (n, steps, features) float16
    moves: Array  # (n, 12) place in its spreads, velocity in its own
    counts: Array  # (n,) 0 for the first two frames of a track

    def __len__(self) -> int:
        return len(self.moves)


def windows_of(rows: Array, silence: Array, steps: int, ahead: int, count: int) -> Array:
    """Windows (count, steps, features) of rows (n, features), the last row ``ahead`` behind each frame's instant."""
    at = np.arange(count)[:, None] * FRAME_ROWS + ahead + np.arange(1 - steps, 1)
    found = rows[np.clip(at, 0, len(rows) - 1)]
    found[(at < 0) | (at >= len(rows))] = silence
    return np.asarray(found, np.float32)


def moves_of(person: Person, places: Array) -> Array:
    """Places (T, 6) as the net knows them (T, 12), with their velocity; that of the first frame is 0."""
    steps = np.diff(places, axis=0, prepend=places[:1])
    return np.concatenate([places / person.spread, steps / person.step], 1).astype(np.float32)


def line_of(person: Person, tracks: Sequence[Track], places: list[Array], windows: list[Array]) -> Line:
    """The recording, of each track its places and windows."""
    counts = [np.concatenate([np.zeros(2), np.ones(len(track.scale) - 2)]) for track in tracks]
    return Line(
        np.concatenate(windows).astype(np.float16),
        np.concatenate([moves_of(person, each) for each in places]),
        np.concatenate(counts).astype(np.float32),
    )


class Draws:
    """Stretches of the line."""

    def __init__(self, line: Line, frames: int, noise: float) -> None:
        self._line, self._frames, self._noise = line, min(frames, len(line) - 1), noise

    def draw(self, rng: np.random.Generator, batch: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Windows (b, n, steps, features), moves of the frames before (b, n, 12), of the frames, what counts (b, n)."""
        first = rng.integers(1, len(self._line) - self._frames + 1, batch)
        at = first[:, None] + np.arange(self._frames)
        before = self._line.moves[at - 1]
        before = before + rng.standard_normal(before.shape, np.float32) * np.float32(self._noise)
        heard = self._line.windows[at].astype(np.float32)
        arrays = heard, before, self._line.moves[at], self._line.counts[at]
        windows, told, real, counts = (torch.from_numpy(each) for each in arrays)
        return windows, told, real, counts
