"""Faces of people, and the moments of a voice that belong to them.

A face waits until its voice has been heard, and until it is known how much later than that it was seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from realtime_dub.face.landmarks import mean_lip_opening
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.mouth.mouthbank.lateness import LATE_NS, MOST_NS, Lateness
from realtime_dub.mouth.mouthbank.motion import Motion, MotionStream
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.style import Style

SPEAKS = 0.5  # probability of speech from which a frame is learnt from
SMILES = 0.03  # mouth widths that an expression moves any point by: such a frame is not learnt from
TURNED_DEG = 30.0  # a face turned further is not learnt from
WAITING = 1_000  # faces that wait at most: 20 s of 50 a second
MOST_AT_ONCE = 25  # that are compared: a millisecond


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A face to learn from; its image is not kept. ``style``: of the person, against the voice."""

    person: Person
    canonical: Points  # (478, 3)
    style: Style
    at_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A moment in which a person may have spoken with their own voice."""

    person: Person
    canonical: Points  # (478, 3)
    motion: Motion
    style: Style  # the person's measure, against that voice
    place: float | None = None  # of its instant on the tape, where there is one
    late_ns: int = 0  # by how much the face was seen later than it spoke,
    sure: bool = True  # as far as is known


class Pairing:
    """Of the faces of a picture with one voice, whose ``motion`` remembers for how long a face may wait."""

    def __init__(self, motion: MotionStream) -> None:
        self.lateness = Lateness()
        self._motion = motion
        self._unheard: deque[Seen] = deque(maxlen=WAITING)  # what comes MOST_NS later was not heard yet
        self._heard: deque[Seen] = deque(maxlen=WAITING)

    def show(self, person: Person, tracked: TrackedFrame, style: Style) -> None:
        """A frame of the person, in order."""
        if (canonical := face_to_learn(person, tracked)) is not None:
            self._unheard.append(Seen(person, canonical, style, tracked.frame.pts_ns))

    def lessons(self) -> Iterator[Lesson]:
        """What there is to learn by now, once it is sure how late mouths are seen; what is not taken comes later."""
        self._compare(min(len(self._unheard), MOST_AT_ONCE))
        self._forget_old()
        if self.lateness.ns is None and not self.lateness.unsure:
            return iter(())
        return self._paired(self.lateness.ns)

    def last_lessons(self) -> Iterator[Lesson]:
        """No more comes: what is likely is sure enough."""
        self._compare(len(self._unheard))
        self._forget_old()
        return self._paired(self.lateness.likely_ns())

    def forget(self) -> None:
        """Who waits is not there any more. How late pictures come is known still: it is the camera's."""
        self._unheard.clear()
        self._heard.clear()

    def _compare(self, most: int) -> None:
        """The openings of so many faces, where their voice was heard on all sides."""
        heard_ns = self._motion.heard_until_ns() - MOST_NS
        for _ in range(most):
            if self._unheard[0].at_ns > heard_ns:
                return
            seen = self._unheard.popleft()
            if seen.at_ns < self._oldest_ns():
                continue  # its voice was another stream's, or is forgotten
            opened, speech = self._motion.openings(seen.at_ns - LATE_NS)
            if speech.max() >= SPEAKS:
                self._heard.append(seen)
                self.lateness.see(seen.at_ns, float(mean_lip_opening(seen.canonical)), opened)

    def _forget_old(self) -> None:
        oldest_ns = self._oldest_ns()
        while self._heard and self._heard[0].at_ns < oldest_ns:
            self._heard.popleft()

    def _oldest_ns(self) -> int:
        """Of a face whose voice is remembered, however late it was seen."""
        return self._motion.remembered_from_ns() + MOST_NS

    def _paired(self, late_ns: int | None) -> Iterator[Lesson]:
        """None: in step, unsurely."""
        late, sure = late_ns or 0, late_ns is not None
        while self._heard:
            seen = self._heard.popleft()
            if teaches(motion := self._motion.at(seen.at_ns - late)):
                place = self._motion.tape_place(seen.at_ns - late)
                yield Lesson(seen.person, seen.canonical, motion, seen.style, place, late, sure)


def teaches(motion: Motion) -> bool:
    """There is speech in it, and what the net made of it can be told."""
    return motion.features is not None and motion.speech >= SPEAKS and motion.plausible


def face_to_learn(person: Person, tracked: TrackedFrame) -> Points | None:
    """The canonical face (478, 3), where it is one to learn from. Frames of a person come in order."""
    face = tracked.face
    if face is None or abs(face.pose.yaw_deg) > TURNED_DEG or tracked.frame.still:
        return None
    if np.abs(person.expression.kept(tracked, person.bank)).max() > SMILES:
        return None  # it would be learnt as a way of talking, and kept a second time
    return face.canonical
