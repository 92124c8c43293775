"""Who is in a room, as what, and who is on air in which of its channels: the one source of truth, without any I/O.

A channel is a language that is spoken for the person in front of the camera; the one without a name is for rooms whose
interpreters name none. One interpreter at a time is on air in a channel, the others wait there as partners. A handover
is proposed by one side and confirmed by the other: both happen at one instant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from realtime_dub.web.refusals import Refusal

Role = Literal["studio", "interpreter", "viewer", "operator"]
MAIN = ""  # the channel without a name
NOT_HERE = Refusal(404, "There is nobody of that number in the room.", "Look at who is there now.")


@dataclass(frozen=True, slots=True)
class Person:
    """One in the room. ``number`` is never another's, and is what others call them by: ``id`` is the session's own."""

    number: int
    id: str
    role: Role
    channel: str = MAIN  # that an interpreter speaks, or a viewer watches
    muted: bool = False  # by an operator
    heard: bool = False  # audio comes, be it silence
    program: bool = False  # speaks without a person; hands over as soon as it is asked


@dataclass(frozen=True, slots=True)
class Handover:
    """Proposed by ``by``, who is one of the two; the other one has yet to confirm it."""

    giver: int
    taker: int
    by: int

    @property
    def confirms(self) -> int:
        return self.giver if self.by == self.taker else self.taker


@dataclass(frozen=True, slots=True)
class Channel:
    on_air: int | None = None
    handover: Handover | None = None


class Presence:
    """Of one room. ``changed`` is called once for each change, after it; ``sequence`` counts them."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.sequence = 0
        self._changed = changed
        self._people: dict[int, Person] = {}  # in the order in which they came
        self._numbers: dict[str, int] = {}  # by id
        self._channels: dict[str, Channel] = {}
        self._newest = 0
        self._counts: Counter[Role] | None = None

    # Who is there.

    def arrive(self, id: str, role: Role, channel: str = MAIN, program: bool = False) -> Person:
        """Raises Refusal where somebody else sends."""
        if role == "studio" and self.sender is not None:
            raise Refusal(409, "Somebody else sends in this room.", "Wait until they stop, or take another room.")
        self._newest += 1
        where = channel if role in ("interpreter", "viewer") else MAIN
        person = Person(self._newest, id, role, where, program=program)
        with self._change():
            self._people[person.number] = person
            self._numbers[id] = person.number
        return person

    def leave(self, id: str) -> None:
        """Idempotent. Whoever waited longest in the channel of who leaves is on air there."""
        person = self.of(id)
        if person is not None:
            with self._change():
                del self._people[person.number], self._numbers[id]

    def of(self, id: str) -> Person | None:
        number = self._numbers.get(id)
        return None if number is None else self._people[number]

    def numbered(self, number: int) -> Person:
        """Raises Refusal."""
        if number not in self._people:
            raise NOT_HERE
        return self._people[number]

    @property
    def people(self) -> tuple[Person, ...]:
        return tuple(self._people.values())

    @property
    def sender(self) -> Person | None:
        return next((each for each in self._people.values() if each.role == "studio"), None)

    def interpreters(self, channel: str | None = None) -> list[Person]:
        """Of one channel, or of all, in the order in which they came."""
        there = (each for each in self._people.values() if each.role == "interpreter")
        return [each for each in there if channel in (None, each.channel)]

    def count(self, role: Role) -> int:
        if self._counts is None:  # once for all who are told of it
            self._counts = Counter(each.role for each in self._people.values())
        return self._counts[role]

    # Who is on air.

    @property
    def channels(self) -> dict[str, Channel]:
        """Those that somebody interprets into."""
        return dict(self._channels)

    def on_air(self, channel: str) -> Person | None:
        number = self._channels.get(channel, Channel()).on_air
        return None if number is None else self._people[number]

    def hear(self, id: str, heard: bool) -> None:
        """Audio comes from that interpreter, or none does any more: who is silent loses the air to who is not."""
        person = self.of(id)
        if person is not None and person.heard != heard:
            self._put(replace(person, heard=heard))

    def choose(self, id: str, channel: str) -> None:
        """An interpreter speaks into, a viewer watches, another channel. Raises Refusal for anybody else."""
        person = self.of(id)
        if person is None or person.role not in ("interpreter", "viewer"):
            raise Refusal(409, "Only interpreters and viewers have a channel.", "Open one of their pages.")
        if person.channel != channel:
            self._put(replace(person, channel=channel))

    def rename(self, before: str, after: str) -> None:
        """A channel: all who speak or watch it go along, and who is on air there stays so."""
        there = [each for each in self._people.values() if each.channel == before and each.role != "studio"]
        if not there or before == after:
            return
        with self._change():
            self._people |= {each.number: replace(each, channel=after) for each in there}
            if after not in self._channels and before in self._channels:
                self._channels[after] = self._channels.pop(before)

    def is_voiced(self, channel: str) -> bool:
        """Somebody interprets it who is heard, be it silence."""
        person = self.on_air(channel)
        return person is not None and person.heard

    def propose(self, id: str, to: int | None = None) -> None:
        """Who is on air offers it ``to`` a partner, else to who came first; a partner asks for it. Raises Refusal.

        A program has nobody who could confirm: it is asked, or given it, and that is that.
        """
        person = self._interpreter(id)
        on_air = self.on_air(person.channel)
        if on_air is None:
            raise Refusal(409, "Nobody is on air yet.", "Speak: whoever is heard first is.")
        if person == on_air:
            taker = self._partner(person, to)
            handover = Handover(person.number, taker.number, person.number)
        else:
            handover = Handover(on_air.number, person.number, person.number)
        if self._people[handover.confirms].program:
            self._hand_over(person.channel, handover)
            return
        with self._change():
            channel = self._channels.get(person.channel, Channel())
            self._channels[person.channel] = replace(channel, handover=handover)

    def confirm(self, id: str) -> None:
        """What the other side has proposed: from this instant on the taker is on air. Raises Refusal."""
        person, handover = self._interpreter(id), self._handover(id)
        if handover.confirms != person.number:
            raise Refusal(409, "The other one has to confirm it.", "Wait for them, or withdraw it.")
        self._hand_over(person.channel, handover)

    def withdraw(self, id: str) -> None:
        """Either side: it was meant otherwise, or does not suit. Raises Refusal where nothing is proposed to it."""
        person, handover = self._interpreter(id), self._handover(id)
        if person.number not in (handover.giver, handover.taker):
            raise Refusal(409, "The handover is between two others.", "Wait for them.")
        with self._change():
            self._channels[person.channel] = replace(self._channels[person.channel], handover=None)

    # What an operator does.

    def mute(self, number: int, muted: bool) -> None:
        """Raises Refusal."""
        person = self.numbered(number)
        if person.muted != muted:
            self._put(replace(person, muted=muted))

    def move(self, number: int, channel: str) -> None:
        """An interpreter into another channel. Raises Refusal."""
        person = self.numbered(number)
        if person.role != "interpreter":
            raise Refusal(409, "Only interpreters have a channel.", "Choose an interpreter.")
        if person.channel != channel:
            self._put(replace(person, channel=channel))

    def put_on_air(self, number: int) -> None:
        """An interpreter, without being asked. Raises Refusal."""
        person = self.numbered(number)
        if person.role != "interpreter" or not person.heard:
            raise Refusal(409, "Nothing is heard of who would be on air.", "Check their microphone first.")
        with self._change():
            self._channels[person.channel] = Channel(number)

    def to_dict(self) -> dict[str, Any]:
        """All of it, for operators."""
        people = [
            {"number": each.number, "role": each.role, "channel": each.channel, "muted": each.muted,
             "heard": each.heard, "program": each.program, "on_air": self._is_on_air(each)}
            for each in self._people.values()
        ]  # fmt: skip
        channels = [{"name": name, **channel_fields(each)} for name, each in sorted(self._channels.items())]
        return {"sequence": self.sequence, "people": people, "channels": channels}

    def _hand_over(self, channel: str, handover: Handover) -> None:
        """Raises Refusal."""
        if not self._people[handover.taker].heard:
            raise Refusal(409, "Nothing is heard of who would be on air.", "Check their microphone first.")
        with self._change():
            self._channels[channel] = Channel(handover.taker)

    def _is_on_air(self, person: Person) -> bool:
        return person.role == "interpreter" and self.on_air(person.channel) == person

    def _put(self, person: Person) -> None:
        with self._change():
            self._people[person.number] = person

    def _interpreter(self, id: str) -> Person:
        person = self.of(id)
        if person is None or person.role != "interpreter":
            raise Refusal(409, "Only interpreters hand over.", "Open the interpreter's page.")
        return person

    def _partner(self, person: Person, number: int | None) -> Person:
        partners = [each for each in self.interpreters(person.channel) if each is not person]
        chosen = [each for each in partners if number in (None, each.number)]
        if not chosen:
            raise Refusal(409, "There is no partner to hand over to.", "Wait until one has come.")
        return next((each for each in chosen if each.heard), chosen[0])

    def _handover(self, id: str) -> Handover:
        handover = self._channels.get(self._interpreter(id).channel, Channel()).handover
        if handover is None:
            raise Refusal(409, "No handover is proposed.", "Propose it first.")
        return handover

    @contextmanager
    def _change(self) -> Iterator[None]:
        yield
        self._counts = None
        self._settle()
        self.sequence += 1
        self._changed()

    def _settle(self) -> None:
        """Each channel that somebody interprets into has what it has to have, and no other is kept."""
        names = dict.fromkeys(each.channel for each in self.interpreters())
        self._channels = {name: self._settled(name, self._channels.get(name, Channel())) for name in names}

    def _settled(self, name: str, channel: Channel) -> Channel:
        there = {each.number: each for each in self.interpreters(name)}
        now = there.get(channel.on_air) if channel.on_air is not None else None
        if now is None or not now.heard:
            now = next((each for each in there.values() if each.heard), now)
        handover = channel.handover
        if handover is not None and (handover.taker not in there or now is None or handover.giver != now.number):
            handover = None
        return Channel(now.number if now is not None else None, handover)


def channel_fields(channel: Channel) -> dict[str, Any]:
    handover = channel.handover
    told = None if handover is None else {"from": handover.giver, "to": handover.taker, "by": handover.by}
    return {"on_air": channel.on_air, "handover": told}
