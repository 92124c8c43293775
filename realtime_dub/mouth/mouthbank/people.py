"""Who sits there: each person has a bank, a style and a memory of the face of their own.

A face is known at once where it looks like somebody's gallery. Where it does not, nobody is drawn; the newcomer is
looked at meanwhile, and after a fraction of a second it is settled who it is: somebody known in another light, or
another person, whose resting face is known by then. While a face is followed without a break it takes much more to
make it another person's than after a cut (``face/shots.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from realtime_dub.face.gallery import Gallery, view
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference.spec import UsualSpec
from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.expression import Expression
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.settling import Settling
from realtime_dub.mouth.mouthbank.style import Style

# Distances of a face from a gallery. Two recordings of one person: half below 1.3, 95 of 100 below 2.
# Two people: of those it was learnt from none below 3.2, of others none below 2.6.
KNOWN = 1.7  # somebody is known at once
SAME = 2.3  # on the average of some looks it is the same person, after a break: 95 of 100 of their recordings, and more
SAME_UNBROKEN = 2.9  # and while one face is followed
CLEARLY = 0.5  # nearer by this is another known person, even without a break

FEW_LOOKS = 4  # clearly another's, to go over without a break
ENOUGH_LOOKS, ENOUGH_NS = 10, 360 * MS  # to decide who it is, and to know a resting face
FADES_NS = 160 * MS  # so long the face before may still shine through
CHANGES_NS = 2 * NS  # a face that changes for longer is one that is hard to see, not one that fades
STAYS_NS = 500 * MS  # a look that stays so long is one of this person's
AWAY_NS = NS  # longer than this without a look is a break
MOST_PEOPLE = 4

MakesRenderer = Callable[[Bank, Inside | None], Renderer]


@dataclass(slots=True, eq=False)
class Person:
    """What is known of one person, and how their mouth is drawn."""

    bank: Bank
    renderer: Renderer
    style: Style
    own_style: Style  # against their own voice, where another's is dubbed
    expression: Expression = field(default_factory=Expression)
    settling: Settling = field(default_factory=Settling)
    looks: int = 0  # frames that were learnt from
    met: bool = False  # their face was seen in this run
    taught_ns: int | None = None  # when the bank last learnt of a newcomer; whom one expects, others show to the bank

    @classmethod
    def with_bank(
        cls,
        bank: Bank,
        inside: Inside | None = None,
        make: MakesRenderer = Renderer,
        usual: UsualSpec | None = None,
    ) -> Person:
        """``usual``: of the net that moves their mouths."""
        bank.usual = None if usual is None else np.array(usual.line, np.float32).reshape(2, -1)
        return cls(bank, make(bank, inside), Style(usual), Style(usual))

    @property
    def gallery(self) -> Gallery:
        return self.bank.gallery

    def learn(self, tracked: TrackedFrame) -> None:
        """A look at this person, for the bank."""
        self.bank.observe(tracked)
        self.renderer.observe(tracked)
        self.looks += 1
        if self.taught_ns is not None:
            self.taught_ns = tracked.frame.pts_ns


class People:
    """The people of one stream, at most ``MOST_PEOPLE``. Called on the engine's thread with frames in order."""

    def __init__(
        self,
        bank: Bank,
        clear: Callable[[TrackedFrame], bool] = lambda tracked: True,
        inside: Inside | None = None,
        make: MakesRenderer = Renderer,
        usual: UsualSpec | None = None,
    ) -> None:
        """``bank``: of the person who is expected: empty, or an identity, which binds to that person alone.

        ``clear``: whether a mouth is to be seen, and may be learnt from; ``inside``: as renderers take it; ``make``:
        what draws a person's mouths; ``usual``: of the net that moves them.
        """
        self.expected = Person.with_bank(bank, inside, make, usual)
        self.current = self.expected
        self.known = [self.expected]
        self._sure = False  # that the face that is followed is ``current``
        self._shot = 0
        self._at_ns: int | None = None
        self._broken_ns: int | None = None  # the last break
        self._outlier_ns: int | None = None  # since when the face looks unlike what is remembered, though it is theirs
        self._other = 0  # looks in a row that are clearly another known person's
        self._last: tuple[TrackedFrame, Person | None] | None = None
        self._doubts = _Doubts(clear, lambda: Person.with_bank(Bank(), inside, make, usual))

    def who(self, tracked: TrackedFrame) -> Person | None:
        """Whose face this is; None until it is known, and where there is none."""
        face = tracked.face
        if face is None:
            return None
        if face.descriptor is None:
            return self._turned_away(tracked)
        if self._last is not None and (tracked is self._last[0] or self._late(tracked)):
            return self._last[1] if tracked.shot == self._shot else None
        self._last = tracked, self._find(tracked, face, face.descriptor)
        return self._last[1]

    def _turned_away(self, tracked: TrackedFrame) -> Person | None:
        """Whose face it is that does not say: still the one that was followed up to here. Turning is no break.

        From a tracker that does not tell people apart it is always the one who is expected.
        """
        if not len(self.expected.gallery):
            return self.current
        if not self._sure or tracked.shot != self._shot:
            return None
        self._at_ns = tracked.frame.pts_ns
        return self.current

    def restart(self) -> None:
        """The same frames, or others of the same people, are shown once more from the start."""
        self._at_ns = self._broken_ns = self._last = None
        self._shot = 0
        self._doubt(sure=len(self.known) == 1)

    def nearest(self, tracked: TrackedFrame) -> Person:
        """Whose of those who are known the face most likely is."""
        face = tracked.face
        if face is None or face.descriptor is None:
            return self.current
        distances = self._distances(face.descriptor, view(face))
        return self.known[distances.index(min(distances))]

    def _distances(self, descriptor: Floats, seen_from: Floats) -> list[float]:
        """From a look to each of those who are known."""
        return [person.gallery.distance(descriptor, seen_from) for person in self.known]

    def notes(self) -> list[str]:
        """Lines for the report."""
        if not self.expected.bank.frozen or len(self.known) == 1:
            return []
        also = "" if self.expected.met else ", and that person was not seen"
        return [f"somebody else than the person of the mouth bank was dubbed, with their own mouth{also}"]

    def _find(self, tracked: TrackedFrame, face: Face, descriptor: Floats) -> Person | None:
        self._notice_breaks(tracked)
        seen_from = view(face)
        if not len(self.expected.gallery):
            return self._bind(descriptor, seen_from)
        distances = self._distances(descriptor, seen_from)
        distance = min(distances)
        nearest = self.known[distances.index(distance)]
        if self._sure:
            own = distances[self.known.index(self.current)]
            if own <= self._limit() and not self._rather(nearest, distance, own):
                self._doubts.clear()
                self._remember(descriptor, seen_from, own, tracked.frame.pts_ns)
                return self.current
        if distance <= KNOWN:
            return self._go_on_with(nearest)
        return self._settle(tracked, descriptor, seen_from)

    def _late(self, tracked: TrackedFrame) -> bool:
        """A look that was taken before the last one, and comes after it."""
        return self._at_ns is not None and 0 <= self._at_ns - tracked.frame.pts_ns < AWAY_NS

    def _notice_breaks(self, tracked: TrackedFrame) -> None:
        """After a break it takes less to be another person."""
        before_ns, self._at_ns = self._at_ns, tracked.frame.pts_ns
        away = before_ns is not None and abs(self._at_ns - before_ns) > AWAY_NS
        if away or tracked.shot != self._shot:
            self._broken_ns = self._at_ns
            self._doubt(sure=False)
        self._shot = tracked.shot

    def _doubt(self, sure: bool) -> None:
        self._sure, self._outlier_ns = sure, None
        self._doubts.clear()

    def _limit(self) -> float:
        """How far the face that is followed may be from its person: soon after a break a fade may still go on."""
        assert self._at_ns is not None
        steady = self._broken_ns is None or self._at_ns - self._broken_ns >= STAYS_NS
        return SAME_UNBROKEN if steady else KNOWN

    def _bind(self, descriptor: Floats, seen_from: Floats) -> Person:
        """The first face that is seen is the expected person's, where nothing is known of that one's face."""
        self.expected.gallery.add(descriptor, seen_from)
        return self._go_on_with(self.expected)

    def _rather(self, nearest: Person, distance: float, own: float) -> bool:
        """Another known person, clearly, for some looks in a row: a mistake that was made before."""
        clearly = nearest is not self.current and distance <= KNOWN and distance < own - CLEARLY
        self._other = self._other + 1 if clearly else 0
        return self._other >= FEW_LOOKS

    def _remember(self, descriptor: Floats, seen_from: Floats, own: float, at_ns: int) -> None:
        """What this person looks like in other views and lights, where it stays so and is not too far from the first.

        A fade to another face passes through such looks and does not stay.
        """
        gallery = self.current.gallery
        if gallery.sharpen(descriptor, seen_from):
            self._outlier_ns = None
        elif self._outlier_ns is None:
            self._outlier_ns = at_ns
        elif at_ns - self._outlier_ns >= STAYS_NS and (
            own <= KNOWN or gallery.from_first(descriptor, seen_from) <= SAME_UNBROKEN
        ):
            gallery.add(descriptor, seen_from)
            self._outlier_ns = None

    def _settle(self, tracked: TrackedFrame, descriptor: Floats, seen_from: Floats) -> Person | None:
        """After some looks: somebody known, or a new person."""
        doubts = self._doubts
        doubts.take(tracked, descriptor, seen_from)
        if not doubts.enough():
            return None
        mean, middle = doubts.mean()
        person = min(self.known, key=lambda each: each.gallery.distance(mean, middle))
        if person.gallery.distance(mean, middle) <= (SAME_UNBROKEN if self._sure else SAME):
            person.gallery.add(mean, middle)
        else:
            person = self._welcome(doubts.person)
        return self._go_on_with(person)

    def _welcome(self, person: Person) -> Person:
        """A new person; where there are too many, the one who was seen least is forgotten for them."""
        if len(self.known) >= MOST_PEOPLE:
            others = (each for each in self.known if each is not self.expected)
            self.known.remove(min(others, key=lambda each: each.looks))
        self.known.append(person)
        return person

    def _go_on_with(self, person: Person) -> Person:
        self.current, person.met = person, True
        self._sure, self._other, self._outlier_ns = True, 0, None
        self._doubts.clear()
        return person


class _Doubts:
    """Looks at a face of which it is not known yet whose it is, and what is learnt of it meanwhile."""

    def __init__(self, clear: Callable[[TrackedFrame], bool], newcomer: Callable[[], Person]) -> None:
        self._is_clear, self._newcomer = clear, newcomer
        self._begin()

    def clear(self) -> None:
        """It is known, or the face may be another one now."""
        if self._looks:
            self._begin()

    def _begin(self) -> None:
        self.person = self._newcomer()
        self._looks: list[tuple[int, Floats, Floats]] = []  # when, descriptor, view
        self._since_ns: int | None = None

    def take(self, tracked: TrackedFrame, descriptor: Floats, seen_from: Floats) -> None:
        """One more look. Where it is not like those before, the face is still changing: they are given up."""
        at_ns = tracked.frame.pts_ns
        since_ns = at_ns if self._since_ns is None else self._since_ns
        if not self.person.gallery.sharpen(descriptor, seen_from):
            if at_ns - since_ns < CHANGES_NS:
                self._begin()
            self.person.gallery.add(descriptor, seen_from)
        self._since_ns, self.person.taught_ns = since_ns, at_ns
        self._looks.append((at_ns, descriptor, seen_from))
        if at_ns - self._looks[0][0] >= FADES_NS and self._is_clear(tracked):
            self.person.learn(tracked)

    def enough(self) -> bool:
        return len(self._looks) >= ENOUGH_LOOKS and self._looks[-1][0] - self._looks[0][0] >= ENOUGH_NS

    def mean(self) -> tuple[Floats, Floats]:
        """Of the newest looks: descriptor and view."""
        _, descriptors, views = zip(*self._looks[-ENOUGH_LOOKS:], strict=True)
        return np.mean(descriptors, axis=0, dtype=np.float32), np.mean(views, axis=0, dtype=np.float32)
