"""The requests that only the studio's page makes; what it shares with other servers is in ``routes``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from realtime_dub import __version__
from realtime_dub.media import NS
from realtime_dub.pipeline.camera import CameraMode
from realtime_dub.web.config import LIVE_OPTIONS, ROOM_NAME, ServeConfig
from realtime_dub.web.http import connectivity, inspections, pictures
from realtime_dub.web.http import routes as common
from realtime_dub.web.http.invited import check_change
from realtime_dub.web.http.receiving import receive
from realtime_dub.web.http.routes import options, read, read_body, read_json
from realtime_dub.web.http.told import Told
from realtime_dub.web.limits import FILM_BYTES, RECORDING_KEPT_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import banks
from realtime_dub.web.studio.file_kinds import FILES
from realtime_dub.web.studio.handle import HandoverStep
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.studio.uploads import WRITTEN, Uploads

MOST_ASKED = 50  # recordings in one question
STUDIO: web.AppKey[Studio] = web.AppKey("studio", Studio)
METRICS: web.AppKey[Told] = web.AppKey("metrics", Told)
FEATURES = ("recording", "enroll", "bank", "rooms", "uploads", "pictures", "avatars")  # what the page shows buttons for


@dataclass(frozen=True)
class Inbox:
    """Where files that pages send go; ``used()`` names those that sessions use."""

    uploads: Uploads
    used: Callable[[], set[str]]


ROOM = f"/api/rooms/{{name:{ROOM_NAME}}}"
INBOX: web.AppKey[Inbox] = web.AppKey("inbox", Inbox)


class _Record(BaseModel):
    action: Literal["start", "stop"]


class _Steer(BaseModel):
    playing: bool | None = None
    at_s: float | None = Field(None, ge=0, le=36_000)
    loop: bool | None = None


class _Floor(BaseModel):
    action: HandoverStep
    to: int | None = Field(None, ge=1)


class _Enroll(BaseModel):
    seconds: float = Field(5, ge=1, le=60)
    consent: bool = False  # whoever is at the page confirms that the face is theirs, or its owner agrees


def routes() -> list[web.RouteDef]:
    return [
        web.get("/", common.page),
        web.get("/metrics", metrics),
        web.get("/readyz", ready),
        web.get("/api/config", config),
        web.patch("/api/sessions/{id}", change_session),
        web.post("/api/sessions/{id}/recording", record),
        web.get("/api/recordings", recordings),
        web.get("/api/recordings/{id}", recording),
        web.get("/api/recordings/{id}/captions", recording_captions),
        web.delete("/api/recordings/{id}", dismiss_recording),
        web.post("/api/sessions/{id}/enroll", enroll),
        web.get("/api/sessions/{id}/bank", give_bank),
        web.put("/api/sessions/{id}/bank", take_bank),
        web.delete("/api/sessions/{id}/bank", forget_face),
        web.post("/api/sessions/{id}/voice", steer_voice),
        web.post("/api/sessions/{id}/floor", hand_over),
        web.post("/api/uploads", upload),
        web.get(ROOM, room),
        *pictures.routes(),
        *inspections.routes(),
        *common.routes(),
        *common.static_routes(),
    ]


async def ready(request: web.Request) -> web.Response:
    """Whether one more person can be dubbed; for whatever spreads visitors over several servers."""
    return readiness("" if request.app[STUDIO].has_seat("studio") else "full")


def readiness(why: str) -> web.Response:
    """``why`` not: in a word; empty where it is ready."""
    return web.json_response({"status": why or "ready"}, status=503 if why else 200)


async def metrics(request: web.Request) -> web.Response:
    body = await request.app[METRICS].get()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4"})


def metrics_of(studio: Studio) -> Told:
    """What ``metrics`` tells where the visitors are in this process."""

    async def make() -> bytes:
        studio.metrics.update(studio.sessions.values())
        return studio.metrics.text()

    return Told(make)


async def config(request: web.Request) -> web.Response:
    studio = request.app[STUDIO]
    return web.json_response(told(request, studio.to_dict(), camera_fields(await studio.camera.mode())))


def told(request: web.Request, offers: dict[str, Any], camera: dict[str, Any]) -> dict[str, Any]:
    """What the page is told at its start, beside what the studio ``offers`` and this machine holds of a ``camera``."""
    config = request.app[common.CONFIG]
    fields = {"version": __version__, "ice_servers": config.ice_servers, "camera": camera, **offers}
    fields["badge"] = config.badge_style.corner
    fields["share"] = connectivity.shared(config, _port(request))
    fields["limits"] = {"upload_mb": config.upload_mb, "recording_kept_s": RECORDING_KEPT_S, "files": FILES}
    fields["limits"] |= {"film_mb": FILM_BYTES // 1_000_000}
    fields["features"] = [*FEATURES, *(name for name, there in _extras(config).items() if there)]
    return fields


def _extras(config: ServeConfig) -> dict[str, bool]:
    """What not every server has."""
    return {"server-voice": config.server_mic is not None, "avatar-training": config.train_avatars > 0}


def camera_fields(mode: CameraMode) -> dict[str, Any]:
    return {"width": mode.width, "height": mode.height, "fps": mode.fps, "why": mode.why}


def _port(request: web.Request) -> int:
    """The server's."""
    name = request.get_extra_info("sockname")
    return int(name[1]) if name else 0


async def room(request: web.Request) -> web.Response:
    """For who waits outside until somebody stops sending."""
    return web.json_response(request.app[STUDIO].rooms.asked(request.match_info["name"]))


async def change_session(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    changes = await read_json(request)
    if not isinstance(changes, dict) or set(changes) - LIVE_OPTIONS:
        raise Refusal(422, "Only some options can be changed.", f"Change {', '.join(sorted(LIVE_OPTIONS))}.")
    new = options(session.options.model_dump(), changes)
    check_change(request, changes)
    await session.change({name: getattr(new, name) for name in changes})
    return web.json_response({"options": session.options.model_dump()})


async def record(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    if (await read(request, _Record)).action == "start":
        return web.json_response(await session.start_recording(request.remote or ""))
    kept = await session.stop_recording()
    if kept is None:
        raise Refusal(409, "Nothing was recorded.", "Start a recording while video is shown.")
    return web.json_response(kept | {"state": "stopped"})


async def recordings(request: web.Request) -> web.Response:
    """Of those that are named, what has become of them."""
    ids = request.query.get("ids", "").split(",")
    if len(ids) > MOST_ASKED:
        raise Refusal(400, "Too many recordings were asked for.", f"Ask for {MOST_ASKED} at most.")
    return web.json_response({"recordings": request.app[STUDIO].recordings.to_dicts(ids)})


async def recording(request: web.Request) -> web.StreamResponse:
    path = request.app[STUDIO].recordings.find(request.match_info["id"])
    headers = {"Content-Type": "video/mp4", "Content-Disposition": 'attachment; filename="ai-dubbed.mp4"'}
    return web.FileResponse(path, headers=headers)


async def recording_captions(request: web.Request) -> web.StreamResponse:
    path = request.app[STUDIO].recordings.find_captions(request.match_info["id"])
    headers = {"Content-Type": "text/vtt", "Content-Disposition": 'attachment; filename="ai-dubbed.vtt"'}
    return web.FileResponse(path, headers=headers)


async def dismiss_recording(request: web.Request) -> web.Response:
    await asyncio.to_thread(request.app[STUDIO].recordings.remove, request.match_info["id"])
    return web.Response(status=204)


async def enroll(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    asked = await read(request, _Enroll)
    await session.enroll(asked.seconds, asked.consent)
    return web.json_response({"state": "learning"})


async def forget_face(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    if (leases := request.app.get(common.LEASES)) is not None:
        await leases.forget(session.id)
    told = await session.forget()
    return web.json_response({"state": "forgotten", "proof": told})


async def give_bank(request: web.Request) -> web.Response:
    bank = await request.app[STUDIO].find(request.match_info["id"]).known()
    if bank is None:
        raise Refusal(404, "Nothing is known of the person yet.", "Let the camera see the face first.")
    body = await asyncio.to_thread(banks.to_bytes, bank)
    headers = {"Content-Type": "application/octet-stream", "Content-Disposition": 'attachment; filename="me.bank"'}
    return web.Response(body=body, headers=headers)


async def take_bank(request: web.Request) -> web.Response:
    session = request.app[STUDIO].find(request.match_info["id"])
    body = read_body(request, banks.MOST_BYTES)
    await session.use_bank(await request.app[STUDIO].banks.read(session.id, session.options.engine, body))
    return web.json_response({"state": "loaded"})


async def steer_voice(request: web.Request) -> web.Response:
    """A voice from a file: pause it, go on, from another place, repeat it or not."""
    session = request.app[STUDIO].find(request.match_info["id"])
    asked = await read(request, _Steer)
    at_ns = None if asked.at_s is None else round(asked.at_s * NS)
    return web.json_response({"voice": await session.steer_voice(asked.playing, at_ns, asked.loop)})


async def hand_over(request: web.Request) -> web.Response:
    """Interpreters of one channel: propose it, confirm what the other one has proposed, or withdraw it."""
    session = request.app[STUDIO].find(request.match_info["id"])
    asked = await read(request, _Floor)
    await session.hand_over(asked.action, asked.to)
    return web.Response(status=204)


async def upload(request: web.Request) -> web.Response:
    inbox = request.app[INBOX]
    use = request.query.get("use")
    kept = await receive(request, inbox.uploads, inbox.used, use if use in WRITTEN else None)
    return web.json_response(kept.to_dict(), status=201)
