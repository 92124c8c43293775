"""Rows of free speech for which there is no face but curves that animators have drawn: they tell when, not how far.

A curve has no measure in mouth widths, so a net is asked that its mouth goes with it: 1 - r within a row. What the
filmed speakers teach says how far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.augment import Augmentation, make_noises
from engines.common.loop import Losses
from engines.common.speech.network import STRIDE
from engines.mouthbank.curves import STANDS, Recording, read
from engines.mouthbank.data import Basis
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import CORNERS, OPENING

WARM_UP = 20  # outputs at a row's start that have no past to judge by
FLAT = 0.05  # added to a spread, in that of the filmed speakers: a mouth that rests is not asked to tremble in step


@dataclass(frozen=True, eq=False)
class _Row:
    power: Array  # (n, bands)
    curves: Array  # (n // STRIDE, measures)


class CurveRows:
    """Rows of the recordings in a folder, disturbed as other sounds are, with what they tell of the mouth."""

    MEASURES = ("opening: jaw", "narrowness: rounding")

    def __init__(
        self,
        folder: Path,
        kept_out: Sequence[str],
        basis: Basis,
        spec: LogMelSpec,
        size: tuple[int, int],
        seed: int,
        augmentation: Augmentation,
    ) -> None:
        """``kept_out``: names of recordings to measure by; ``size``: rows, and frames of 10 ms in each.

        Raises ConfigError where none is left.
        """
        taken = [each for each in read(folder) if each.name not in kept_out]
        if not taken:
            raise ConfigError("no recording left in", str(folder), "keep fewer out")
        self._count, self._frames = size
        self._front_end, self._augmentation = LogMel(spec), augmentation
        self._noises = make_noises(spec, np.random.default_rng([seed, 11]))
        self._rows = [self._row(each, spec) for each in taken]
        self._measures = torch.from_numpy(_measures(basis))

    def _row(self, recording: Recording, spec: LogMelSpec) -> _Row:
        power = self._front_end.power(recording.audio)
        at_s = np.arange(len(power) // STRIDE) * STRIDE * spec.hop / spec.rate
        times_s = np.arange(recording.frames) / recording.fps
        nothing = np.zeros(recording.frames)
        curves = [np.interp(at_s, times_s, recording.truth.get(name, nothing)) for name in self.MEASURES]
        return _Row(power, np.stack(curves, 1).astype(np.float32))

    def draw(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Features (b, n, bands) and curves (b, n // STRIDE, measures)."""
        power, curves = zip(*(self._drawn(rng) for _ in range(self._count)), strict=True)
        mel = self._front_end.compress(np.stack(power))
        return torch.from_numpy(mel), torch.from_numpy(np.stack(curves))

    def _drawn(self, rng: np.random.Generator) -> tuple[Array, Array]:
        row = self._rows[rng.integers(len(self._rows))]
        start = int(rng.integers(0, len(row.curves) - self._frames // STRIDE))
        power = row.power[start * STRIDE :][: self._frames]
        curves = row.curves[start:][: self._frames // STRIDE]
        return self._augmentation(power, self._noises, rng), curves

    def loss(self, heads: Sequence[Tensor], delays: Sequence[int], curves: Tensor) -> Losses:
        """How little the coefficients (b, m, k) of each head, so many outputs late, go with the curves."""
        measures = self._measures.to(curves.device)
        parts = [_apart(found @ measures, curves, late) for found, late in zip(heads, delays, strict=True)]
        return {"curves": torch.stack(parts).mean()}


def _measures(basis: Basis) -> Array:
    """Opening and narrowness of the mouth at one of each coefficient (k, 2); each of spread 1 over the filmed."""
    points = basis.components.reshape(len(basis.components), len(LOWER), 3)
    upper, lower = (np.searchsorted(LOWER, OPENING[:, side]) for side in (0, 1))
    left, right = (int(np.searchsorted(LOWER, corner)) for corner in CORNERS)
    opening = (points[:, lower, 1] - points[:, upper, 1]).mean(1)
    outwards = np.sign(TEMPLATE[CORNERS[1], 0] - TEMPLATE[CORNERS[0], 0])
    narrow = -outwards * (points[:, right, 0] - points[:, left, 0])
    both = np.stack([opening, narrow], 1)
    return np.asarray(both / np.sqrt((both**2).sum(0)), np.float32)


def _apart(found: Tensor, curves: Tensor, late: int) -> Tensor:
    """1 - r (mean over rows in which a curve moves)."""
    count = min(found.shape[1] - late, curves.shape[1])
    found, curves = found[:, late:][:, WARM_UP:count], curves[:, WARM_UP:count]
    found, curves = found - found.mean(1, keepdim=True), curves - curves.mean(1, keepdim=True)
    spread = (found.square().mean(1) + FLAT**2).sqrt(), curves.square().mean(1).sqrt()
    r = (found * curves).mean(1) / (spread[0] * spread[1].clamp(min=STANDS))
    moves = (spread[1] > STANDS).float()
    return ((1 - r) * moves).sum() / (moves.sum() + 1e-6)
