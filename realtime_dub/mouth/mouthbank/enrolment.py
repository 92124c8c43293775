"""What mouthbank learns of people without a generator: a bank, from a film or a photograph."""

from __future__ import annotations

from collections.abc import Iterator

from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.mouth.contract import Learnt
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.calibration import CalibrationFrames, calibrate
from realtime_dub.mouth.mouthbank.people import People, Person

HARDLY_OPEN = 0.08  # mouth widths


class Banks:
    """The kind of identity that mouthbank has (``mouth/contract.py: IdentityKind``)."""

    def empty(self) -> Bank:
        return Bank()

    def read(self, data: bytes, name: str) -> Bank:
        return Bank.read(data, name)

    def learn(self, tracked: Iterator[TrackedFrame], tracker: FaceTracker, still: bool) -> Learnt:
        """Where several people follow one another as the face that is chosen, the bank is that of the one most seen."""
        people, frames = People(Bank()), CalibrationFrames()
        for each in tracked:
            if (seen := people.who(each)) is not None:
                seen.learn(each)
                frames.show(each)
        person = max(people.known, key=lambda each: each.looks)
        if not still:
            calibrate(person.bank, [each for each in frames.chosen() if people.nearest(each) is person], tracker)
        return Learnt(person.bank, person.looks, _summary(person, len(people.known)))


def _summary(person: Person, people: int) -> str:
    mouths = person.bank.mouths
    widest = max((mouth.max_lip_opening for mouth in mouths), default=0.0)
    hint = "" if widest > HARDLY_OPEN else "; the mouth was hardly open: let the person speak for better teeth"
    others = "" if people == 1 else f"; of {people} people the one who is seen most"
    return f"{len(mouths)} mouths from {person.looks} frames{others}{hint}"
