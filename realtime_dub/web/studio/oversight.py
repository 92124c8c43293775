"""What an operator sees of a room and does in it: who is there and how they fare; mute, move, put on air, end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.presence import NOT_HERE, Person
from realtime_dub.web.studio.room import EMPTY, Room, Rooms

Act = Literal["mute", "unmute", "air", "move", "end"]
SHOWN = ("fps", "rtt_ms", "loss_percent", "bitrate_kbps", "latency_ms", "av_offset_ms", "budget_ms", "recording")
ENDED = Refusal(403, "The operator has ended this session.", "Ask them before you start again.")
TOLD_S = 0.2  # for a page to hear that it was ended, so that it does not come back by itself
BLANK: dict[str, Any] = {**EMPTY, "people": [], "channels": []}


class Overseen(Protocol):
    """A session, as an operator knows it."""

    @property
    def came(self) -> bool:
        """It has been connected."""

    @property
    def since_s(self) -> float:
        """It was made."""

    @property
    def speaks(self) -> bool:
        """Just now."""

    @property
    def told(self) -> Mapping[str, Any]:
        """Its newest statistics."""

    async def change(self, changes: dict[str, Any]) -> None:
        """Of its options. Raises Refusal."""

    def send_end(self, why: Refusal) -> None:
        """To its page: it is over, and not to be begun again by itself."""


class Host(Protocol):
    """Who has rooms and sessions."""

    @property
    def rooms(self) -> Rooms: ...

    def overseen(self, id: str) -> Overseen | None: ...

    async def end(self, id: str, why: str) -> None: ...


class Oversight:
    """Of all rooms of a studio. On the server's loop."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def rooms(self) -> list[dict[str, Any]]:
        """In short."""
        rooms = self._host.rooms
        return [{"name": room.name, **rooms.asked(room.name)} for room in rooms.all]

    def room(self, name: str) -> dict[str, Any]:
        """All that there is to see of one; one that nobody is in is not made by that."""
        room = self._host.rooms.find(name)
        if room is None:
            return {"name": name, **BLANK}
        told = room.presence.to_dict()
        there = zip(told["people"], room.presence.people, strict=True)
        people = [fields | self._fares(person) for fields, person in there]
        asked = self._host.rooms.asked(name)
        return {"name": name, **asked, **told, "people": people, "channels": _channels(told, asked)}

    async def set_languages(self, name: str, languages: tuple[str, ...]) -> None:
        """Its sender's. Raises Refusal."""
        sender = self._room(name).presence.sender
        session = self._host.overseen(sender.id) if sender is not None else None
        if session is None:
            raise Refusal(409, "Nobody sends in this room.", "Wait until somebody does.")
        await session.change({"languages": tuple(dict.fromkeys(languages))})

    async def act(self, name: str, number: int, action: Act, channel: str) -> None:
        """Raises Refusal."""
        room = self._room(name)
        person = room.presence.numbered(number)
        if action == "end":
            await self._end([person])
        elif action == "move":
            room.presence.move(number, channel)
        elif action == "air":
            room.presence.put_on_air(number)
        else:
            room.presence.mute(number, action == "mute")

    async def end(self, name: str) -> None:
        """Everybody in it has to go. Raises Refusal."""
        await self._end([each for each in self._room(name).presence.people if each.role != "operator"])

    def _room(self, name: str) -> Room:
        room = self._host.rooms.find(name)
        if room is None:
            raise NOT_HERE
        return room

    async def _end(self, people: list[Person]) -> None:
        if not await self.dismiss([each.id for each in people], ENDED, "an operator ended it"):
            raise Refusal(409, "There is no session to end.", "Look at who is there now.")

    async def dismiss(self, ids: list[str], told: Refusal, why: str) -> bool:
        """Those sessions end, and their pages are told so before; whether there was any."""
        there = {id: session for id in ids if (session := self._host.overseen(id)) is not None}
        for session in there.values():
            session.send_end(told)
        if there:
            await asyncio.sleep(TOLD_S)
        await asyncio.gather(*(self._host.end(id, why) for id in there))
        return bool(there)

    def _fares(self, person: Person) -> dict[str, Any]:
        session = self._host.overseen(person.id)
        if session is None:
            return {}
        told = {name: session.told[name] for name in SHOWN if session.told.get(name) is not None}
        for_s = round(time.monotonic() - session.since_s)
        return {"connected": session.came, "for_s": for_s, "speaks": session.speaks, "statistics": told}


def _channels(told: Mapping[str, Any], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those that somebody interprets, and those that the sender has: who is on air, and what is shown."""
    spoken = {each["name"]: each for each in told["channels"]}
    shown = {each["name"]: each for each in asked["channels"]}
    blank = {"on_air": None, "handover": None}
    names = dict.fromkeys((*shown, *spoken))
    return [{"name": name, **blank, **spoken.get(name, {}), **shown.get(name, {})} for name in names]
