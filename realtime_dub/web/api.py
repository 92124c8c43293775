"""The requests that only the studio's page makes; what it shares with other servers is in ``visits``."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from aiohttp import BodyPartReader, web
from pydantic import BaseModel, Field

from realtime_dub import __version__
from realtime_dub.web import banks, visits
from realtime_dub.web.config import LIVE_OPTIONS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import Studio
from realtime_dub.web.visits import CHUNK, options, read, read_body, read_json

STUDIO: web.AppKey[Studio] = web.AppKey("studio", Studio)
FEATURES = ("recording", "enroll", "bank", "rooms", "uploads", "pictures")  # what the page shows buttons for


class _Record(BaseModel):
    action: Literal["start", "stop"]


class _Enroll(BaseModel):
    seconds: float = Field(5, ge=1, le=60)


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", visits.page),
        web.get("/metrics", metrics),
        web.get("/api/config", config),
        web.patch("/api/sessions/{id}", change_session),
        web.post("/api/sessions/{id}/recording", record),
        web.get("/api/recordings/{id}", recording),
        web.post("/api/sessions/{id}/enroll", enroll),
        web.get("/api/sessions/{id}/bank", give_bank),
        web.put("/api/sessions/{id}/bank", take_bank),
        web.post("/api/uploads", upload),
        web.get("/api/rooms/{name:[\\w-]{1,64}}", room),
        *visits.routes(),
        *visits.static_routes(),
    ]


async def metrics(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    studio.metrics.look(studio.sessions.values())
    return web.Response(body=studio.metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4"})


async def config(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    told = studio.told() | {"version": __version__, "ice_servers": studio.config.ice_servers}
    told["limits"] = {"upload_mb": studio.config.upload_mb}
    told["invite"] = studio.config.token  # for links to be handed on; whoever reads this has it already
    told["features"] = [*FEATURES, *(["server-voice"] if studio.config.server_mic else [])]
    return web.json_response(told)


async def room(request: web.Request) -> web.Response:
    """For who waits outside until somebody stops sending."""
    return web.json_response(request.app[STUDIO].rooms.asked(request.match_info["name"]))


async def change_session(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    changes = await read_json(request)
    if not isinstance(changes, dict) or set(changes) - LIVE_OPTIONS:
        raise Refusal(422, "Only some options can be changed.", f"Change {', '.join(sorted(LIVE_OPTIONS))}.")
    new = options(session.options.model_dump(), changes)
    await session.change({name: getattr(new, name) for name in changes})
    return web.json_response({"options": session.options.model_dump()})


async def record(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    if (await read(request, _Record)).action == "start":
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
    session.enroll((await read(request, _Enroll)).seconds)
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
