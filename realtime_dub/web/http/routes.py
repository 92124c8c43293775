"""What every server of pages does alike, the studio's and that of ``--to webrtc``: the page, offers, candidates."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from realtime_dub.validation import first_problem
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http.absent import absent, why_absent
from realtime_dub.web.http.guard import COOKIE
from realtime_dub.web.http.invited import INVITE, check_options, note_link
from realtime_dub.web.http.page_files import FILES, page_of
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.handle import SessionHandle

MOST_JSON = 128 * 1024
CHUNK = 256 * 1024
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Host(Protocol):
    """Who has the sessions."""

    async def open(self, options: SessionOptions, sdp: str) -> tuple[SessionHandle, str]:
        """A new session and the answer to its offer. Raises Refusal."""

    def find(self, id: str) -> SessionHandle:
        """Raises Refusal."""

    async def end(self, id: str, why: str) -> None:
        """End a session, if there is one of that name."""

    def on_air(self, room: str) -> bool:
        """Whether a room has a picture to watch."""


class Kept(Protocol):
    """Where a page that comes back finds what was known of its person, where there is such a place."""

    async def take_over(self, after: str, session: Any) -> bool:
        """What was known in the session ``after`` is known in this one."""

    async def forget(self, id: str) -> None:
        """Idempotent."""


HOST: web.AppKey[Host] = web.AppKey("host")
LEASES: web.AppKey[Kept] = web.AppKey("leases")
CONFIG: web.AppKey[ServeConfig] = web.AppKey("config", ServeConfig)  # as the server was started


class _Offer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sdp: str = Field(max_length=64 * 1024)
    type: str = Field(pattern="^offer$")
    options: dict[str, Any] = Field(default_factory=dict, max_length=20)
    after: str | None = Field(None, max_length=64)  # the session that this page had, and lost


class _Candidate(BaseModel):
    candidate: str = Field(max_length=1024)
    sdpMid: str | None = Field(None, max_length=64)
    sdpMLineIndex: int | None = Field(None, ge=0, le=16)


class _Candidates(BaseModel):
    candidate: _Candidate | None


def routes() -> list[web.RouteDef]:
    """All but the page, which is the server's own, and its parts, which come last as they match anything."""
    return [
        web.get("/healthz", health),
        web.post("/api/sessions", open_session),
        web.get("/api/sessions/{id}", show_session),
        web.delete("/api/sessions/{id}", end_session),
        web.post("/api/sessions/{id}/candidates", add_candidate),
        web.post("/api/sessions/{id}/ice", connect_again),
    ]


def static_routes() -> list[web.RouteDef]:
    return [web.get("/{name:[\\w.-]+}", static), web.get("/static/{name:.+}", static)]


async def page(request: web.Request) -> web.StreamResponse:
    """A token in the address becomes a cookie, so that it stays in no history."""
    config = request.app[CONFIG]
    if config.token is not None and "token" in request.query:
        rest = {name: value for name, value in request.query.items() if name != "token"}
        response = web.HTTPFound(str(URL("/").with_query(rest)))
        token = request.query["token"] if INVITE in request else config.token
        response.set_cookie(COOKIE, token, httponly=True, samesite="Strict", secure=request.secure)
        raise response
    return absent(request) if why_absent(request.query) else _part(page_of(request.query.get("role")))


async def static(request: web.Request) -> web.StreamResponse:
    return _part(request.match_info["name"])


async def health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def open_session(request: web.Request) -> web.Response:
    offer = await read(request, _Offer)
    asked = options({}, offer.options)
    check_options(request, asked)
    session, answer = await request.app[HOST].open(asked, offer.sdp)
    await note_link(request, session.id)
    if offer.after and (leases := request.app.get(LEASES)) is not None:
        await leases.take_over(offer.after, session)
    fields = {"id": session.id, "sdp": answer, "type": "answer", "options": session.options.model_dump()}
    return web.json_response(fields, status=201, headers={"Location": f"/api/sessions/{session.id}"})


async def show_session(request: web.Request) -> web.Response:
    """For a page that has not been told anything for a while: whether there still is such a session."""
    return web.json_response({"options": request.app[HOST].find(request.match_info["id"]).options.model_dump()})


async def end_session(request: web.Request) -> web.Response:
    host = request.app[HOST]
    await host.end(host.find(request.match_info["id"]).id, "the page ended it")
    return web.Response(status=204)


async def add_candidate(request: web.Request) -> web.Response:
    session = request.app[HOST].find(request.match_info["id"])
    given = (await read(request, _Candidates)).candidate
    line = given.candidate if given is not None else None
    await session.add_candidate(line, given and given.sdpMid, given and given.sdpMLineIndex)
    return web.Response(status=204)


async def connect_again(request: web.Request) -> web.Response:
    session = request.app[HOST].find(request.match_info["id"])
    offer = await read(request, _Offer)
    return web.json_response({"sdp": await session.answer(offer.sdp), "type": "answer"})


def options(present: dict[str, Any], changes: dict[str, Any]) -> SessionOptions:
    """``present`` with ``changes``. Raises Refusal."""
    try:
        return SessionOptions(**{**present, **changes})
    except ValidationError as error:
        problem = first_problem(error)
        what = f"The option {problem.where or 'options'} cannot be used"
        raise Refusal(422, f"{what}: {problem.what}.", "Change it.") from error
    except TypeError as error:
        raise Refusal(422, "The options cannot be used.", "Name each option once, by a word.") from error


async def read(request: web.Request, model: type[Any]) -> Any:
    """A request's JSON as ``model``. Raises Refusal."""
    try:
        return model.model_validate(await read_json(request))
    except ValidationError as error:
        problem = first_problem(error)
        what = f"The request cannot be used: {problem.where or 'request'}: {problem.what}."
        raise Refusal(400, what, "Send it as described.") from error


async def read_body(request: web.Request, most: int = MOST_JSON) -> bytes:
    """What a request carries. Raises Refusal where it is too long."""
    body = bytearray()
    while len(body) <= most and (more := await request.content.read(CHUNK)):
        body += more
    if len(body) > most:
        raise Refusal(413, "The request is too long.", f"Keep it below {most // 1024} kB.")
    return bytes(body)


async def read_json(request: web.Request) -> Any:
    """Raises Refusal."""
    return parsed(await read_body(request))


def parsed(body: bytes) -> Any:
    """JSON. Raises Refusal."""
    try:
        return json.loads(body, parse_constant=_no_number, object_pairs_hook=_once_each)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The request is not JSON.", "Send JSON.") from error


def _no_number(name: str) -> None:
    """NaN and its like are no JSON, though Python reads them."""
    raise ValueError(name)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice means one thing to one reader and another to the next."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name appears twice")
    return found


def _part(name: str) -> web.StreamResponse:
    """A file of the page."""
    if name not in FILES:
        raise web.HTTPNotFound
    return web.FileResponse(FILES[name], headers={"Cache-Control": "no-cache"})
