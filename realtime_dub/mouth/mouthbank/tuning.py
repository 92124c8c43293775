"""Fine-tuning: some seconds of gradients through the trunk of a motion net, for one person's way of talking.

A last layer (``adapter.py``) learns most of what a minute can teach, at once and while somebody talks. The whole trunk
learns on where that layer has learnt out: ten minutes of a stranger bring the net nearly to where training on that
person would (``engines/mouthbank/README.md``). Gradients by hand: no PyTorch is installed where people enrol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from realtime_dub.face.types import Points
from realtime_dub.media import Floats
from realtime_dub.mouth.contract import Progress
from realtime_dub.mouth.mouthbank import bank_shapes
from realtime_dub.mouth.mouthbank.adapter import FULL_TRUST, lips_missed
from realtime_dub.mouth.mouthbank.trunk import MOST_CHANGE, Trunk, TrunkStream
from realtime_dub.mouth.mouthbank.tuning_steps import LAST_RATE, RATE, Lessons, Loss, Training

LEAST_LESSONS = 400  # below, a last layer knows as much
LESSONS_A_STEP, LEAST_STEPS, MOST_STEPS = 10, 60, 600
USUAL, LEAST_WORTH, MOST_WORTH = 2.0, 0.25, 2.0  # computed frames from a lesson to the next one, 25 a second
BLOCK, EVERY = 75, 5  # lessons that belong together; of five blocks, one judges
ALL_STEPS = 0.25  # as many steps again with what has judged
EVEN = 700  # lessons from which a trunk and a last layer foretell equally well; with more of them, the trunk is better
MOST_TUNED = 4  # in a bank

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

    def matches(self, other: Tape) -> bool:
        """Whether both were told of the same voice, piece by piece."""
        return (self.length, self.breaks) == (other.length, other.breaks)

    def told(self) -> Floats:
        return np.concatenate(self._rows).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Pupil:
    """A trunk, and by how much it ``missed`` (n, len(LOWER), 3) a person's mouth at places ``at`` (n,) of a tape.

    Places rise; mouth widths.
    """

    trunk: Trunk
    at: npt.NDArray[np.float64]
    missed: Points

    @property
    def frames(self) -> int:
        """For how many of 25 a second the lessons stand: with every other frame one knows hardly less."""
        if len(self.at) < 2:
            return len(self.at)
        return round(len(self.at) * float(np.clip(np.median(np.diff(self.at)) / USUAL, LEAST_WORTH, MOST_WORTH)))

    @property
    def judging(self) -> npt.NDArray[np.bool_]:
        """Lessons that judge (n,), and teach only then."""
        block = max(1, BLOCK * len(self.at) // max(1, self.frames))
        return np.asarray(np.arange(len(self.at)) // block % EVERY == EVERY - 1, bool)


def have_one_body(trunks: Sequence[Trunk]) -> bool:
    """Whether they differ in their heads alone, so that they can be tuned together."""
    first, *others = trunks
    body = first.shape.body
    return all(
        each.shape == first.shape
        and np.array_equal(each.flat[:body], first.flat[:body])
        and np.array_equal(each.basis, first.basis)
        for each in others
    )


def tune(pupils: Sequence[Pupil], tape: Tape, seed: int = 0, progress: Progress | None = None) -> list[Tuned | None]:
    """Trunks with one body, which have heard one ``tape``, by what one person taught; in half the time of each apart.

    None for each that has too little to learn from, or has learnt what does not hold for what was not shown.
    """
    pupils_all, pupils = pupils, [each for each in pupils if each.frames >= LEAST_LESSONS]
    if not pupils:
        return [None] * len(pupils_all)
    told, loss = tape.told(), Loss(pupils[0].trunk.basis)
    said = [_along(told, tape.breaks, each.trunk) for each in pupils]
    lessons = [
        Lessons(each.at, _between(own, each.at) + loss.coefficients(each.missed))
        for each, own in zip(pupils, said, strict=True)
    ]
    steps = int(np.clip(max(each.frames for each in pupils) // LESSONS_A_STEP, LEAST_STEPS, MOST_STEPS))
    more = round(ALL_STEPS * steps)
    training = Training([each.trunk for each in pupils], loss, told, tape.breaks, seed)
    training.progress = None if progress is None else lambda done: progress(done, steps + more)
    shown = [own.some(~each.judging) for each, own in zip(pupils, lessons, strict=True)]
    training.run(shown, steps, RATE)
    tuned = [_along(told, tape.breaks, each) for each in training.trunks]
    gained = [_gained(each, now - own) for each, own, now in zip(pupils, said, tuned, strict=True)]
    if max(gained) > 0:
        training.run(lessons, more, RATE * LAST_RATE)
    known = {id(each): _tuned(each, now, own) for each, now, own in zip(pupils, training.trunks, gained, strict=True)}
    return [known.get(id(each)) for each in pupils_all]


def _gained(pupil: Pupil, moved: Floats) -> float:
    """The share of what was missed that is missed no more, where coefficients ``moved`` (length, k)."""
    judging = pupil.judging
    missed = pupil.missed[judging]
    error = missed - (_between(moved, pupil.at[judging]) @ pupil.trunk.basis).reshape(missed.shape)
    return 1 - lips_missed(error) / max(lips_missed(missed), 1e-6)


def _tuned(pupil: Pupil, now: Trunk, gained: float) -> Tuned | None:
    """None for what does not hold."""
    if gained <= 0:
        return None
    change = np.clip(now.flat - pupil.trunk.flat, -MOST_CHANGE, MOST_CHANGE)
    return Tuned(change.astype(np.float16), pupil.frames, float(np.clip(gained / FULL_TRUST, 0, 1)))


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
