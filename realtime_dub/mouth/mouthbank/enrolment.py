"""What mouthbank learns of people without a generator: a bank, from a film or a photograph."""

from __future__ import annotations

from collections.abc import Iterator

from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.inference.bundle import load_default, longest_look_ahead
from realtime_dub.media import MS, Samples
from realtime_dub.mouth.contract import HEARD_AHEAD_NS, Learnt, OwnVoice, Progress
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.calibration import CalibrationFrames, calibrate
from realtime_dub.mouth.mouthbank.motion_nets import usual_of
from realtime_dub.mouth.mouthbank.occlusion import Occlusion
from realtime_dub.mouth.mouthbank.own_voice import OwnVoiceStream, tells_features
from realtime_dub.mouth.mouthbank.people import People, Person

ENGINE = "mouthbank"
HARDLY_OPEN = 0.08  # mouth widths


class Banks:
    """The kind of identity that mouthbank has (``mouth/contract.py: IdentityKind``)."""

    def empty(self) -> Bank:
        return Bank()

    def read(self, data: bytes, name: str, plain: bool = False) -> Bank:
        return Bank.read(data, name, plain)

    def learn(
        self,
        tracked: Iterator[TrackedFrame],
        tracker: FaceTracker,
        still: bool,
        voice: OwnVoice | None = None,
        progress: Progress | None = None,
    ) -> Learnt:
        """Where several people follow one another as the face that is chosen, the bank is that of the one most seen."""
        occlusion, lessons = Occlusion(), _Lessons(voice, progress)
        people = People(Bank(), occlusion.clear, usual=usual_of(load_default(ENGINE)))
        frames = CalibrationFrames(occlusion.clear)
        for each in tracked:
            seen = people.who(each)
            lessons.go_on(each)
            if seen is not None and occlusion.clear(each):
                seen.learn(each)
                frames.show(each)
                lessons.show(seen, each)
        lessons.finish()
        person = max(people.known, key=lambda each: each.looks)
        if not still:
            calibrate(person.bank, [each for each in frames.chosen() if people.nearest(each) is person], tracker)
        told = _summary(person, len(people.known), "" if still else lessons.missing, lessons.late_ms)
        return Learnt(person.bank, person.looks, told)


class _Lessons:
    """How a person talks, for the nets that a bank is used with: live, and in files."""

    def __init__(self, voice: OwnVoice | None, progress: Progress | None) -> None:
        self._voice = voice
        looks = {None, longest_look_ahead(ENGINE)} if voice is not None else set()
        bundles = [bundle for ms in looks if tells_features(bundle := load_default(ENGINE, ms))]
        self._learners = [OwnVoiceStream(bundle, tunes=True, progress=progress) for bundle in bundles]

    def go_on(self, tracked: TrackedFrame) -> None:
        if self._voice is not None and self._learners:
            self._voice.hear_until(tracked.frame.pts_ns + HEARD_AHEAD_NS, self._hear)

    def _hear(self, samples: Samples, pts_ns: int) -> None:
        for learner in self._learners:
            learner.hear(samples, pts_ns)

    def show(self, person: Person, tracked: TrackedFrame) -> None:
        for learner in self._learners:
            learner.show(person, tracked)

    @property
    def missing(self) -> str:
        """Why they may have come to nothing."""
        return "no voice of theirs was heard" if self._voice is None else "too little of their voice was heard"

    @property
    def late_ms(self) -> int:
        """By how much the picture comes behind the sound; 0 where they are in step, or nothing is known."""
        known = (each.pairing.lateness.ns for each in self._learners)
        return round(next((late_ns for late_ns in known if late_ns is not None), 0) / MS)

    def finish(self) -> None:
        if self._learners:
            self._learners[0].finish(*self._learners[1:])


def _summary(person: Person, people: int, untaught: str, late_ms: int) -> str:
    """``untaught``: what to say where nothing of the person's talking was learnt; empty for a still."""
    mouths = person.bank.mouths
    widest = max((mouth.max_lip_opening for mouth in mouths), default=0.0)
    hint = "" if widest > HARDLY_OPEN else "; the mouth was hardly open: let the person speak for better teeth"
    others = "" if people == 1 else f"; of {people} people the one who is seen most"
    talk = max((adapter.frames for adapter in person.bank.adapters.values()), default=0)
    untaught = untaught and f"; not how the person talks: {untaught}"
    step = "" if not late_ms else f", {abs(late_ms)} ms {'behind' if late_ms > 0 else 'before'} their sound"
    tuned = ", by which the net was tuned" if person.bank.tuned else ""
    talks = f"; how the person talks, from {talk} frames{tuned}{step}" if talk else untaught
    return f"{_several(len(mouths), 'mouth')} from {_several(person.looks, 'frame')}{talks}{others}{hint}"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
