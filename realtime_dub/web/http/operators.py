"""What the operator's page asks for: rooms, events of one, what is done to people in it, its links and recordings."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any
from urllib.parse import urlencode

import segno
from aiohttp import web
from pydantic import BaseModel, Field

from realtime_dub.web.config import FLOOR, LANGUAGE
from realtime_dub.web.http.answers import HEADERS
from realtime_dub.web.http.api import ROOM, STUDIO
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.invited import INVITE, INVITES, REVOKES, check_invitation
from realtime_dub.web.http.routes import read
from realtime_dub.web.invites import Invite, InvitedRole
from realtime_dub.web.limits import MOST_LANGUAGES, MOST_OPERATORS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.links import REVOKED
from realtime_dub.web.studio.outputs import FILE
from realtime_dub.web.studio.oversight import Act
from realtime_dub.web.studio.studio import Studio

EVERY_S = 2.0  # without a change: how people's connections are
LEAST_S = 0.1  # between two events: what changes meanwhile is told together
ALONE_S = 8.0  # with nobody but operators; then their pages ask anew, maybe where the room is by now
STREAM = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
LINK = ROOM + "/links/{role:studio|interpreter|viewer|operator}"

NOT_TOLD = Refusal(403, "Without a token nobody is told of others' recordings.", "Start the server with --token.")


class _Link(BaseModel):
    role: InvitedRole
    channel: str = Field("", pattern=rf"^({LANGUAGE})?$")
    address: str = Field("", max_length=300, pattern=r"^(https?://[^\s#?]+)?$")  # of the page, for a QR code


class _Act(BaseModel):
    action: Act
    channel: str = Field("", pattern=rf"^({LANGUAGE})?$")


class _Languages(BaseModel):
    languages: tuple[Annotated[str, Field(pattern=rf"^{LANGUAGE}$", max_length=24)], ...] = Field(
        max_length=MOST_LANGUAGES
    )


class _Output(BaseModel):
    channel: str = Field("", pattern=rf"^({FLOOR}|{LANGUAGE})?$")
    to: str = Field(max_length=500)


def routes() -> list[web.RouteDef]:
    return [*link_routes(), *room_routes()]


def link_routes() -> list[web.RouteDef]:
    """Of whoever lets people in."""
    return [web.post(ROOM + "/links", make_link), web.delete(LINK, revoke)]


def room_routes() -> list[web.RouteDef]:
    """Of whoever has the room."""
    return [
        web.get("/api/rooms", rooms),
        web.delete(ROOM, end_room),
        web.get(ROOM + "/people", people),
        web.get(ROOM + "/events", events),
        web.get(ROOM + "/recordings", recordings),
        web.post(ROOM + "/languages", set_languages),
        web.get(ROOM + "/outputs", outputs),
        web.post(ROOM + "/outputs", begin_output),
        web.delete(ROOM + "/outputs/{number:\\d{1,9}}", end_output),
        web.post(ROOM + "/people/{number:\\d{1,9}}", act),
    ]


async def rooms(request: web.Request) -> web.Response:
    return web.json_response({"rooms": request.app[STUDIO].oversight.rooms()})


async def people(request: web.Request) -> web.Response:
    return web.json_response(request.app[STUDIO].oversight.room(request.match_info["name"]))


async def act(request: web.Request) -> web.Response:
    asked, found = await read(request, _Act), request.match_info
    await request.app[STUDIO].oversight.act(found["name"], int(found["number"]), asked.action, asked.channel)
    return web.Response(status=204)


async def set_languages(request: web.Request) -> web.Response:
    """Of the room: its channels from now on."""
    asked = await read(request, _Languages)
    await request.app[STUDIO].oversight.set_languages(request.match_info["name"], asked.languages)
    return web.Response(status=204)


async def outputs(request: web.Request) -> web.Response:
    """Of the room, and the hosts that this server pushes to."""
    found = request.app[STUDIO].outputs
    return web.json_response({"outputs": found.of(request.match_info["name"]), "hosts": found.hosts})


async def begin_output(request: web.Request) -> web.Response:
    """A channel into a file, or to a media server."""
    asked, name = await read(request, _Output), request.match_info["name"]
    if asked.to == FILE and not request.app[INVITES].needed:
        raise NOT_TOLD
    begun = await request.app[STUDIO].outputs.begin(name, asked.channel, asked.to, request.remote or "")
    return web.json_response(begun, status=201)


async def end_output(request: web.Request) -> web.Response:
    found = request.match_info
    await request.app[STUDIO].outputs.end(found["name"], int(found["number"]))
    return web.Response(status=204)


async def end_room(request: web.Request) -> web.Response:
    await request.app[STUDIO].oversight.end(request.match_info["name"])
    return web.Response(status=204)


async def events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: all of the room at once, at each change, and every two seconds. ``id`` is its sequence."""
    studio, name = request.app[STUDIO], request.match_info["name"]
    with _watching(studio, name) as changed:
        response = web.StreamResponse(headers={**HEADERS, **STREAM})
        await response.prepare(request)
        if isinstance(request.protocol, Door) and (task := asyncio.current_task()) is not None:
            request.protocol.when_gone = task.cancel  # nothing would be written for a while
        with suppress(ConnectionError):  # who watched has gone
            await _tell(studio, name, response, changed, request.get(INVITE))
        return response


async def _tell(
    studio: Studio, name: str, response: web.StreamResponse, changed: asyncio.Event, invite: Invite | None
) -> None:
    """Until nobody but operators has been there for a while, or the link is revoked. Raises ConnectionError."""
    peopled_s = time.monotonic()
    while time.monotonic() - peopled_s < ALONE_S:
        changed.clear()
        if not studio.links.counts(invite):
            await response.write(f"event: end\ndata: {json.dumps(REVOKED.body())}\n\n".encode())
            break
        told = studio.oversight.room(name)
        if any(each["role"] != "operator" for each in told["people"]):
            peopled_s = time.monotonic()
        await response.write(f"id: {told['sequence']}\nevent: room\ndata: {json.dumps(told)}\n\n".encode())
        await asyncio.sleep(LEAST_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(changed.wait(), EVERY_S)
    await response.write_eof()


@contextmanager
def _watching(studio: Studio, name: str) -> Iterator[asyncio.Event]:
    """An operator is in the room, and hears of what changes. Raises Refusal."""
    room, changed, id = studio.rooms.enter(name), asyncio.Event(), f"operator {secrets.token_hex(8)}"
    if room.presence.count("operator") >= MOST_OPERATORS:
        raise Refusal(503, "This room has operators enough.", "Close one of their pages.", {"Retry-After": "60"})
    room.watching.add(changed.set)
    room.presence.arrive(id, "operator")
    try:
        yield changed
    finally:
        room.watching.discard(changed.set)
        room.presence.leave(id)


async def recordings(request: web.Request) -> web.Response:
    """Of that room. Where there is no token they are told to nobody: whoever has a recording's name has made it."""
    invites = request.app.get(INVITES)
    if invites is not None and not invites.needed:
        raise NOT_TOLD
    return web.json_response({"recordings": request.app[STUDIO].recordings.of_room(request.match_info["name"])})


async def make_link(request: web.Request) -> web.Response:
    """For a role in a room: what goes behind the page's address, until when it opens, and its QR code."""
    asked, room = await read(request, _Link), request.match_info["name"]
    check_invitation(request, asked.role)
    made = request.app[INVITES].make(asked.role, room, asked.channel, round(time.time() * 1000))
    token, until_ms = made or (None, None)
    query = urlencode({"role": asked.role, "room": room} | ({"channel": asked.channel} if asked.channel else {}))
    fields: dict[str, Any] = {"query": query, "token": token, "until": until_ms and until_ms / 1000}
    if asked.address:
        address = f"{asked.address}?{query}" + (f"#token={token}" if token else "")
        fields["qr"] = await asyncio.to_thread(_qr, address)
    return web.json_response(fields, status=201)


async def revoke(request: web.Request) -> web.Response:
    """All links for that role in that room which were made so far; who came by one has to go."""
    room, role = request.match_info["name"], request.match_info["role"]
    now_ms = round(time.time() * 1000)
    try:
        await asyncio.to_thread(request.app[INVITES].revoked.add, room, role, now_ms)
    except OSError as error:
        what = "The links do not open any more, but will after a restart: the server cannot write."
        raise Refusal(507, what, "Make room on its disk, and revoke them again.") from error
    finally:
        await request.app[REVOKES](room, role, now_ms)
    return web.Response(status=204)


def _qr(text: str) -> list[str]:
    """Rows of modules, 1 is dark, with the quiet zone that readers want."""
    code = segno.make(text, error="m", micro=False)
    return ["".join("1" if module else "0" for module in row) for row in code.matrix_iter(border=4)]
