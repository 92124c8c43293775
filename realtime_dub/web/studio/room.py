"""Who meets under one name: a person in front of a camera, interpreters of whom one has the floor, viewers.

What viewers watch and what interpreters speak into are the room's own, so that a sender may stop and start again, or
another come, while everybody else stays connected. Used on the server's loop, but for :meth:`Microphone.give`, which
is, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

from realtime_dub.clock import Clock
from realtime_dub.media import MS, Samples
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.limits import AWAY_S, MOST_ROOMS, SILENT_MS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.original import Original
from realtime_dub.web.rtc.output_timeline import OutputTimeline

State = Literal["waiting", "live", "ended"]


# What is told of a room in which nobody is.
EMPTY = {"state": "waiting", "sender": False, "floor": None, "heard": False, "interpreters": 0, "viewers": 0}


class Member(Protocol):
    """A session, as its room knows it."""

    id: str
    input: BrowserInput
    closed: bool

    @property
    def options(self) -> SessionOptions: ...

    @property
    def away_s(self) -> float:
        """For how long nothing has been heard of it."""

    @property
    def films(self) -> bool:
        """Its camera gives frames, or it has another picture."""

    def send_room(self) -> None:
        """Something in the room is another now."""


class Room:
    """One of them. Everybody in it is told the same by :meth:`to_dict`."""

    def __init__(self, name: str, clock: Clock) -> None:
        self.name, self.clock = name, clock
        self.timeline = OutputTimeline(clock, asyncio.get_running_loop())
        self.voice = BrowserInput(clock)  # what the interpreter with the floor says; silence before anyone comes
        self.original = Original(clock)  # of whoever the interpreters speak for
        self.sender: Member | None = None
        self.floor: Microphone | None = None
        self.interpreters: list[Member] = []  # in the order in which they came
        self.viewers: list[Member] = []
        self._begun: int | None = None  # frames that had left when the sender came; None: nobody has come yet

    def join(self, session: Member) -> None:
        """Raises Refusal where somebody else sends."""
        role = session.options.role
        if role == "studio":
            if self.sender is not None:
                raise Refusal(409, "Somebody else sends in this room.", "Wait until they stop, or take another room.")
            self.sender, self._begun = session, self.timeline.sent
        else:
            (self.interpreters if role == "interpreter" else self.viewers).append(session)
        self._broadcast()

    def leave(self, session: Member) -> None:
        """Idempotent. Who has waited longest for the floor gets it."""
        if self.sender is session:
            self.sender = None
        for members in (self.interpreters, self.viewers):
            if session in members:
                members.remove(session)
        if self.floor is session.input:
            self.floor = None
        self.resolve_floor()
        self._broadcast()

    def resolve_floor(self) -> None:
        """The first keeps it as long as audio comes from there; one who is silent loses it to one who is not."""
        if self.floor is not None and self.floor.is_heard:
            return
        speaking = [each.input for each in self.interpreters if isinstance(each.input, Microphone)]
        before, self.floor = self.floor, next((each for each in speaking if each.is_heard), self.floor)
        if self.floor is not before:
            self._broadcast()

    @property
    def state(self) -> State:
        if self.sender is None:
            return "waiting" if self._begun is None else "ended"
        comes = self.sender.films and self.sender.away_s <= AWAY_S
        return "live" if comes and self.timeline.flows and self.timeline.sent != self._begun else "waiting"

    def to_dict(self, session: Member | None, heard: bool) -> dict[str, Any]:
        """For a member's page. ``heard``: a person speaks with the voice of this room."""
        state = self.state
        if session is not None and session.options.role == "interpreter" and self.sender is None and heard:
            state = "live"  # who hears this room sends in another one, or in none
        mine = session is not None and self.floor is session.input
        floor = None if self.floor is None else "you" if mine else "another"
        return {"state": state, "sender": self.sender is not None, "floor": floor, "heard": heard,
                "interpreters": len(self.interpreters), "viewers": len(self.viewers)}  # fmt: skip

    def _broadcast(self) -> None:
        for session in (self.sender, *self.interpreters, *self.viewers):
            if session is not None:
                session.send_room()


class Microphone(BrowserInput):
    """What one interpreter sends, with a clock of its own: heard in the room while it has the floor."""

    def __init__(self, room: Room) -> None:
        super().__init__(room.clock)
        self._room = room
        self._came_ns: int | None = None  # when the last audio came

    @property
    def is_heard(self) -> bool:
        """Audio has come lately; a microphone that is muted sends silence, which counts."""
        return self._came_ns is not None and self.clock.now_ns() - self._came_ns < SILENT_MS * MS

    def give(self, heard: Samples, captured_ns: int, lost: bool) -> None:
        self._came_ns = self.clock.now_ns()
        before = self._room.floor
        self._room.resolve_floor()
        if self._room.floor is self:
            self._room.voice.packets_lost = self.packets_lost
            self._room.voice.give(heard, captured_ns, lost or before is not self)


class Rooms:
    """All of a server."""

    def __init__(self, clock: Clock, sessions: Mapping[str, Member]) -> None:
        self._clock, self._sessions = clock, sessions
        self._rooms: dict[str, Room] = {}

    def enter(self, name: str | None, role: str = "studio") -> Room:
        """The room of that name, made where there is none yet. Raises Refusal."""
        if not name:
            raise Refusal(
                422, f"{'An interpreter' if role == 'interpreter' else 'A viewer'} needs a room.", "Name one."
            )
        if name not in self._rooms:
            if len(self._rooms) >= MOST_ROOMS:
                raise Refusal(503, "There are too many rooms.", "Try again later.")
            self._rooms[name] = Room(name, self._clock)
        return self._rooms[name]

    def originals_of(self, session: Member) -> list[Original]:
        """Of those rooms whose interpreters speak for ``session``, where somebody listens."""
        named = {session.options.room, _room_of(session)} - {None, ""}
        rooms = [room for name in named if (room := self._rooms.get(str(name))) and room.original.is_watched]
        return [room.original for room in rooms if self._spoken_for(room) is session]

    def _spoken_for(self, room: Room) -> Member | None:
        """Who has the voice of the room; where nobody has, who sends in it."""
        heard = (each for each in self._sessions.values() if _room_of(each) == room.name and not each.closed)
        return next(heard, room.sender)

    def find(self, name: str) -> Room | None:
        return self._rooms.get(name)

    def to_dict(self, room: Room, session: Member | None) -> dict[str, Any]:
        """What a member of the room is told, or somebody who is not in it."""
        heard = any(_room_of(each) == room.name and not each.closed for each in self._sessions.values())
        return room.to_dict(session, heard)

    def asked(self, name: str) -> dict[str, Any]:
        """What is told of a room to whoever asks; one that nobody is in is not made by that."""
        room = self.find(name)
        if room is None:
            return dict(EMPTY)
        return self.to_dict(room, None) | {"sender": room.sender is not None and self.gone(room) is None}

    def gone(self, room: Room) -> Member | None:
        """The sender, where it has not been heard of for so long that another one may have the room."""
        sender = room.sender
        return sender if sender is not None and sender.away_s > AWAY_S else None

    def sweep(self, sessions: Iterable[Member]) -> None:
        """Forget those without anyone."""
        used = {each.options.room for each in sessions} | {each.options.voice.partition(":")[2] for each in sessions}
        for name in self._rooms.keys() - used:
            self._rooms.pop(name).original.close()


def _room_of(session: Member) -> str | None:
    """The one whose interpreters are the voice of ``session``, if any are."""
    kind, _, name = session.options.voice.partition(":")
    return name if kind == "room" else None
