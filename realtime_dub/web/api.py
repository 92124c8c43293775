"""The requests of the page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Literal

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from yarl import URL

from realtime_dub import __version__
from realtime_dub.web import banks
from realtime_dub.web.config import LIVE_OPTIONS, SessionOptions
from realtime_dub.web.guard import COOKIE
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import Studio

STATIC = Path(__file__).with_name("static")
STUDIO: web.AppKey[Studio] = web.AppKey("studio", Studio)
FEATURES = ("recording", "enroll", "bank", "rooms", "uploads", "pictures")  # what the page shows buttons for
MOST_JSON = 128 * 1024
CHUNK = 256 * 1024


class _Offer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    sdp: str = Field(max_length=64 * 1024)
    type: str = Field(pattern="^offer$")
    options: dict[str, Any] = Field(default_factory=dict, max_length=20)


class _Candidate(BaseModel):
    candidate: str = Field(max_length=1024)
    sdpMid: str | None = Field(None, max_length=64)
    sdpMLineIndex: int | None = Field(None, ge=0, le=16)


class _Record(BaseModel):
    action: Literal["start", "stop"]


class _Enroll(BaseModel):
    seconds: float = Field(5, ge=1, le=60)


class _Candidates(BaseModel):
    candidate: _Candidate | None


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", page),
        web.get("/healthz", health),
        web.get("/metrics", metrics),
        web.get("/api/config", config),
        web.post("/api/sessions", open_session),
        web.patch("/api/sessions/{id}", change_session),
        web.delete("/api/sessions/{id}", end_session),
        web.post("/api/sessions/{id}/candidates", add_candidate),
        web.post("/api/sessions/{id}/ice", connect_again),
        web.post("/api/sessions/{id}/recording", record),
        web.get("/api/recordings/{id}", recording),
        web.post("/api/sessions/{id}/enroll", enroll),
        web.get("/api/sessions/{id}/bank", give_bank),
        web.put("/api/sessions/{id}/bank", take_bank),
        web.post("/api/uploads", upload),
        web.get("/{name:[\\w.-]+}", static),
        web.get("/static/{name:.+}", static),
    ]


async def page(request: web.Request) -> web.StreamResponse:
    """A token in the address becomes a cookie, so that it stays in no history."""
    studio = request.app[STUDIO]
    if studio.config.token is not None and "token" in request.query:
        rest = {name: value for name, value in request.query.items() if name != "token"}
        response = web.HTTPFound(str(URL("/").with_query(rest)))
        response.set_cookie(COOKIE, studio.config.token, httponly=True, samesite="Strict", secure=request.secure)
        raise response
    return _file(STATIC / "index.html")


async def static(request: web.Request) -> web.StreamResponse:
    return _file(STATIC / request.match_info["name"])


async def health(request: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def metrics(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    studio.metrics.look(studio.sessions.values())
    return web.Response(body=studio.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


async def config(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    told = studio.told() | {"version": __version__, "ice_servers": studio.config.ice_servers}
    told["limits"] = {"upload_mb": studio.config.upload_mb}
    told["features"] = [*FEATURES, *(["server-voice"] if studio.config.server_mic else [])]
    return web.json_response(told)


async def open_session(request: web.Request) -> web.Response:
    offer = await _read(request, _Offer)
    session, answer = await request.app[STUDIO].open(_options({}, offer.options), offer.sdp)
    told = {"id": session.id, "sdp": answer, "type": "answer", "options": session.options.model_dump()}
    return web.json_response(told, status=201, headers={"Location": f"/api/sessions/{session.id}"})


async def change_session(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    changes = await _read_json(request)
    if not isinstance(changes, dict) or set(changes) - LIVE_OPTIONS:
        raise Refusal(422, "Only some options can be changed.", f"Change {', '.join(sorted(LIVE_OPTIONS))}.")
    new = _options(session.options.model_dump(), changes)
    await session.change({name: getattr(new, name) for name in changes})
    return web.json_response({"options": session.options.model_dump()})


async def end_session(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    await studio.end(studio.find(request.match_info["id"]).id, "the page ended it")
    return web.Response(status=204)


async def add_candidate(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    given = (await _read(request, _Candidates)).candidate
    if session.peer is not None:
        line = given.candidate if given is not None else None
        await session.peer.add_candidate(line, given and given.sdpMid, given and given.sdpMLineIndex)
    return web.Response(status=204)


async def connect_again(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    offer = await _read(request, _Offer)
    return web.json_response({"sdp": await session.answer(offer.sdp), "type": "answer"})


async def record(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    if (await _read(request, _Record)).action == "start":
        session.start_recording()
        return web.json_response({"state": "recording"})
    id = await session.stop_recording()
    if id is None:
        raise Refusal(409, "Nothing was recorded.", "Start a recording while a picture is shown.")
    return web.json_response({"state": "stopped", "url": f"/api/recordings/{id}"})


async def recording(request: web.Request) -> web.StreamResponse:
    path = request.app[STUDIO].uploads.find(request.match_info["id"], "recording")
    headers = {"Content-Type": "video/mp4", "Content-Disposition": 'attachment; filename="ai-dubbed.mp4"'}
    return web.FileResponse(path, headers=headers)


async def enroll(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    session.enroll((await _read(request, _Enroll)).seconds)
    return web.json_response({"state": "learning"})


async def give_bank(request: web.Request) -> web.Response:
    bank = request.app[STUDIO].find(request.match_info["id"]).bank
    if bank is None:
        raise Refusal(404, "Nothing is known of the person yet.", "Let the camera see the face first.")
    body = await asyncio.to_thread(banks.to_bytes, bank)
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="me.bank"'}
    return web.Response(body=body, headers=headers)


async def take_bank(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    session.use_bank(await asyncio.to_thread(banks.from_bytes, await read_body(request, banks.MOST_BYTES)))
    return web.json_response({"state": "loaded"})


async def upload(request: web.Request) -> web.Response:
    uploads = request.app[STUDIO].uploads
    if not request.content_type.startswith("multipart/"):
        raise Refusal(415, "The upload is no form.", "Send the file as multipart/form-data.")
    try:
        part = await (await request.multipart()).next()
    except ValueError as error:
        raise Refusal(400, "The form cannot be read.", "Send one file as multipart/form-data.") from error
    if not isinstance(part, BodyPartReader) or not part.filename:
        raise Refusal(400, "The form has no file.", "Send one file.")
    path = uploads.begin(part.filename)
    try:
        await _receive(part, path, uploads.most_bytes)
    except BaseException:
        await asyncio.to_thread(path.unlink, True)
        raise
    kept = await asyncio.to_thread(uploads.keep, path)
    return web.json_response(kept.told(), status=201)


async def _receive(part: BodyPartReader, path: Path, most: int) -> None:
    size = 0
    file = await asyncio.to_thread(path.open, "xb")
    try:
        while chunk := await part.read_chunk(CHUNK):
            size += len(chunk)
            if size > most:
                raise Refusal(413, f"The file is larger than {most // 1_000_000} MB.", "Send a smaller one.")
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)


def _options(present: dict[str, Any], changes: dict[str, Any]) -> SessionOptions:
    try:
        return SessionOptions(**{**present, **changes})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(each) for each in first["loc"])[:60] or "options"
        what = f"The option {name} cannot be used"
        raise Refusal(422, f"{what}: {first['msg'].removeprefix('Value error, ')}.", "Change it.") from error
    except TypeError as error:
        raise Refusal(422, "The options cannot be used.", "Name each option once, by a word.") from error


async def _read(request: web.Request, model: type[Any]) -> Any:
    try:
        return model.model_validate(await _read_json(request))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(each) for each in first["loc"])[:60] or "request"
        raise Refusal(400, f"The request cannot be used: {name}: {first['msg']}.", "Send it as described.") from error


async def read_body(request: web.Request, most: int = MOST_JSON) -> bytes:
    """What a request carries. Raises Refusal where it is too long."""
    body = bytearray()
    while len(body) <= most and (more := await request.content.read(CHUNK)):
        body += more
    if len(body) > most:
        raise Refusal(413, "The request is too long.", f"Keep it below {most // 1024} kB.")
    return bytes(body)


async def _read_json(request: web.Request) -> Any:
    try:
        return json.loads(await read_body(request))
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "The request is no JSON.", "Send JSON.") from error


def _file(path: Path) -> web.StreamResponse:
    """A file of the page; what lies outside its folder is not there."""
    if ".." in path.parts or not path.is_relative_to(STATIC) or path.suffix == ".py":
        raise web.HTTPNotFound
    return web.FileResponse(path, headers={"Cache-Control": "no-cache"})
