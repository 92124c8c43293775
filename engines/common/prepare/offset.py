"""By how much the sound of a track is off its picture, found with a regressor that is fitted to the data set itself.

Loudness alone does not follow the lips; a ridge regression from a little log-mel context to the lip opening does. It is
fitted in folds, so that no track is judged by itself. The regressed curve is then slid along the lip opening that was
seen; where the two correlate best is the track's offset.

What is common to all tracks is found first, by fitting at several offsets and keeping the one at which held-out tracks
are regressed best. Confidence is the share of wrong pairings (this sound, another track's picture) that do not reach
the track's own best correlation at any offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.common import Array

HOP_MS = 10  # of the mel frames
STEP = 4  # mel frames per picture at 25 fps
MARGIN = 50  # mel frames of sound before the first picture and after the last
REACH = 40  # mel frames searched either way
CONTEXT = (-6, -3, 0, 3, 6)  # with much more, the regression makes up for a common offset by itself
RIDGE = 3e-3
FOLDS = 5
LEAST_TRACKS = 30  # below, nothing is fitted
SCAN = range(-REACH, REACH + 1, 4)
SCAN_TRACKS = 200
LEAD = 1  # where an in-step data set has its optimum: lips are ahead of the sound that they make
TOLERANCE = 3  # a common offset smaller than this cannot be told from habits of speech
WRONG_PAIRS = 40
DOUBT = 0.15  # taken off the correlation at the far end of the search: far offsets are rare
FAR = 6.0  # robust standard deviations at which the doubt is at its full
OUTLYING = 3.0  # robust standard deviations; an offset beyond is no estimate's noise


@dataclass(frozen=True, eq=False)
class Pair:
    """Sound and lips of one track."""

    mel: Array  # (n, bands) at 100 Hz, from MARGIN frames before the first picture
    opening: Array  # (T,) at 25 fps, any unit


@dataclass(frozen=True)
class Offset:
    """``ms`` above zero: the sound comes late, what is seen at t is heard at t + ms."""

    ms: float
    confidence: float  # 0..1
    r: float  # correlation of regressed and seen lip opening there


@dataclass(frozen=True)
class Offsets:
    """Of a whole data set. ``tracks`` is None where there was too little to fit."""

    common_ms: float
    tracks: list[Offset] | None


def find_offsets(pairs: Sequence[Pair], seed: int = 0) -> Offsets:
    """Offset and confidence of each pair, in order."""
    if len(pairs) < LEAST_TRACKS:
        return Offsets(0.0, None)
    features = [_features(pair.mel) for pair in pairs]
    openings = [_standard(pair.opening) for pair in pairs]
    relative = np.zeros(len(pairs), int)
    doubt = _doubt(0.0, float(REACH))
    for _ in range(3):
        # The regression is fitted at the common offset, or it would wander off with its own errors.
        common = _common_shift(features, openings, relative)
        curves = _regress(features, openings, relative + common)
        scores = [_scores(curve, opening) - doubt for curve, opening in zip(curves, openings, strict=True)]
        peaks = [_peak(row) for row in scores]
        places = np.array([place for place, _ in peaks])
        relative = np.round(places - np.median(places)).astype(int)
        doubt = _doubt(float(np.median(places)), _spread(places))
    shrunk = _shrunk(places - np.median(places), _half_differences(curves, openings, doubt)) + _settled(common)
    values = [value for _, value in peaks]
    sure = _confidences(curves, openings, values, doubt, np.random.default_rng(seed))
    found = zip(shrunk, sure, values, strict=True)
    return Offsets(
        float(_settled(common) * HOP_MS),
        [Offset(round(float(at) * HOP_MS, 1), round(c, 3), round(r, 3)) for at, c, r in found],
    )


def _half_differences(curves: Sequence[Array], openings: Sequence[Array], doubt: Array) -> Array:
    """How much the two halves of each track disagree about its offset, mel frames."""
    found = []
    for curve, opening in zip(curves, openings, strict=True):
        half = len(opening) // 2
        first = _scores(curve[: 2 * MARGIN + STEP * half], _standard(opening[:half])) - doubt
        second = _scores(curve[STEP * half :], _standard(opening[half:])) - doubt
        found.append(_peak(first)[0] - _peak(second)[0])
    return np.array(found)


def _doubt(middle: float, spread: float) -> Array:
    """What each shift's correlation is lowered by (2 * REACH + 1,) where offsets are ``spread`` around ``middle``."""
    distance = (np.arange(-REACH, REACH + 1) - middle) / max(spread, 1.0)
    return np.asarray(np.minimum(DOUBT, DOUBT * (distance / FAR) ** 2))


def _shrunk(offsets: Array, halves: Array) -> Array:
    """Offsets without the part of their spread that is the estimate's own noise, as the halves of tracks show it."""
    spread, noise = _spread(offsets), _spread(halves) / 2
    share = max(0.0, 1 - (noise / spread) ** 2) if spread > 0 else 0.0
    return np.where(np.abs(offsets) > OUTLYING * spread, offsets, share * offsets)


def _spread(values: Array) -> float:
    """Standard deviation by the median, which wild values do not move."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def _settled(common: int) -> int:
    """The common offset without the lead of the lips; 0 where it is too small to be sure of."""
    shift = common - LEAD
    return shift if abs(shift) > TOLERANCE else 0


def _features(mel: Array) -> Array:
    """Context of pooled bands (n, d) with the track's own mean taken out, and a constant."""
    pooled = mel[:, : mel.shape[1] // 2 * 2].reshape(len(mel), -1, 2).mean(2)
    pooled = pooled - pooled.mean(0)
    at = np.arange(len(mel))
    columns = [pooled[np.clip(at + shift, 0, len(mel) - 1)] for shift in CONTEXT]
    return np.concatenate([*columns, np.ones((len(mel), 1), np.float32)], 1).astype(np.float32)


def _standard(values: Array) -> Array:
    return np.asarray((values - values.mean()) / (values.std() + 1e-9), np.float64)


def _rows(features: Array, count: int, shift: int) -> Array:
    """The features (count, d) at the pictures' instants with the sound taken ``shift`` frames later."""
    at = MARGIN + STEP * np.arange(count) + shift
    return features[np.clip(at, 0, len(features) - 1)]


def _regress(features: Sequence[Array], openings: Sequence[Array], shifts: Array) -> list[Array]:
    """A curve (n,) per track at 100 Hz by a regressor that was fitted without this track's fold."""
    size = features[0].shape[1]
    squares, products = np.zeros((FOLDS, size, size)), np.zeros((FOLDS, size))
    for index, (f, opening) in enumerate(zip(features, openings, strict=True)):
        rows = _rows(f, len(opening), int(shifts[index])).astype(np.float64)
        squares[index % FOLDS] += rows.T @ rows
        products[index % FOLDS] += rows.T @ opening
    weights = []
    for fold in range(FOLDS):
        square = squares.sum(0) - squares[fold]
        ridge = RIDGE * square[-1, -1] * np.eye(size)  # the constant's square is the number of rows
        weights.append(np.linalg.solve(square + ridge, products.sum(0) - products[fold]))
    return [f @ weights[index % FOLDS] for index, f in enumerate(features)]


def _common_shift(features: Sequence[Array], openings: Sequence[Array], relative: Array) -> int:
    """The offset beyond ``relative`` at which held-out tracks are regressed best, mel frames."""
    chosen = range(0, len(features), max(1, len(features) // SCAN_TRACKS))
    some, seen, own = [features[i] for i in chosen], [openings[i] for i in chosen], relative[list(chosen)]
    means = [np.mean(_fit(some, seen, own + shift)) for shift in SCAN]
    at, _ = _peak(np.array(means))
    return round(SCAN.start + SCAN.step * (at + len(means) // 2))


def _fit(features: Sequence[Array], openings: Sequence[Array], shifts: Array) -> list[float]:
    """Correlation of each track's regressed curve, at its shift, with what was seen."""
    curves = _regress(features, openings, shifts)
    parts = zip(curves, openings, shifts, strict=True)
    return [float(_standard(_rows(c[:, None], len(o), int(s))[:, 0]) @ o / len(o)) for c, o, s in parts]


def _windows(curve: Array, count: int) -> Array:
    """The curve at the pictures' instants for every shift, each row standardised (2 * REACH + 1, count)."""
    at = MARGIN + STEP * np.arange(count)[None] + np.arange(-REACH, REACH + 1)[:, None]
    rows = curve[np.clip(at, 0, len(curve) - 1)]
    rows = rows - rows.mean(1, keepdims=True)
    return np.asarray(rows / (rows.std(1, keepdims=True) + 1e-9))


def _scores(curve: Array, opening: Array) -> Array:
    """Correlation at each shift (2 * REACH + 1,)."""
    return np.asarray(_windows(curve, len(opening)) @ opening / len(opening))


def _peak(scores: Array) -> tuple[float, float]:
    """Place of the highest score from the middle, between the grid's points, and its value."""
    best = int(np.argmax(scores))
    place = float(best)
    if 0 < best < len(scores) - 1:
        before, value, after = scores[best - 1 : best + 2]
        place += 0.5 * (before - after) / (before - 2 * value + after - 1e-12)
    return place - len(scores) // 2, float(scores[best])


def _confidences(
    curves: Sequence[Array], openings: Sequence[Array], own: Sequence[float], doubt: Array, rng: np.random.Generator
) -> list[float]:
    """Per track, the share of wrong pairings that its own correlation beats."""
    found = []
    for index, curve in enumerate(curves):
        others = rng.permutation(np.delete(np.arange(len(openings)), index))[:WRONG_PAIRS]
        count = len(openings[index])
        wrong = np.stack([_standard(np.resize(openings[other], count)) for other in others], 1)
        best = (_windows(curve, count) @ wrong / count - doubt[:, None]).max(0)
        found.append(float((best < own[index]).mean()))
    return found
