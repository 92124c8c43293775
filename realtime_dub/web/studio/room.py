"""Who meets under one name: a person in front of a camera, interpreters of whom one is on air per language, viewers.

Who is what is in its ``presence``. What viewers watch and what interpreters speak into are the room's own, so that a
sender may stop and start again, or another come, while everybody else stays connected. Used on the server's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from realtime_dub.clock import Clock
from realtime_dub.media import MS, Samples
from realtime_dub.web.config import FLOOR, SessionOptions, room_voice
from realtime_dub.web.limits import AWAY_S, MANY_VIEWERS, MOST_ROOMS, SILENT_MS, VIEWERS_TOLD_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.original import Original, Undubbed
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.said import coded
from realtime_dub.web.studio.captions import Hearing
from realtime_dub.web.studio.presence import MAIN, Channel, Person, Presence, channel_fields

State = Literal["waiting", "live", "ended"]
Spoken: TypeAlias = "Callable[[Room, str, Samples, int], None]"


# What is told of a room in which nobody is.
EMPTY = {"exists": False, "state": "waiting", "sender": False, "floor": None, "heard": False, "interpreters": 0,
         "viewers": 0, "sequence": 0, "under": 0.0, "channels": [],
         "speaking": {"speaker": False, "interpreter": False}}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What somebody sees and hears. ``dubbed``: a mouth in it may be made."""

    video: OutputTimeline
    audio: OutputTimeline
    dubbed: bool


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

    @property
    def dubs_itself(self) -> bool:
        """Its own picture is dubbed, too."""

    @property
    def hearing(self) -> Hearing | None:
        """What its page hears."""

    def dubs_after_ns(self, channel: str) -> int | None:
        """From when something is said in a channel with a picture of its own to when it is seen; None: it is not."""

    def send_room(self) -> None:
        """Something in the room is another now."""

    def speak_under(self, heard: Samples, captured_ns: int) -> None:
        """What the interpreter says for it, as soon as it comes."""

    def speak_in(self, channel: str, heard: Samples, captured_ns: int) -> None:
        """What an interpreter of its room says in that channel, likewise."""

    def follow(self) -> None:
        """What it is shown, or what it has to dub, may be another now."""

    def undubbed_because(self, channel: str) -> str | None:
        """Why it gives no picture of a channel of its room that has a voice, where the machine cannot hold it."""


class Room:
    """One of them. Everybody in it is told the same by :meth:`to_dict`."""

    def __init__(
        self, name: str, clock: Clock, spoken: Spoken = lambda room, channel, heard, captured_ns: None
    ) -> None:
        self.name, self.clock, self._tell_spoken = name, clock, spoken
        self.timeline = OutputTimeline(clock, asyncio.get_running_loop())
        self.original = Original(clock)  # of whoever the interpreters speak for
        self.presence = Presence(self.tell)
        self.watching: set[Callable[[], None]] = set()  # called when anything in the room is another
        self._telling: asyncio.Task[None] | None = None  # many viewers
        self._told: State | None = None  # to them
        self._members: dict[str, Member] = {}
        self._voices: dict[str, BrowserInput] = {}  # what is said on air, by channel; silence before anyone comes
        self._relays: dict[str, Undubbed] = {}  # the same for who hears it at once, while there is somebody
        self._dubs: dict[str, OutputTimeline] = {}  # of channels that are not the sender's own
        self.languages: tuple[str, ...] = ()  # its channels, as the sender who was here last has them
        self._spoke: dict[str, str] = {}  # who was on air with the last audio of a channel
        self._begun: int | None = None  # frames that had left when the sender came; None: nobody has come yet

    def join(self, session: Member) -> None:
        """Raises Refusal where somebody else sends."""
        role, channel, program = session.options.role, session.options.channel, session.options.program
        self._members[session.id] = session
        try:
            self.presence.arrive(session.id, role, channel, program)
        except Refusal:
            del self._members[session.id]
            raise
        if role == "studio":
            self._begun = self.timeline.sent
            self.languages = session.options.languages

    def leave(self, session: Member) -> None:
        """Idempotent. Who has waited longest to be on air is."""
        if self._members.get(session.id) is session:
            del self._members[session.id]
            self.presence.leave(session.id)

    @property
    def sender(self) -> Member | None:
        person = self.presence.sender
        return self._members.get(person.id) if person is not None else None

    def voice(self, channel: str = MAIN) -> BrowserInput:
        """What is said on air there."""
        if channel not in self._voices:
            self._voices[channel] = BrowserInput(self.clock)
        return self._voices[channel]

    # Channels.

    def dub(self, channel: str) -> OutputTimeline:
        """The dubbed picture of a channel: the sender's own where that speaks its voice."""
        if self.is_own(channel):
            return self.timeline
        if channel not in self._dubs:
            self._dubs[channel] = OutputTimeline(self.clock, asyncio.get_running_loop())
        return self._dubs[channel]

    def is_own(self, channel: str) -> bool:
        """The sender's own picture is that channel's."""
        sender = self.sender
        return sender is not None and room_voice(sender.options.voice) == (self.name, channel)

    def relay(self, channel: str) -> OutputTimeline:
        """What is said in a channel, as soon as it comes."""
        if channel not in self._relays:
            self._relays[channel] = Undubbed(self.clock)
            self._relays[channel].timeline.begin_at(self.clock.now_ns())
        return self._relays[channel].timeline

    @property
    def voiced(self) -> tuple[str, ...]:
        """Channels that want a picture beside the sender's own."""
        return tuple(each for each in self.languages if self.presence.is_voiced(each) and not self.is_own(each))

    def shown(self, channel: str) -> Shown:
        """To viewers of a channel: its dub; the floor where nobody interprets it; until its dub has come, or where the
        machine cannot hold it, the interpreter over the floor.
        """
        own, floor = Shown(self.timeline, self.timeline, dubbed=True), self.original.timeline
        undubbed = Shown(floor, floor, dubbed=False)
        if not self._has_floor:
            return own
        if channel != FLOOR and channel not in self.languages:
            return own if self._is_dubbed_own else undubbed
        if channel == FLOOR or not self.presence.is_voiced(channel):
            return undubbed
        dub = self.dub(channel)
        if dub.flows:
            return Shown(dub, dub, dubbed=True)
        return Shown(floor, self.relay(channel), dubbed=False)

    def booth(self, hears: str) -> Shown:
        """To an interpreter: the floor's picture, with its voice or another interpreter's."""
        floor = self.original.timeline
        return Shown(floor, floor if hears == FLOOR else self.relay(hears), dubbed=False)

    @property
    def _has_floor(self) -> bool:
        """Its sender has agreed to be seen and heard undubbed, by giving it channels, and sends what can be."""
        return bool(self.languages) and self.sender is not None and self.sender.options.picture == "camera"

    @property
    def _is_dubbed_own(self) -> bool:
        """The sender's own picture is dubbed, and no channel's that nobody interprets."""
        if self.sender is None or not self.sender.dubs_itself:
            return False
        spoken = room_voice(self.sender.options.voice)
        return spoken is None or spoken[0] != self.name or self.presence.is_voiced(spoken[1])

    def follow(self) -> None:
        """Everybody is shown what there is now; many viewers follow by themselves, each with its statistics."""
        self.languages = self.sender.options.languages if self.sender is not None else self.languages
        later = self.has_many_viewers
        for session in tuple(self._members.values()):
            if not (later and session.options.role == "viewer"):
                session.follow()
        if later and self.state != self._told:
            self._told = self.state
            self.tell()

    def channel_fields(self) -> list[dict[str, Any]]:
        """What everybody is told of its channels."""
        return [self._channel_fields(each) for each in self.languages]

    def _channel_fields(self, channel: str) -> dict[str, Any]:
        voiced = self.presence.is_voiced(channel)
        why = self.sender.undubbed_because(channel) if voiced and self.sender is not None else None
        state = "floor" if not voiced else "dubbed" if self.dub(channel).flows else "full" if why else "starting"
        return {"name": channel, "state": state} | ({"why": why, "codes": coded(why=why)} if why else {})

    # Voices.

    def listen(self) -> None:
        """Who is heard, and so who may be on air. The first keeps it as long as audio comes from there."""
        for person in self.presence.interpreters():
            microphone = self._members[person.id].input
            if isinstance(microphone, Microphone):
                self.presence.hear(person.id, microphone.is_heard)

    def speak(self, microphone: Microphone, heard: Samples, captured_ns: int, lost: bool) -> None:
        """Audio of an interpreter, which goes on air or nowhere."""
        self.listen()
        person = self.presence.of(microphone.id)
        if person is None or self.presence.on_air(person.channel) != person:
            return
        another = self._spoke.get(person.channel) != person.id
        self._spoke[person.channel] = person.id
        voice = self.voice(person.channel)
        voice.packets_lost = microphone.packets_lost
        voice.give(heard, captured_ns, lost or another)
        if (relay := self._relays.get(person.channel)) is not None:
            relay.hear(heard, captured_ns)
        self._tell_spoken(self, person.channel, heard, captured_ns)

    @property
    def under(self) -> float:
        """The level at which the original may be heard under the dub; 0: whoever sends keeps it to interpreters."""
        return (self.sender.options.under or 0.0) if self.sender is not None else 0.0

    @property
    def state(self) -> State:
        sender = self.sender
        if sender is None:
            return "waiting" if self._begun is None else "ended"
        comes = sender.films and sender.away_s <= AWAY_S
        return "live" if comes and self.timeline.flows and self.timeline.sent != self._begun else "waiting"

    def to_dict(self, session: Member | None, heard: bool) -> dict[str, Any]:
        """For a member's page. ``heard``: a person speaks with the voice of this room, or of the member's channel."""
        state, presence = self.state, self.presence
        person = presence.of(session.id) if session is not None else None
        interprets = person is not None and person.role == "interpreter"
        if interprets and self.sender is None and heard:
            state = "live"  # who hears this room sends in another one, or in none
        on_air = presence.on_air(person.channel if person is not None and interprets else MAIN)
        floor = None if on_air is None else "you" if on_air == person else "another"
        told = {"state": state, "sender": self.sender is not None, "floor": floor, "heard": heard,
                "speaking": self._speaking(person),
                "interpreters": presence.count("interpreter"), "viewers": presence.count("viewer"),
                "sequence": presence.sequence, "under": self.under, "channels": self.channel_fields()}  # fmt: skip
        if person is not None:
            told |= {"you": person.number, "muted": person.muted}
            if person.role == "viewer":
                told |= {"channel": person.channel, "dubbed": self.shown(person.channel).dubbed}
        return told | (self._booth(person) if person is not None and interprets else {})

    def _booth(self, person: Person) -> dict[str, Any]:
        """What interpreters of one channel know of each other."""
        partners = [{"number": each.number, "heard": each.heard, "muted": each.muted, "program": each.program,
                     "speaks": self._members[each.id].input.speaks}
                    for each in self.presence.interpreters(person.channel) if each != person]  # fmt: skip
        channel = self.presence.channels.get(person.channel, Channel())
        return {"channel": person.channel, "partners": partners, **channel_fields(channel)}

    def _speaking(self, person: Person | None) -> dict[str, bool]:
        """Just now: whoever sends here, and whose voice they have, or a viewer has chosen."""
        sender = self.sender
        voice = room_voice(sender.options.voice) if sender is not None else None
        channel = voice[1] if voice is not None and voice[0] == self.name else None
        if person is not None and person.role == "viewer" and person.channel in (FLOOR, *self.languages):
            channel = person.channel
        on_air = self.presence.on_air(channel) if channel is not None else None
        return {"speaker": sender is not None and sender.input.speaks,
                "interpreter": on_air is not None and self._members[on_air.id].input.speaks}  # fmt: skip

    def tell_speaking(self) -> None:
        """Somebody begins to speak, or ends: at once to those who work here; others are told with the statistics."""
        for person in self.presence.people:
            if person.role in ("studio", "interpreter") and (session := self._members.get(person.id)) is not None:
                session.send_room()
        for watcher in tuple(self.watching):
            watcher()

    def tell(self) -> None:
        """Everybody: something is another now. Many viewers a moment later: else each who comes is a message to all."""
        later = self.has_many_viewers
        for person in self.presence.people:
            if not (later and person.role == "viewer"):
                self._tell(person)
        if later and self._telling is None:
            self._telling = asyncio.create_task(self._tell_viewers(), name=f"room {self.name}")
        for watcher in tuple(self.watching):
            watcher()

    async def _tell_viewers(self) -> None:
        await asyncio.sleep(VIEWERS_TOLD_S)
        self._telling = None  # what changes from now on is told once more
        for person in self.presence.people:
            if person.role == "viewer":
                self._tell(person)
                await asyncio.sleep(0)

    def _tell(self, person: Person) -> None:
        if (session := self._members.get(person.id)) is not None:
            session.input.muted = person.muted
            session.follow()
            session.send_room()

    @property
    def has_many_viewers(self) -> bool:
        return self.presence.count("viewer") > MANY_VIEWERS

    def close(self) -> None:
        """Nobody is in it any more."""
        self.original.close()
        if self._telling is not None:
            self._telling.cancel()


class Microphone(BrowserInput):
    """What one interpreter sends, with a clock of its own: heard in the room while it is on air."""

    def __init__(self, room: Room, id: str) -> None:
        super().__init__(room.clock)
        self.id = id
        self._room = room
        self._came_ns: int | None = None  # when the last audio came

    @property
    def is_heard(self) -> bool:
        """Audio has come lately; a microphone that is muted sends silence, which counts."""
        return self._came_ns is not None and self.clock.now_ns() - self._came_ns < SILENT_MS * MS

    def give(self, heard: Samples, captured_ns: int, lost: bool) -> None:
        self._came_ns = self.clock.now_ns()
        self._room.speak(self, heard, captured_ns, lost)


class Rooms:
    """All of a server."""

    def __init__(self, clock: Clock, sessions: Mapping[str, Member]) -> None:
        self._clock, self._sessions = clock, sessions
        self._rooms: dict[str, Room] = {}

    def enter(self, name: str | None, role: str = "studio") -> Room:
        """The room of that name, made where there is none yet. Raises Refusal."""
        if not name:
            what = "An interpreter needs a room." if role == "interpreter" else "A viewer needs a room."
            raise Refusal(422, what, "Name one.")
        if name not in self._rooms:
            if len(self._rooms) >= MOST_ROOMS:
                raise Refusal(503, "There are too many rooms.", "Try again later.")
            self._rooms[name] = Room(name, self._clock, self._spoken)
        return self._rooms[name]

    def _spoken(self, room: Room, channel: str, heard: Samples, captured_ns: int) -> None:
        """Those whom an interpreter of the room speaks for."""
        for session in self._sessions.values():
            if room_voice(session.options.voice) == (room.name, channel) and not session.closed:
                session.speak_under(heard, captured_ns)
        if room.sender is not None:
            room.sender.speak_in(channel, heard, captured_ns)

    def voice(self, voice: str) -> BrowserInput:
        """That a session's option names. Raises Refusal."""
        name, channel = room_voice(voice) or ("", MAIN)
        return self.enter(name).voice(channel)

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

    @property
    def all(self) -> tuple[Room, ...]:
        return tuple(self._rooms.values())

    def to_dict(self, room: Room, session: Member | None) -> dict[str, Any]:
        """What a member of the room is told, or somebody who is not in it."""
        person = room.presence.of(session.id) if session is not None else None
        there = (each for each in self._sessions.values() if each.options.role != "viewer" and not each.closed)
        wanted = [room_voice(each.options.voice) for each in there]
        mine = person.channel if person is not None and person.role == "interpreter" else None
        heard = any(each is not None and each[0] == room.name and mine in (None, each[1]) for each in wanted)
        return room.to_dict(session, heard)

    def asked(self, name: str) -> dict[str, Any]:
        """What is told of a room to whoever asks; one that nobody is in is not made by that."""
        room = self.find(name)
        if room is None:
            return dict(EMPTY)
        sends = room.sender is not None and self.gone(room) is None
        return self.to_dict(room, None) | {"exists": True, "sender": sends}

    def gone(self, room: Room) -> Member | None:
        """The sender, where it has not been heard of for so long that another one may have the room."""
        sender = room.sender
        return sender if sender is not None and sender.away_s > AWAY_S else None

    def sweep(self, sessions: Iterable[Member]) -> None:
        """Forget those without anyone."""
        present = tuple(sessions)
        used = {each.options.room for each in present} | {_room_of(each) for each in present}
        used |= {room.name for room in self._rooms.values() if room.watching}
        for name in self._rooms.keys() - used:
            self._rooms.pop(name).close()
        for room in self._rooms.values():
            room.listen()
            room.follow()


def _room_of(session: Member) -> str | None:
    """The one whose interpreters are the voice of ``session``, if any are."""
    found = room_voice(session.options.voice)
    return found and found[0]
