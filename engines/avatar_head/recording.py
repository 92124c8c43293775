"""What a recording says of a person's head and eyes: the usual pose, its range and speed, and how they blink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from engines.common import Array
from engines.common.avatar import blurred
from engines.common.dataset import Track
from engines.common.rates import STEADY_FPS
from realtime_dub.face.alignment import mouth_width
from realtime_dub.mouth.avatar.person import Person

OUTSIDE = 0.005  # share of the frames at each end that are beyond the recorded range: tracking slips
LEAST_SPREAD = np.array([0.01, 0.01, 0.01, 0.02, 0.02, 0.005])  # of a head that is held quite still
LEAST_STEP = LEAST_SPREAD / 20

# Of each eye: pairs (upper, lower) of the lids that meet in a blink, and the fold above the lid, which goes along.
LIDS = np.array(
    [
        *[(246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155)],
        *[(466, 249), (388, 390), (387, 373), (386, 374), (385, 380), (384, 381), (398, 382)],
    ]
)
FOLDS = np.array([247, 30, 29, 27, 28, 56, 190, 467, 260, 259, 257, 258, 286, 414])
EYES = np.concatenate([LIDS.ravel(), FOLDS])
SHUT = 0.6  # of the usual opening: below it an eye blinks
BEGUN = 0.85  # below it the lids move
FEWEST = 3  # blinks from which a person's own are told
USUAL_GAP_S, USUAL_LENGTH_S = 4.0, 0.25
LONGEST_S = 0.6  # eyes that are shut for longer do not blink
NOT_UNDER_S = 0.12


@dataclass(frozen=True, eq=False)
class Blinking:
    """How a person blinks."""

    lids: Array  # (478, 3) from open eyes to shut ones, template units
    lengths_s: Array
    per_minute: float
    seen: int


def person_of(tracks: Sequence[Track], neutral: Array) -> tuple[Person, Blinking]:
    """Of the tracks of one person, whose resting face is ``neutral`` (478, 3) in template units."""
    poses = [np.concatenate([getattr(track, name) for track in tracks]) for name in ("rotation", "scale", "shift")]
    rotation, scale, shift = poses
    blinking = blinking_of(tracks, neutral)
    zeros, ones = np.zeros(6, np.float32), np.ones(6, np.float32)
    usual = Person(
        neutral=neutral,
        width=np.float32(mouth_width(neutral)),
        rotation=_mean_rotation(rotation),
        scale=np.float32(np.median(scale)),
        shift=np.median(shift, axis=0).astype(np.float32),
        low=zeros,
        high=zeros,
        spread=ones,
        step=ones,
        temperature=ones,
        lids=blinking.lids,
        gaps_s=gaps(blinking.per_minute),
        lengths_s=blinking.lengths_s,
    )
    return _ranged(usual, places_of(usual, tracks)), blinking


def places_of(person: Person, tracks: Sequence[Track]) -> list[Array]:
    """The head's place (T, 6) in each track, what trembles taken out."""
    return [blurred(person.places(track.rotation, track.scale, track.shift)) for track in tracks]


def _ranged(person: Person, places: list[Array]) -> Person:
    every = np.concatenate(places)
    steps = np.concatenate([np.diff(each, axis=0) for each in places])
    low, high = np.quantile(every, [OUTSIDE, 1 - OUTSIDE], axis=0).astype(np.float32)
    spread = np.maximum(every.std(0), LEAST_SPREAD).astype(np.float32)
    step = np.maximum(steps.std(0), LEAST_STEP).astype(np.float32)
    return replace(person, low=low, high=high, spread=spread, step=step)


def _mean_rotation(rotations: Array) -> Array:
    u, _, vt = np.linalg.svd(rotations.mean(0))
    u[:, 2] *= np.sign(np.linalg.det(u @ vt))
    return (u @ vt).astype(np.float32)


def eye_opening(canonical: Array) -> Array:
    """How far both eyes are open (T,), template units: the mean distance of lids that meet."""
    gap = canonical[:, LIDS[:, 1], 1] - canonical[:, LIDS[:, 0], 1]
    return np.asarray(gap.mean(1))


def blinking_of(tracks: Sequence[Track], neutral: Array) -> Blinking:
    """How a person blinks; as people do, where fewer than ``FEWEST`` blinks were seen."""
    opened = [eye_opening(track.canonical) for track in tracks]
    usual = float(np.median(np.concatenate(opened)))
    moves, lengths = [], []
    for track, each in zip(tracks, opened, strict=True):
        for first, last in spans(each < BEGUN * usual):
            deepest = first + int(each[first:last].argmin())
            whole = first > 0 and last < len(each) and (last - first) / STEADY_FPS <= LONGEST_S
            if whole and each[deepest] < SHUT * usual:
                moves.append(track.canonical[deepest] - (track.canonical[first - 1] + track.canonical[last]) / 2)
                lengths.append(max(NOT_UNDER_S, (last - first + 1) / STEADY_FPS))
    seconds = sum(len(each) for each in opened) / STEADY_FPS
    if len(moves) < FEWEST:
        return Blinking(drawn_lids(neutral), np.array([USUAL_LENGTH_S], np.float32), 60 / USUAL_GAP_S, len(moves))
    lids = np.zeros_like(neutral)
    lids[EYES] = deepest_half(np.stack(moves)[:, EYES])
    return Blinking(lids, np.array(lengths, np.float32), 60 * len(moves) / seconds, len(moves))


def deepest_half(moves: Array) -> Array:
    """The mean of those moves (n, points, 3) that shut the eye most: at 25 frames a second many are caught half-way."""
    far = moves[:, : len(LIDS) * 2 : 2, 1].mean(1)
    return np.asarray(moves[far >= np.median(far)].mean(0), np.float32)


def drawn_lids(neutral: Array) -> Array:
    """Of a face whose blinks nobody saw: the upper lid goes down to the lower one, the fold half as far."""
    lids = np.zeros_like(neutral)
    upper, lower = LIDS.T
    lids[upper] = 0.9 * (neutral[lower] - neutral[upper])
    lids[FOLDS] = 0.5 * lids[upper]
    return np.asarray(lids, np.float32)


def gaps(per_minute: float) -> Array:
    """Times (n,) from blink to blink, s: a gamma distribution of shape 2, as often as recorded.

    A track is often too short to hold two blinks; so their number is recorded, not how they follow each other.
    """
    drawn = np.sort(np.random.default_rng(0).gamma(2.0, 1.0, 2000))[20::40]
    return np.maximum(0.4, drawn / drawn.mean() * 60 / max(per_minute, 2.0)).astype(np.float32)


def spans(true: Array) -> list[tuple[int, int]]:
    """Where (n,) is true without a break: first, and behind the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], true.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]
