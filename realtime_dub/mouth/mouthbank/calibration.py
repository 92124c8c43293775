"""Calibration: how each of a bank's mouths looks once it is drawn.

Lips that are hard to find, under hair, pale, small or dark, are read by what stands around them and by the picture
before. A mouth cut out at one moment may look like another one in the face of another moment; so each is drawn, in its
own shape, on a few pictures of the person, and read again. Where its lips are found there, on the average, is where
they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from realtime_dub.blend.composite import Compositor
from realtime_dub.face.types import Face, FaceTracker, TrackedFrame
from realtime_dub.flow import Spread, Worker
from realtime_dub.media import NS, Frame, Image
from realtime_dub.mouth.fade import TURNED, turned_deg
from realtime_dub.mouth.mouthbank.bank import Bank, Mouth, lip_shape
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening
from realtime_dub.mouth.mouthbank.render import Renderer

T = TypeVar("T")
_Lips = npt.NDArray[np.float32]  # (40, 3) mouth widths
_Drawn = tuple[int | None, Image | None]  # the mouth's number, None for the picture itself; None where nothing is seen
PICTURES = 6
FEW, ALIKE = 3, 0.008  # readings of a mouth, mouth widths from their mean: one that is found so needs no more
SHOTS = 3  # that pictures are kept of
AHEAD = 3  # drawings that wait to be read
APART_NS = 10 * NS  # between two drawings, for the tracker: as far as that nothing is smoothed


class CalibrationFrames:
    """A few of many pictures with a face, of each of the longest shots, evenly spread over all that were shown."""

    def __init__(self, clear: Callable[[TrackedFrame], bool] = lambda tracked: True) -> None:
        """``clear``: whether a mouth is to be seen."""
        self._clear = clear
        self._of_shot: dict[int, Spread[TrackedFrame]] = {}

    def show(self, tracked: TrackedFrame) -> None:
        """One more; kept for now, or not."""
        if tracked.face is None or turned_deg(tracked.face.pose) > TURNED or not self._clear(tracked):
            return
        if tracked.shot not in self._of_shot and len(self._of_shot) > SHOTS:
            self._of_shot.pop(min(self._of_shot, key=lambda shot: self._of_shot[shot].seen))
        spread = self._of_shot.setdefault(tracked.shot, Spread(PICTURES, 2 * PICTURES))
        spread.offer(lambda: tracked)

    def chosen(self) -> list[TrackedFrame]:
        """At most ``PICTURES`` of each shot."""
        return [tracked for spread in self._of_shot.values() for tracked in spread.chosen()]


def calibrate(bank: Bank, pictures: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
    """Correct the lips of the bank's mouths by how ``tracker`` finds them drawn on ``PICTURES`` of ``pictures``.

    For n mouths and m pictures up to m (n + 1) pictures are tracked: 2 s for a full bank. What is found alike on half
    of the pictures is not looked for on the others, which halves that for a face that is easy to see. The next ones are
    drawn meanwhile, on a thread.
    """
    if bank.neutral is None:
        return
    reader, drawing = _Reader(tracker), _Drawing(bank)
    if len(pictures) > PICTURES:
        pictures = [pictures[round(place)] for place in np.linspace(0, len(pictures) - 1, PICTURES)]
    found: list[list[_Lips]] = [[] for _ in bank.mouths]
    with closing(Worker("calibration")) as worker:
        for part in (pictures[::2], pictures[1::2]):
            unsure = [index for index, shapes in enumerate(found) if not _is_sure(shapes)]
            for index, image in _ahead(worker, drawing.jobs(part, unsure)):
                face = None if image is None else reader.find(image)
                if face is not None and index is not None:
                    found[index].append(lip_shape(face.canonical, bank.neutral))
    bank.mouths[:] = [
        corrected(mouth, np.mean(shapes, 0)) if shapes else mouth
        for mouth, shapes in zip(bank.mouths, found, strict=True)
    ]


def _is_sure(shapes: Sequence[_Lips]) -> bool:
    """Whether a mouth was read often enough, and each time nearly so."""
    if len(shapes) < FEW:
        return False
    lips = np.stack(shapes)[..., :2]
    lips = lips - lips.mean(1, keepdims=True)  # the place of the mouth as a whole is not asked for
    return float(np.linalg.norm(lips - lips.mean(0), axis=-1).mean()) <= ALIKE


class _Drawing:
    """The mouths of a bank on pictures, in the order in which they are read."""

    def __init__(self, bank: Bank) -> None:
        self._bank, self._renderer, self._compositor = bank, Renderer(bank), Compositor()

    def jobs(self, pictures: Sequence[TrackedFrame], mouths: Sequence[int]) -> Iterator[Callable[[], _Drawn]]:
        """Of each picture itself, then of each of the ``mouths`` on it, by their numbers."""
        rng = np.random.default_rng(0)  # never the same mouth before another one
        for tracked in pictures if mouths else ():
            yield partial(self._draw, tracked, None)
            for index in rng.permutation(mouths):
                yield partial(self._draw, tracked, int(index))

    def _draw(self, tracked: TrackedFrame, index: int | None) -> _Drawn:
        if index is None:
            return None, tracked.frame.image
        patch = self._renderer.show(tracked, self._bank.mouths[index])
        return index, None if patch is None else self._compositor.compose(tracked, patch, 1.0)


def _ahead(worker: Worker, jobs: Iterable[Callable[[], T]]) -> Iterator[T]:
    """What ``jobs`` give, in order; those after it are done on ``worker`` meanwhile."""
    waiting: deque[Future[T]] = deque()
    for job in jobs:
        waiting.append(worker.submit(job))
        if len(waiting) > AHEAD:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def corrected(mouth: Mouth, found: npt.NDArray[np.float32]) -> Mouth:
    """``mouth`` with the lips (40, 3), mouth widths, in the shape in which they were found.

    Depth stays, and so does the place of the mouth as a whole, which is a matter of the head's pose.
    """
    own, moved = mouth.shape[:, :2], (found - mouth.shape)[:, :2]
    moved = moved - moved.mean(0)
    shape = mouth.shape.copy()
    shape[:, :2] += moved
    # The similarity from mouth widths to the crop's pixels, its turn and its size as one complex number.
    widths, pixels = ((at - at.mean(0)) @ np.array([1, 1j]) for at in (own, mouth.lips))
    turned = (np.vdot(widths, pixels) / np.vdot(widths, widths)) * (moved @ np.array([1, 1j]))
    lips = mouth.lips + np.stack([turned.real, turned.imag], 1)
    return replace(mouth, lips=lips.astype(np.float32), shape=shape, max_lip_opening=max_lip_opening(shape))


class _Reader:
    """Finds the face in single pictures."""

    def __init__(self, tracker: FaceTracker) -> None:
        self._tracker = tracker
        self._seq = 0

    def find(self, image: Image) -> Face | None:
        self._seq += 1
        return self._tracker.track(Frame(image, self._seq * APART_NS, self._seq)).face
