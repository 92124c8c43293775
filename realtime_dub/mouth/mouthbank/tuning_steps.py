"""The steps of a fine-tuning: a loss of mouths as training has it, and Adam (Kingma and Ba 2015), by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS, OPENING
from realtime_dub.face.types import Points
from realtime_dub.media import Floats
from realtime_dub.mouth.mouthbank.trunk import TAPS, Trunk
from realtime_dub.mouth.mouthbank.trunk_gradients import Forward

ROWS, LENGTH = 4, 130  # of a batch; computed frames of 20 ms
HALVES = 2  # of a batch, on a thread each
RATE, WARM_UP, LAST_RATE, MOST_GRADIENT = 5e-4, 20, 0.1, 1.0
NEXT = 2.6  # computed frames within which the next lesson is the next frame's, from 20 per second on
DETAIL_DROPOUT = 0.3  # of rows, what the speech net tells beside sounds
LIPS_WEIGHT, DEPTH_WEIGHT = 3.0, 0.5  # of points in the loss, as in training
HUBER = 0.5
_LIPS_AT, _PAIRS_AT = np.searchsorted(LOWER, LIPS), np.searchsorted(LOWER, OPENING)
_FIRST_BETA, _SECOND_BETA, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True, eq=False)
class Lessons:
    """``at`` (n,): places on the tape, ascending; ``wanted`` (n, components): what should be said there."""

    at: npt.NDArray[np.float64]
    wanted: Floats

    def some(self, which: npt.NDArray[np.bool_]) -> Lessons:
        return Lessons(self.at[which], self.wanted[which])


class Loss:
    """How far coefficients (n, k) are from what was wanted: points, lips, their opening and how they move on."""

    def __init__(self, basis: Floats) -> None:
        count = len(basis)
        points = basis.reshape(count, -1, 3)
        weights = np.ones(points.shape[1:])
        weights[_LIPS_AT] = LIPS_WEIGHT
        weights[:, 2] *= DEPTH_WEIGHT
        weighted = basis * weights.reshape(-1)
        self._analysis = (weights.reshape(-1)[:, None] * np.linalg.pinv(weighted)).astype(np.float32)
        spread = np.sqrt((weighted**2).sum(1))
        self._spread = (spread / spread[0]).astype(np.float32)
        lips = points[:, _LIPS_AT, :2].reshape(count, -1)
        self._lips = (lips / np.sqrt((lips**2).sum(0).mean())).astype(np.float32)
        gaps = (points[:, _PAIRS_AT[:, 1], 1] - points[:, _PAIRS_AT[:, 0], 1]).mean(1)
        self._gaps = (gaps / np.sqrt((gaps**2).sum())).astype(np.float32)

    def coefficients(self, motion: Points) -> Floats:
        """Motion (n, len(LOWER), 3) in the basis (n, k)."""
        return np.asarray(motion.reshape(len(motion), -1) @ self._analysis, np.float32)

    def __call__(self, said: Floats, wanted: Floats, goes_on: npt.NDArray[np.int_]) -> tuple[float, Floats]:
        """The loss, and its slope by ``said`` (n, k). ``goes_on``: after which of them the next is the next frame's."""
        error, count = said - wanted, np.float32(len(said))
        value, slope = _huber(error * self._spread)
        total, back = 0.5 * value.sum() / count, np.float32(0.5) * slope * self._spread / count
        value, slope = _huber(error @ self._lips)
        total, back = total + value.mean(), back + slope @ self._lips.T / np.float32(slope.size)
        contact = 1 / (1 + np.exp(4 * (wanted @ self._gaps) + 0.5))  # a contact missed is seen at once
        weight = np.asarray((0.5 + 2 * contact) / count, np.float32)
        value, slope = _huber(error @ self._gaps)
        total, back = total + (value * weight).sum(), back + (slope * weight)[:, None] * self._gaps
        if len(goes_on):
            value, slope = _huber((error[goes_on + 1] - error[goes_on]) @ self._lips)
            total, step = total + 0.5 * value.mean(), np.float32(0.5 / slope.size) * slope @ self._lips.T
            back[goes_on + 1] += step
            back[goes_on] -= step
        return float(total), np.asarray(back, np.float32)


class Training:
    """Trunks with one body that learn from what was ``told`` (n, inputs)."""

    def __init__(self, trunks: Sequence[Trunk], loss: Loss, told: Floats, breaks: list[int], seed: int) -> None:
        self._loss, self._told = loss, told
        self._first, self._shape = trunks[0], trunks[0].shape
        body = self._shape.body
        self._flat = np.concatenate([trunks[0].flat[:body], *(each.flat[body:] for each in trunks)])
        self._gradients = np.zeros((HALVES, len(self._flat)), np.float32)
        self._weights, *self._slopes = (
            [self._shape.views(flat, head) for head in range(len(trunks))] for flat in (self._flat, *self._gradients)
        )
        self._gradient = self._gradients[0]
        self._rng, *self._rngs = (np.random.default_rng([seed, k]) for k in range(1 + HALVES))
        self._mean, self._square = np.zeros_like(self._gradient), np.zeros_like(self._gradient)
        self._steps = 0
        self.progress: Callable[[int], None] | None = None  # how many steps were made
        self._reach = (TAPS - 1) * (1 + sum(self._shape.dilations))  # frames of which the first ones know nothing
        pairs = pairwise([*breaks, len(told)])
        self._starts = np.concatenate([np.arange(first, max(first + 1, end - LENGTH)) for first, end in pairs])

    @property
    def trunks(self) -> list[Trunk]:
        """As they are now."""
        size, body = self._shape.size, self._shape.body
        heads = np.split(self._flat[body:], range(size - body, len(self._flat) - body, size - body))
        flats = [np.concatenate([self._flat[:body], head]) for head in heads]
        return [Trunk(self._shape, flat, self._first.basis) for flat in flats]

    def run(self, lessons: Sequence[Lessons], steps: int, rate: float) -> None:
        """``lessons``: of each trunk."""
        starts = self._with_lessons(lessons)
        with ThreadPoolExecutor(HALVES, "tuning") as pool:
            for step in range(steps):
                begins = self._rng.choice(starts, ROWS)
                if self._backward(begins, lessons, pool):
                    warm = min(1.0, (self._steps + 1) / WARM_UP)
                    self._adam(rate * warm * (1 - (1 - LAST_RATE) * step / steps))
                if self.progress is not None:
                    self.progress(self._steps)

    def _with_lessons(self, lessons: Sequence[Lessons]) -> npt.NDArray[np.int_]:
        """Where rows may begin: in long silence, or while others speak, there is nothing to learn."""
        low, high = self._starts + self._reach, self._starts + self._length - 1
        taught = [np.searchsorted(each.at, high) > np.searchsorted(each.at, low) for each in lessons]
        some = np.logical_or.reduce(taught)
        return np.asarray(self._starts[some] if some.any() else self._starts)

    @property
    def _length(self) -> int:
        """Of a row."""
        return min(LENGTH, len(self._told))

    def _backward(self, begins: npt.NDArray[np.int_], lessons: Sequence[Lessons], pool: Executor) -> bool:
        """Fills the gradient, a half of the rows on each thread; False where no lesson lies in them."""
        inputs = np.stack([self._told[first : first + self._length] for first in begins])
        details = self._shape.details
        if details:
            inputs[..., -details:] *= self._rng.random((len(inputs), 1, 1)) >= DETAIL_DROPOUT
        forwards = list(pool.map(self._forward, np.array_split(inputs, HALVES), self._rngs))
        said = [np.concatenate(parts) for parts in zip(*(each.said for each in forwards), strict=True)]
        slopes = [self._slope(each, begins, own) for each, own in zip(said, lessons, strict=True)]
        if not any(taught for _, taught in slopes):
            return False
        halves = zip(*(np.array_split(slope, HALVES) for slope, _ in slopes), strict=True)
        list(pool.map(Forward.backward, forwards, halves, self._slopes))
        for other in self._gradients[1:]:
            self._gradient += other
        return True

    def _forward(self, inputs: Floats, rng: np.random.Generator) -> Forward:
        return Forward(self._shape, self._weights, inputs, rng)

    def _slope(self, said: Floats, begins: npt.NDArray[np.int_], lessons: Lessons) -> tuple[Floats, bool]:
        """Of the loss by what rows from ``begins`` on have ``said`` (rows, length, k); whether any has lessons."""
        back = np.zeros_like(said)
        edges = np.searchsorted(lessons.at, np.stack([begins + self._reach, begins + said.shape[1] - 1], 1))
        row = np.repeat(np.arange(len(begins)), edges[:, 1] - edges[:, 0])
        if not len(row):
            return back, False
        lesson = np.concatenate([np.arange(low, high) for low, high in edges])
        place = lessons.at[lesson] - begins[row]
        before = place.astype(int)
        part = (place - before).astype(np.float32)[:, None]
        between = said[row, before] * (1 - part) + said[row, before + 1] * part
        goes_on = np.flatnonzero((np.diff(lesson) == 1) & (np.diff(place) < NEXT) & (np.diff(row) == 0))
        slope = self._loss(between, lessons.wanted[lesson], goes_on)[1]
        np.add.at(back, (row, before), slope * (1 - part))
        np.add.at(back, (row, before + 1), slope * part)
        return back, True

    def _adam(self, rate: float) -> None:
        self._steps += 1
        gradient = self._gradient
        norm = float(np.sqrt(np.dot(gradient, gradient)))
        gradient *= np.float32(min(1.0, MOST_GRADIENT / (norm + 1e-6)))
        self._mean += np.float32(1 - _FIRST_BETA) * (gradient - self._mean)
        self._square += np.float32(1 - _SECOND_BETA) * (gradient * gradient - self._square)
        spread = np.sqrt(self._square * np.float32(1 / (1 - _SECOND_BETA**self._steps))) + np.float32(_TINY)
        self._flat -= np.float32(rate / (1 - _FIRST_BETA**self._steps)) * self._mean / spread


def _huber(error: Floats) -> tuple[Floats, Floats]:
    """Squares near nothing, as far as ``HUBER``; and its slope."""
    size = np.abs(error)
    value = np.where(size < HUBER, error * error / np.float32(2 * HUBER), size - np.float32(HUBER / 2))
    return value, np.clip(error / np.float32(HUBER), -1, 1)
