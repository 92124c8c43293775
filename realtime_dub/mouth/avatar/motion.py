"""What an avatar does at any instant of a voice: face, head, eyelids.

25 frames a second are made as the voice comes, each as soon as its look-ahead was heard; between them lies a straight
line. The frames do not depend on the pieces in which the voice comes. The head goes on in silence and where nothing is
heard at all: it is the same net, which hears silence then.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import SPEC, Bundle, load_shared
from realtime_dub.media import MS, NS, Floats, Samples, samples_to_ns
from realtime_dub.mouth.avatar.blinks import Blinks, with_lids
from realtime_dub.mouth.avatar.expression import FRAME_RATE, ExpressionStream
from realtime_dub.mouth.avatar.head import HeadStream
from realtime_dub.mouth.avatar.hearing import Hearing
from realtime_dub.mouth.avatar.person import PLACE, Person
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.upper import Upper
from realtime_dub.mouth.contract import VOICE_RATE, Latency

__all__ = ["EXPRESSION", "FRAME_NS", "HEAD", "AvatarMotion"]

EXPRESSION, HEAD = "expression", "head"  # folders of bundles in the avatar's
FRAME_NS = round(NS / FRAME_RATE)
KEPT = 128  # frames
PIECE = VOICE_RATE // 5  # samples that are heard at once
AWAY_NS = 10 * NS  # a voice so far from the frames begins a new time
COMPUTE_NS = 5 * MS
NEVER_NS = -(1 << 62)


class AvatarMotion:
    """One avatar following one voice. Not thread-safe; two of one folder share its nets."""

    def __init__(self, folder: Path, backend: str = AUTO, seed: int = 0, upper: Upper | None = None) -> None:
        """``upper``: brows and eyes, else they rest. Raises BundleError where the folder is no avatar's, or was made
        for another version.
        """
        self.person = Person.read(folder)
        self._hearing = Hearing(backend)
        self._expression = ExpressionStream(_part(folder, EXPRESSION), self._hearing, backend)
        self._head = HeadStream(_part(folder, HEAD), self._hearing, self.person, backend, seed)
        # A head that looks farther ahead than the mouth comes so much late: nobody sees that, but all see late lips.
        self._head_late_ns = max(0, self._head.ahead_ns - self._expression.ahead_ns)
        self._blinks = Blinks(self.person.gaps_s, self.person.lengths_s, seed)
        self._upper = upper
        self._motions = np.zeros((KEPT, len(LOWER), 3), np.float32)
        self._places = np.zeros((KEPT, PLACE), np.float32)
        self._origin_ns: int | None = None
        self._made = 0  # frames since the origin
        self._drawn = 0  # frames of the head in all

    def latency(self) -> Latency:
        """Frames are as far apart as ``FRAME_NS``: so long the newest one may be on its way."""
        front_end_ns = self._hearing.front_end_ns + self._hearing.hop_ns + FRAME_NS
        return Latency(self._expression.look_ahead_ns, front_end_ns, COMPUTE_NS)

    def hear(self, samples: Samples, at_ns: int) -> None:
        """Sound (n,), mono, 16 kHz, its first sample at ``at_ns``. A hole is heard as silence."""
        self._begin(at_ns)
        for start in range(0, len(samples), PIECE):  # what is heard first is soon forgotten
            self._hearing.hear(samples[start : start + PIECE], at_ns + samples_to_ns(start, VOICE_RATE))
            while self._next_ns() + self._expression.ahead_ns <= self._hearing.known_until_ns():
                self._step()

    def heard_until_ns(self) -> int:
        """The newest instant whose pose is known; far in the past before the first sound."""
        return NEVER_NS if self._origin_ns is None or not self._made else self._next_ns() - FRAME_NS

    def at(self, at_ns: int) -> AvatarPose:
        """The pose at an instant: the oldest that is remembered before it; behind what was heard, in silence."""
        self._begin(at_ns)
        while not self._made or self._next_ns() + FRAME_NS <= at_ns:
            self._step()
        assert self._origin_ns is not None
        newest = self._made - 1
        position = min(max((at_ns - self._origin_ns) / FRAME_NS, newest - KEPT + 1, 0), newest)
        low = int(position)
        motion, place = (_between(each, low, newest, position - low) for each in (self._motions, self._places))
        return AvatarPose(self._face(motion, at_ns), self.person.pose(place))

    def _face(self, motion: Floats, at_ns: int) -> Floats:
        assert self._origin_ns is not None
        face = self.person.neutral.copy() if self._upper is None else self.person.neutral + self._upper.at(at_ns)
        face[LOWER] += motion * self.person.width
        return with_lids(face, self.person.lids, self._blinks.closed(max(0, at_ns - self._origin_ns)))

    def _begin(self, at_ns: int) -> None:
        """Where time begins. The head goes on from where it is, the mouth from rest."""
        if self._origin_ns is not None and -AWAY_NS < at_ns - self._next_ns() < AWAY_NS:
            return
        if self._origin_ns is not None:
            self._expression.forget()
            self._blinks = Blinks(self.person.gaps_s, self.person.lengths_s, self._drawn)
        self._origin_ns, self._made = at_ns, 0

    def _next_ns(self) -> int:
        assert self._origin_ns is not None
        return self._origin_ns + self._made * FRAME_NS

    def _step(self) -> None:
        now_ns, at = self._next_ns(), self._made % KEPT
        self._motions[at] = self._expression(now_ns)
        self._places[at] = self._head(now_ns - self._head_late_ns, self._drawn)
        self._made += 1
        self._drawn += 1


def _between(frames: Floats, low: int, newest: int, part: float) -> Floats:
    """A straight line between frame ``low`` and the next of a ring."""
    high = min(low + 1, newest)
    return np.asarray(frames[low % KEPT] * np.float32(1 - part) + frames[high % KEPT] * np.float32(part))


def _part(folder: Path, name: str) -> Bundle:
    if not (folder / name / SPEC).is_file():
        way = f"train it: train-engine avatar-{name}"
        raise BundleError("not a whole avatar:", f"{folder} has no {name}/", way)
    return load_shared(folder / name)
