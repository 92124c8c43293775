"""Learning how a person talks while they speak with their own voice, and telling whether they do.

Another's voice, a narrator's or an interpreter's, must not be learnt from: while mouth and voice belong together, the
mouth opens when the net opens it for that voice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.media import NS, Samples
from realtime_dub.mouth.mouthbank.motion import FEATURES, Motion, MotionStream, opening
from realtime_dub.mouth.mouthbank.people import Person

SPEAKS = 0.5  # probability of speech from which a frame is learnt from
WINDOW = 200  # frames of speech that agreement is told by: 8 s at 25 per second
LEAST = 50  # of them before anything is believed
AGREES = 0.35  # r of the two openings; a stranger's own voice has 0.5 to 0.9, another's within 0.2 of nothing
WAITING = 250  # frames that wait for the sound they belong to
REMEMBERED_NS = 2 * NS  # of sound behind a frame, in which its motion is still known
MOST_LESSONS = 6_000  # four minutes of speech at 25 per second
SMILES = 0.03  # mouth widths that an expression moves any point by: such a frame is not learnt from
TURNED_DEG = 30.0  # a face turned further is not learnt from


class Agreement:
    """Whether a mouth and a voice belong together, from the openings that were seen and those that were foretold."""

    def __init__(self) -> None:
        self._pairs: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def add(self, seen: float, foretold: float) -> None:
        self._pairs.append((seen, foretold))

    @property
    def r(self) -> float | None:
        """Their correlation; None while too little was seen."""
        return self.of(self._pairs)

    @staticmethod
    def of(pairs: Sequence[tuple[float, float]]) -> float | None:
        """As :attr:`r`, of what was seen and foretold."""
        if len(pairs) < LEAST:
            return None
        seen, foretold = np.array(pairs).T
        spread = float(seen.std() * foretold.std())
        return float(((seen - seen.mean()) * (foretold - foretold.mean())).mean()) / spread if spread > 1e-9 else 0.0

    def forget(self) -> None:
        self._pairs.clear()


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A moment in which a person may have spoken with their own voice."""

    person: Person
    canonical: Points  # (478, 3)
    motion: Motion


def lesson_of(person: Person, tracked: TrackedFrame, motion: Motion) -> Lesson | None:
    """None where there is nothing to learn: silence, a turned face, a net that tells no features."""
    face = tracked.face
    if face is None or abs(face.pose.yaw_deg) > TURNED_DEG or tracked.frame.still:
        return None
    if motion.features is None or motion.speech < SPEAKS or not motion.plausible:
        return None
    if np.abs(person.expression.kept(tracked, person.bank)).max() > SMILES:
        return None  # it would be learnt as a way of talking, and kept a second time
    return Lesson(person, face.canonical, motion)


class Lessons:
    """What people are learnt by, with one net."""

    def __init__(self, net: str) -> None:
        self.net = net
        self.agreement = Agreement()

    def learn(self, lesson: Lesson) -> None:
        """As far as mouth and voice have belonged together of late. The bank has to know the person by now."""
        bank, features = lesson.person.bank, lesson.motion.features
        if features is None or not bank.settled:
            return
        live, net = both_mouths(lesson)
        self.agreement.add(opening(live), opening(net))
        r = self.agreement.r
        if r is not None and r >= AGREES:
            bank.adapter(self.net, len(features)).learn(features, live - net)

    def learn_all(self, lessons: Sequence[Lesson]) -> None:
        """Of one film, once its people are known: agreement is told by the whole of each one's lessons."""
        for person in {id(each.person): each.person for each in lessons}.values():
            own = [each for each in lessons if each.person is person and person.bank.closed is not None]
            for each in own:
                person.style(each.motion, person.bank, 1.0)  # the person's measure, by their own voice
            pairs = [both_mouths(each) for each in own]
            r = Agreement.of([(opening(live), opening(net)) for live, net in pairs])
            if r is None or r < AGREES:
                continue
            for each, (live, net) in zip(own, pairs, strict=True):
                if each.motion.features is not None:
                    adapter = person.bank.adapter(self.net, len(each.motion.features))
                    adapter.learn(each.motion.features, live - net)


def both_mouths(lesson: Lesson) -> tuple[Points, Points]:
    """The mouth that was seen and the net's, (len(LOWER), 3) from the resting face in mouth widths."""
    bank = lesson.person.bank
    assert bank.neutral is not None
    live = (lesson.canonical - bank.neutral)[LOWER] / np.float32(mouth_width(bank.neutral))
    return live, lesson.person.style.applied(lesson.motion, bank, 1.0)


class OwnVoiceStream:
    """The person's own voice beside the one that is dubbed: a stream of its own, and frames that wait for it.

    What there is to learn is kept until :meth:`finish`: by then it is known how the person rests.
    """

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        self._motion = MotionStream(bundle, backend)
        self._net = net_of(bundle)
        self._waiting: deque[tuple[Person, TrackedFrame]] = deque(maxlen=WAITING)
        self._lessons: deque[Lesson] = deque(maxlen=MOST_LESSONS)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """16 kHz (n,), without holes."""
        self._motion.hear(samples, pts_ns)
        self._settle()

    def show(self, person: Person, tracked: TrackedFrame) -> None:
        """A frame of the person, in order."""
        self._waiting.append((person, tracked))
        self._settle()

    def finish(self) -> None:
        """Learn from all of it."""
        Lessons(self._net).learn_all(self._lessons)
        self._lessons.clear()

    def _settle(self) -> None:
        heard_ns = self._motion.heard_until_ns()
        while self._waiting and self._waiting[0][1].frame.pts_ns <= heard_ns:
            person, tracked = self._waiting.popleft()
            if heard_ns - tracked.frame.pts_ns > REMEMBERED_NS:
                continue
            if lesson := lesson_of(person, tracked, self._motion.at(tracked.frame.pts_ns)):
                self._lessons.append(lesson)


def net_of(bundle: Bundle) -> str:
    """What features belong to: a head of a net, which looks so far ahead."""
    return f"{bundle.label}, {bundle.look_ahead_ms} ms"


def tells_features(bundle: Bundle) -> bool:
    """Whether a net tells what it makes its motion of, so that it can be adapted."""
    return any(tensor.name == FEATURES for tensor in bundle.motion.outputs)
