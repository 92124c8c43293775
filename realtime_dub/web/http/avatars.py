"""Requests about avatars: those that are there, one that a page sends, and one that is trained of a film."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from realtime_dub.mouth.avatar.packed import REST, pack
from realtime_dub.web.http.receiving import receive
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.avatar_training import Trainings
from realtime_dub.web.studio.avatars import Avatars

MOST_ASKED = 20  # avatars in one question
AVATARS: web.AppKey[Avatars] = web.AppKey("avatars", Avatars)
TRAININGS: web.AppKey[Trainings] = web.AppKey("trainings", Trainings)
END_SHOWING: web.AppKey[Callable[[str, str], Awaitable[None]]] = web.AppKey("end_showing")  # a picture; why
OWN = "/api/avatars/{id:[\\w-]{1,64}}"
NONE_TRAINED = Refusal(409, "This server trains no avatars.", "Start it with --train-avatars, or send an avatar.")


def routes() -> list[web.RouteDef]:
    return [
        web.get("/api/avatars", avatars),
        web.post("/api/avatars", send),
        web.post("/api/avatars/films", send_film),
        web.delete(OWN, remove),
        web.get(OWN + "/file", give),
        web.get(OWN + "/picture", picture),
        web.get(OWN + "/preview", preview),
        web.post(OWN + "/training", agree),
        web.post(OWN + "/consent", confirm),
    ]


async def avatars(request: web.Request) -> web.Response:
    """Those that everybody may choose; of those that are named, what has become of them."""
    ids = [each for each in request.query.get("ids", "").split(",") if each]
    if len(ids) > MOST_ASKED:
        raise Refusal(400, "Too many avatars were asked for.", f"Ask for {MOST_ASKED} at most.")
    trainings = request.app[TRAININGS]
    offered, own = await asyncio.to_thread(lambda: (request.app[AVATARS].offered(), trainings.tell(ids)))
    return web.json_response({"offered": offered, "own": own})


async def send(request: web.Request) -> web.Response:
    """An avatar in one file."""
    inbox = request.app[AVATARS]
    return web.json_response(await receive(request, inbox, tuple, "avatar"), status=201)


async def send_film(request: web.Request) -> web.Response:
    """A film that an avatar is to be trained of."""
    trainings = request.app[TRAININGS]
    if not trainings.most:
        raise NONE_TRAINED
    await asyncio.to_thread(trainings.let_in, request.remote or "")
    return web.json_response(await receive(request, trainings, tuple, "film"), status=201)


async def agree(request: web.Request) -> web.Response:
    """Whoever sent the film has seen what is wrong with it, and wants the training."""
    return web.json_response(await asyncio.to_thread(request.app[TRAININGS].agree, request.match_info["id"]))


async def confirm(request: web.Request) -> web.Response:
    """Whoever sent the avatar confirms that its person agrees to it."""
    return web.json_response(await asyncio.to_thread(request.app[AVATARS].agree, request.match_info["id"]))


async def remove(request: web.Request) -> web.Response:
    """Also what is being made; this takes a consent back. No session shows it any longer."""
    name = request.match_info["id"]
    await asyncio.to_thread(request.app[TRAININGS].remove, name)
    await request.app[END_SHOWING](f"avatar:{name}", "the avatar was deleted")
    return web.Response(status=204)


async def give(request: web.Request) -> web.Response:
    """As it can be sent again."""
    folder = await asyncio.to_thread(request.app[AVATARS].find_own, request.match_info["id"])
    body = await asyncio.to_thread(_packed, folder)
    headers = {"Content-Type": "application/zip", "Content-Disposition": 'attachment; filename="me.avatar.zip"'}
    return web.Response(body=body, headers=headers)


async def picture(request: web.Request) -> web.StreamResponse:
    """The person at rest."""
    folder = await asyncio.to_thread(request.app[AVATARS].find, request.match_info["id"])
    return _png(folder / REST)


async def preview(request: web.Request) -> web.StreamResponse:
    """Of a training: its newest picture."""
    return _png(await asyncio.to_thread(request.app[TRAININGS].preview, request.match_info["id"]))


def _png(path: Path) -> web.FileResponse:
    return web.FileResponse(path, headers={"Content-Type": "image/png", "Cache-Control": "no-store"})


def _packed(folder: Path) -> bytes:
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as place:
        path = Path(place) / "me.zip"
        pack(folder, path)
        return path.read_bytes()
