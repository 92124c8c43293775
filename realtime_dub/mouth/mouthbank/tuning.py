"""Fine-tuning: some seconds of gradients through the trunk of a motion net, for one person's way of talking.

A last layer (``adapter.py``) learns most of what a minute can teach, at once and while somebody talks. The whole trunk
learns on where that layer has learnt out: ten minutes of a stranger bring the net nearly to where training on that
person would (``engines/mouthbank/README.md``). Adam (Kingma and Ba 2015), gradients by hand: no PyTorch is installed
where people enrol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import LIPS, OPENING
from realtime_dub.face.types import Points
from realtime_dub.media import Floats
from realtime_dub.mouth.contract import Progress
from realtime_dub.mouth.mouthbank import bank_shapes
from realtime_dub.mouth.mouthbank.adapter import FULL_TRUST, lips_missed
from realtime_dub.mouth.mouthbank.trunk import MOST_CHANGE, TAPS, Trunk, TrunkStream
from realtime_dub.mouth.mouthbank.trunk_gradients import Forward

LEAST_LESSONS = 400  # below, a last layer knows as much
LESSONS_A_STEP, LEAST_STEPS, MOST_STEPS = 10, 60, 600
ROWS, LENGTH = 4, 130  # of a batch; computed frames of 20 ms
RATE, WARM_UP, LAST_RATE, MOST_GRADIENT = 5e-4, 20, 0.1, 1.0
NEXT = 2.6  # computed frames within which the next lesson is the next frame's, from 20 per second on
DETAIL_DROPOUT = 0.3  # of rows, what the speech net tells beside sounds
BLOCK, EVERY = 75, 5  # lessons that belong together; of five blocks, one judges
ALL_STEPS = 0.25  # as many steps again with what has judged
EVEN = 700  # lessons from which a trunk and a last layer foretell equally well; with more of them, the trunk is better
LIPS_WEIGHT, DEPTH_WEIGHT = 3.0, 0.5  # of points in the loss, as in training
HUBER = 0.5
MOST_TUNED = 4  # in a bank
_LIPS_AT, _PAIRS_AT = np.searchsorted(LOWER, LIPS), np.searchsorted(LOWER, OPENING)
_FIRST_BETA, _SECOND_BETA, _TINY = 0.9, 0.999, 1e-8

Arrays = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Tuned:
    """What a trunk's weights were changed by (size,), from how many lessons, and how far it is believed, 0..1."""

    change: npt.NDArray[np.float16]
    frames: int
    trust: float

    @property
    def share(self) -> float:
        """Of what it moves a mouth by, beside a last layer that learnt from the same lessons."""
        return self.trust * self.frames / (self.frames + EVEN)

    def arrays(self, net: str) -> Arrays:
        """For a bank's file."""
        numbers = np.array([self.frames, self.trust])
        return {"tunednet": np.frombuffer(net.encode(), np.uint8), "tuned": self.change, "tunednumbers": numbers}

    @classmethod
    def of(cls, change: npt.NDArray[np.generic], numbers: npt.NDArray[np.generic]) -> Tuned:
        """What :meth:`arrays` gave. Raises ValueError for what it cannot have given."""
        if change.ndim != 1 or change.dtype != np.float16:
            raise ValueError("a net's change is no row of numbers")
        bank_shapes.numbers(change, change.shape, MOST_CHANGE)
        frames, trust = bank_shapes.numbers(numbers, (2,), 1e9)
        return cls(np.asarray(change, np.float16), max(0, int(frames)), float(np.clip(trust, 0, 1)))


def read_tuned(arrays: np.lib.npyio.NpzFile) -> dict[str, Tuned]:
    """Raises ValueError, and KeyError where a part is missing."""
    nets = bank_shapes.names(arrays, "tunednet", MOST_TUNED)
    return {net: Tuned.of(arrays[f"tuned{i}"], arrays[f"tunednumbers{i}"]) for i, net in enumerate(nets)}


class Tape:
    """What was told of every computed frame of a voice, as it came; ``breaks``: where a stream began anew."""

    def __init__(self) -> None:
        self._rows: list[Floats] = []
        self.length = 0
        self.breaks: list[int] = []

    def begin(self) -> None:
        self.breaks.append(self.length)

    def add(self, told: Floats) -> None:
        """(n, inputs)."""
        self._rows.append(told.astype(np.float16))  # half the room
        self.length += len(told)

    def told(self) -> Floats:
        return np.concatenate(self._rows).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Lessons:
    """``at`` (n,): places on the tape, ascending; ``wanted`` (n, components): what should be said there."""

    at: npt.NDArray[np.float64]
    wanted: Floats

    def some(self, which: npt.NDArray[np.bool_]) -> Lessons:
        return Lessons(self.at[which], self.wanted[which])


def tune(
    trunk: Trunk,
    tape: Tape,
    at: npt.NDArray[np.float64],
    missed: Points,
    seed: int = 0,
    progress: Progress | None = None,
) -> Tuned | None:
    """``missed`` (n, len(LOWER), 3): a person's mouth less the net's at places ``at`` (n,) of the tape, mouth widths.

    None where there is too little to learn from, or where what was learnt does not hold for what was not shown.
    """
    if len(at) < LEAST_LESSONS:
        return None
    told, loss = tape.told(), Loss(trunk.basis)
    said = _along(told, tape.breaks, trunk)
    lessons = Lessons(at, _between(said, at) + loss.coefficients(missed))
    judging = np.arange(len(at)) // BLOCK % EVERY == EVERY - 1
    steps = int(np.clip(len(at) // LESSONS_A_STEP, LEAST_STEPS, MOST_STEPS))
    more = round(ALL_STEPS * steps)
    training = Training(trunk, loss, told, tape.breaks, seed)
    training.progress = None if progress is None else lambda done: progress(done, steps + more)
    training.run(lessons.some(~judging), steps, RATE)
    moved = (_between(_along(told, tape.breaks, training.trunk) - said, at[judging])) @ trunk.basis
    error, before = missed[judging] - moved.reshape(-1, len(LOWER), 3), missed[judging]
    gained = 1 - lips_missed(error) / max(lips_missed(before), 1e-6)
    if gained <= 0:
        return None
    training.run(lessons, more, RATE * LAST_RATE)
    change = np.clip(training.trunk.flat - trunk.flat, -MOST_CHANGE, MOST_CHANGE)
    return Tuned(change.astype(np.float16), len(at), float(np.clip(gained / FULL_TRUST, 0, 1)))


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
    """A trunk that learns from what was ``told`` (n, inputs)."""

    def __init__(self, trunk: Trunk, loss: Loss, told: Floats, breaks: list[int], seed: int) -> None:
        self.trunk = trunk.changed(np.zeros(trunk.shape.size, np.float32))
        self._loss, self._told = loss, told
        self._rng = np.random.default_rng(seed)
        self._gradient = np.zeros(trunk.shape.size, np.float32)
        self._mean, self._square = np.zeros_like(self._gradient), np.zeros_like(self._gradient)
        self._steps = 0
        self.progress: Callable[[int], None] | None = None  # how many steps were made
        self._reach = (TAPS - 1) * (1 + sum(trunk.shape.dilations))  # frames of which the first ones know nothing
        pairs = pairwise([*breaks, len(told)])
        self._starts = np.concatenate([np.arange(first, max(first + 1, end - LENGTH)) for first, end in pairs])

    def run(self, lessons: Lessons, steps: int, rate: float) -> None:
        for step in range(steps):
            begins = self._rng.choice(self._starts, ROWS)
            if self._backward(begins, lessons):
                warm = min(1.0, (self._steps + 1) / WARM_UP)
                self._adam(rate * warm * (1 - (1 - LAST_RATE) * step / steps))
            if self.progress is not None:
                self.progress(self._steps)

    def _backward(self, begins: npt.NDArray[np.int_], lessons: Lessons) -> bool:
        """Fills the gradient; False where no lesson lies in the rows."""
        length = min(LENGTH, len(self._told))
        inputs = np.stack([self._told[first : first + length] for first in begins])
        details = self.trunk.shape.details
        if details:
            inputs[..., -details:] *= self._rng.random((len(inputs), 1, 1)) >= DETAIL_DROPOUT
        forward = Forward(self.trunk, inputs, self._rng)
        edges = np.searchsorted(lessons.at, np.stack([begins + self._reach, begins + length - 1], 1))
        row = np.repeat(np.arange(len(begins)), edges[:, 1] - edges[:, 0])
        if not len(row):
            return False
        lesson = np.concatenate([np.arange(low, high) for low, high in edges])
        place = lessons.at[lesson] - begins[row]
        before = place.astype(int)
        part = (place - before).astype(np.float32)[:, None]
        said = forward.said[row, before] * (1 - part) + forward.said[row, before + 1] * part
        goes_on = np.flatnonzero((np.diff(lesson) == 1) & (np.diff(place) < NEXT) & (np.diff(row) == 0))
        slope = self._loss(said, lessons.wanted[lesson], goes_on)[1]
        back = np.zeros_like(forward.said)
        np.add.at(back, (row, before), slope * (1 - part))
        np.add.at(back, (row, before + 1), slope * part)
        forward.backward(back, self.trunk.shape.views(self._gradient))
        return True

    def _adam(self, rate: float) -> None:
        self._steps += 1
        gradient = self._gradient
        norm = float(np.sqrt(np.dot(gradient, gradient)))
        gradient *= np.float32(min(1.0, MOST_GRADIENT / (norm + 1e-6)))
        self._mean += np.float32(1 - _FIRST_BETA) * (gradient - self._mean)
        self._square += np.float32(1 - _SECOND_BETA) * (gradient * gradient - self._square)
        spread = np.sqrt(self._square * np.float32(1 / (1 - _SECOND_BETA**self._steps))) + np.float32(_TINY)
        self.trunk.flat -= np.float32(rate / (1 - _FIRST_BETA**self._steps)) * self._mean / spread


def _huber(error: Floats) -> tuple[Floats, Floats]:
    """Squares near nothing, as far as ``HUBER``; and its slope."""
    size = np.abs(error)
    value = np.where(size < HUBER, error * error / np.float32(2 * HUBER), size - np.float32(HUBER / 2))
    return value, np.clip(error / np.float32(HUBER), -1, 1)


def _along(told: Floats, breaks: list[int], trunk: Trunk) -> Floats:
    """Coefficients (n, k) at every place of a tape."""
    said = np.zeros((len(told), trunk.shape.components), np.float32)
    for first, end in pairwise([*breaks, len(told)]):
        stream = TrunkStream(trunk)
        for start in range(first, end, 1_000):
            said[start : min(start + 1_000, end)] = stream.run(told[start : min(start + 1_000, end)])
    return said


def _between(said: Floats, at: npt.NDArray[np.float64]) -> Floats:
    """Rows of ``said`` at places between them."""
    low = np.clip(at.astype(int), 0, len(said) - 1)
    part = (at - low).astype(np.float32)[:, None]
    return np.asarray(said[low] * (1 - part) + said[np.minimum(low + 1, len(said) - 1)] * part, np.float32)
