"""The front of several workers: the door, the page, what pages send; all else is handed on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web
from prometheus_client import Gauge

from realtime_dub.web import traces
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http import api, avatars, inspections, operators, pictures, routes, whip
from realtime_dub.web.http.invited import INVITES, REVOKES, check_change, check_options
from realtime_dub.web.http.server import MEASURES, guarded
from realtime_dub.web.http.told import Told
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.metrics import Metrics
from realtime_dub.web.studio.room import EMPTY
from realtime_dub.web.workers import programs_in_front
from realtime_dub.web.workers.labelled import labelled
from realtime_dub.web.workers.load import why_none
from realtime_dub.web.workers.proxy import ask, hand_on
from realtime_dub.web.workers.roster import Roster, starting
from realtime_dub.web.workers.worker import Worker

MakeRoster = Callable[[ServeConfig], Roster]
ROSTER: web.AppKey[Roster] = web.AppKey("roster", Roster)
METRICS: web.AppKey[Metrics] = web.AppKey("metrics", Metrics)


def make_front(make_roster: MakeRoster) -> Callable[[ServeConfig], web.Application]:
    """Makes the application; its workers start and end with it."""

    def make(config: ServeConfig) -> web.Application:
        app = guarded(config)
        app.cleanup_ctx.append(_with_roster(config, make_roster))
        app.add_routes([*_own(), *_handed_on(), *routes.static_routes()])
        return app

    return make


def _own() -> list[web.RouteDef]:
    return [
        web.get("/", routes.page),
        web.get("/healthz", routes.health),
        web.get("/metrics", api.metrics),
        web.get("/readyz", ready),
        web.get("/api/config", config),
        web.post("/api/sessions", open_session),
        web.patch("/api/sessions/{id}", change_session),
        web.get("/api/recordings", recordings),
        web.post("/api/uploads", api.upload),
        *pictures.routes(),
        *inspections.routes(),
        web.get(api.ROOM, room),
        web.get("/api/rooms", rooms),
        web.get(api.ROOM + "/recordings", room_recordings),
        *avatars.routes(),
        *operators.link_routes(),
        *(web.post(f"/{kind}/{{name}}", _stream(kind)) for kind in whip.KINDS),
        *(web.options(f"/{kind}/{{name}}", whip.describe) for kind in whip.KINDS),
        *(web.options(f"/{kind}/{{name}}/{{id}}", whip.describe) for kind in whip.KINDS),
        *programs_in_front.routes(_chosen, _room_of),
    ]


def _handed_on() -> list[web.RouteDef]:
    """What belongs to whoever the name is of."""
    streams = [f"/{kind}/{{name}}/{{id}}" for kind in whip.ROLES]
    paths = ["/api/sessions/{id}", "/api/sessions/{id}/{what:[a-z]+}", *streams]
    return [
        web.route("*", api.ROOM + "{rest:(/people(/\\d{1,9})?|/outputs(/\\d{1,9})?|/languages|/events)?}", _in_room),
        web.route("*", "/api/recordings/{id}", _recording),
        web.get("/api/recordings/{id}/captions", _recording),
        web.put("/api/sessions/{id}/bank", _bank),
        *(web.route("*", path, _by_id) for path in paths),
    ]


def _metrics(roster: Roster, own: Metrics) -> Told:
    """Of all processes, each with its name as a label."""

    what = "Processes that have loaded, and stand in for the next worker that ends"
    Gauge("realtime_dub_spare_workers", what, registry=own.registry).set_function(lambda: roster.spares)

    async def make() -> bytes:
        own.update(())
        ready = [worker for worker in roster.workers if worker.is_ready]
        told = await asyncio.gather(*(ask(worker, "/metrics") for worker in ready))
        numbers = [str(worker.number) for worker in ready]
        texts = {"front": own.text()} | dict(zip(numbers, told, strict=True))
        return await asyncio.to_thread(labelled, texts)  # some milliseconds

    return Told(make)


async def ready(request: web.Request) -> web.Response:
    """Whether one more person can be dubbed; else why not: starting, draining, full or overloaded."""
    return api.readiness(why_none(request.app[ROSTER].loads()))


async def config(request: web.Request) -> web.Response:
    roster = request.app[ROSTER]
    offers = next((worker.offers for worker in roster.workers if worker.offers is not None), None)
    if offers is None:
        raise starting()
    camera = await roster.camera()
    return web.json_response(api.told(request, offers | roster.seats.to_dict(roster.guests()), camera))


async def open_session(request: web.Request) -> web.StreamResponse:
    body = await routes.read_body(request)
    options = routes.options({}, _fields(body).get("options") or {})
    check_options(request, options)
    with traces.placing() as said:
        worker = await _chosen(request, options)
        said |= {"worker": worker.number, "role": options.role}
        return await hand_on(request, worker, body)


async def change_session(request: web.Request) -> web.StreamResponse:
    """A voice out of another room brings whoever speaks there along."""
    body = await routes.read_body(request)
    roster, worker = request.app[ROSTER], request.app[ROSTER].of(request.match_info["id"])
    fields = _fields(body)
    check_change(request, fields)
    voice = fields.get("voice")
    if isinstance(voice, str) and voice.startswith("room:"):
        roster.gather(routes.options({}, {"voice": voice}), worker)
    return await hand_on(request, worker, body)


async def recordings(request: web.Request) -> web.Response:
    """Those of a worker that is not there just now are not lost, but would seem so."""
    roster = request.app[ROSTER]
    for id in request.query.get("ids", "").split(",")[: api.MOST_ASKED]:
        roster.holding(id)
    asking = (ask(worker, request.path_qs) for worker in roster.workers if worker.is_ready)
    told = [json.loads(answer or b"{}") for answer in await asyncio.gather(*asking)]
    return web.json_response({"recordings": [each for answer in told for each in answer.get("recordings", ())]})


async def room(request: web.Request) -> web.StreamResponse:
    worker = request.app[ROSTER].of_room(request.match_info["name"])
    return web.json_response(EMPTY) if worker is None else await hand_on(request, worker)


async def rooms(request: web.Request) -> web.Response:
    told = await _all(request, request.path_qs)
    return web.json_response({"rooms": [each for answer in told for each in answer.get("rooms", ())]})


async def room_recordings(request: web.Request) -> web.Response:
    """Of a room that was at several workers one after another."""
    if not request.app[INVITES].needed:
        raise operators.NOT_TOLD
    told = await _all(request, request.path_qs)
    return web.json_response({"recordings": [each for answer in told for each in answer.get("recordings", ())]})


async def _all(request: web.Request, path: str) -> list[dict[str, Any]]:
    asking = (ask(worker, path) for worker in request.app[ROSTER].workers if worker.is_ready)
    return [json.loads(answer or b"{}") for answer in await asyncio.gather(*asking)]


async def _in_room(request: web.Request) -> web.StreamResponse:
    """By whoever has it; where nobody does, by the one that would."""
    name, roster = request.match_info["name"], request.app[ROSTER]
    worker = roster.of_room(name) or roster.anyone()
    roster.hold(name, worker)
    body = await routes.read_body(request) if request.method != "GET" else None
    return await hand_on(request, worker, body)


def _room_of(request: web.Request) -> Worker:
    """Who has the room; where nobody does, who would."""
    name, roster = request.match_info["name"], request.app[ROSTER]
    return roster.of_room(name) or roster.anyone()


async def _recording(request: web.Request) -> web.StreamResponse:
    return await hand_on(request, request.app[ROSTER].holding(request.match_info["id"]))


async def _bank(request: web.Request) -> web.StreamResponse:
    """Large: handed on as it comes."""
    return await hand_on(request, request.app[ROSTER].of(request.match_info["id"]))


async def _by_id(request: web.Request) -> web.StreamResponse:
    worker = request.app[ROSTER].of(request.match_info["id"])
    return await hand_on(request, worker, await routes.read_body(request))


def _stream(kind: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """What is pushed or played under a name is in the room of that name."""

    async def handle(request: web.Request) -> web.StreamResponse:
        options = whip.options_of(kind, request.match_info["name"])
        return await hand_on(request, await _chosen(request, options), await routes.read_body(request))

    return handle


async def _chosen(request: web.Request, options: SessionOptions) -> Worker:
    try:
        return await request.app[ROSTER].choose(options)
    except Refusal as refusal:
        if refusal.status == 503:
            request.app[METRICS].refused.labels("full").inc()
        raise


def _fields(body: bytes) -> dict[str, Any]:
    """Nothing where it is not such JSON: the worker, who reads it anew, says so."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _with_roster(config: ServeConfig, make_roster: MakeRoster) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        roster = await asyncio.to_thread(make_roster, config)
        await asyncio.to_thread(app[INVITES].revoked.keep, roster.revoked)
        app[ROSTER], app[METRICS], app[REVOKES] = roster, Metrics(), roster.revoke
        app[api.INBOX] = api.Inbox(roster.uploads, roster.used_uploads)
        app[avatars.AVATARS], app[avatars.TRAININGS] = roster.avatars, roster.trainings
        app[avatars.END_SHOWING] = roster.end_showing
        app[api.METRICS] = _metrics(roster, app[METRICS])
        app[MEASURES] = roster.measure
        try:
            await roster.start()
            yield
        finally:
            await roster.close()

    return context
