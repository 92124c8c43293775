"""A server of pages that watch one outlet: what ``--to webrtc`` puts beside the local pipeline.

Every viewer is a peer of its own, with its own encoder: one on a slow line skips pictures, and nobody waits for it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from typing import Any

from aiohttp import web
from yarl import URL

from realtime_dub import __version__
from realtime_dub.web import connectivity, visits, whip
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.doors import Doors
from realtime_dub.web.guard import Guard
from realtime_dub.web.outlet import Outlet
from realtime_dub.web.peer import Peer
from realtime_dub.web.pending import make_room
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.traffic import Traffic
from realtime_dub.web.upkeep import attempt_all, repeat

ROOM = "live"
STATS_S, SWEEP_S = 0.5, 1.0
CONNECT_S = 20.0  # for a connection to come about, or to come back
GONE_S = 3.0  # after the other side has said that it closes
log = logging.getLogger("realtime_dub.web")
VIEWERS: web.AppKey[Viewers] = web.AppKey("viewers")


class Viewer:
    """One page, or player, that watches."""

    def __init__(self, id: str, options: SessionOptions, config: ServeConfig, outlet: Outlet) -> None:
        self.id, self.options = id, options
        self.peer: Peer | None = None
        self._config, self._outlet = config, outlet
        self.came = False  # it has been connected
        self.since_s = self._away_s = time.monotonic()  # the latter: since when, while it is
        self._traffic = Traffic()

    async def answer(self, sdp: str) -> str:
        """Connect; also again, from a new connection of the same page. Raises Refusal."""
        before, self.peer = self.peer, Peer(self._config, None, self._outlet, self._changed)
        self._away_s = time.monotonic()
        if before is not None:
            await before.close()
        try:
            return await self.peer.answer(sdp)
        except Refusal:
            await self.peer.close()
            raise

    @property
    def overdue(self) -> bool:
        state = self.peer.state if self.peer is not None else "closed"
        away_s = time.monotonic() - self._away_s
        return (state != "connected" and away_s > CONNECT_S) or (state == "closed" and away_s > GONE_S)

    async def tell(self) -> None:
        """The statistics of this connection, to its page."""
        if self.peer is not None:
            now_s = time.monotonic()
            told: dict[str, Any] = {"t": "stats", "fps": self._traffic.per_second("pictures", self._outlet.sent, now_s)}
            told["room"] = {"state": "live" if self._outlet.flows else "waiting", "sender": self._outlet.sent > 0}
            told |= self._traffic.seen(await self.peer.statistics(), now_s)
            self.peer.tell(json.dumps(told))

    async def close(self) -> None:
        if self.peer is not None:
            await self.peer.close()

    def _changed(self) -> None:
        if self.peer is None or self.peer.state != "connected":
            self._away_s = time.monotonic()
        else:
            self.came = True


class Viewers:
    """All of them, and the server. Made, used and closed on its own loop."""

    def __init__(self, config: ServeConfig, outlet: Outlet) -> None:
        self.config = config
        self.sessions: dict[str, Viewer] = {}
        self._outlet = outlet
        self._doors: Doors | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """Listen; the address to open. Raises ConfigError."""
        app = web.Application(middlewares=[Guard(self.config).middleware], client_max_size=visits.MOST_JSON)
        app[visits.HOST] = app[VIEWERS] = self
        own = [web.get("/", page), web.get("/api/config", told)]
        app.add_routes([*own, *whip.routes(["whep"]), *visits.routes(), *visits.static_routes()])
        self._doors = Doors(app, self.config)
        try:
            port = await self._doors.open()
        except BaseException:
            await self.close()
            raise
        upkeep = ((SWEEP_S, self._sweep), (STATS_S, self._tell))
        self._tasks = [asyncio.create_task(repeat(seconds, step)) for seconds, step in upkeep]
        return connectivity.address(self.config, port)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.end(id, "the run ends") for id in tuple(self.sessions)))
        if self._doors is not None:
            await self._doors.close()

    async def open(self, options: SessionOptions, sdp: str) -> tuple[Viewer, str]:
        """Raises Refusal."""
        if options.role != "viewer":
            raise Refusal(403, "This page is for watching.", "Start realtime-dub serve for a studio.")
        if sum(each.came for each in self.sessions.values()) >= self.config.max_sessions:
            what = f"{self.config.max_sessions} are watching, and there is no room for more."
            raise Refusal(503, what, "Try again in a minute.", {"Retry-After": "60"})
        await make_room(self.sessions.values(), self.end, time.monotonic())
        viewer = Viewer(secrets.token_urlsafe(16), options, self.config, self._outlet)
        self.sessions[viewer.id] = viewer
        try:
            return viewer, await viewer.answer(sdp)
        except BaseException:
            await self.end(viewer.id, "refused")
            raise

    def find(self, id: str) -> Viewer:
        """Raises Refusal."""
        if id not in self.sessions:
            raise Refusal(404, "There is no such session.", "Start a new one.")
        return self.sessions[id]

    async def end(self, id: str, why: str) -> None:
        viewer = self.sessions.pop(id, None)
        if viewer is not None:
            await viewer.close()
            log.info("a viewer left", extra={"session": id, "why": why})

    def on_air(self, room: str) -> bool:
        return room == ROOM

    async def _sweep(self) -> None:
        overdue = [id for id, viewer in self.sessions.items() if viewer.overdue]
        await attempt_all(self.end(id, "not connected") for id in overdue)
        came = [id for id, viewer in self.sessions.items() if viewer.came]
        await attempt_all(self.end(id, "full") for id in came[self.config.max_sessions :])

    async def _tell(self) -> None:
        await attempt_all(viewer.tell() for viewer in tuple(self.sessions.values()))


async def page(request: web.Request) -> web.StreamResponse:
    """The studio's page in its role of a viewer."""
    if request.query.get("role") != "viewer":
        raise web.HTTPFound(str(URL("/").with_query({**request.query, "role": "viewer", "room": ROOM})))
    return await visits.page(request)


async def told(request: web.Request) -> web.Response:
    viewers = request.app[VIEWERS]
    counts = {"sessions": len(viewers.sessions), "max_sessions": viewers.config.max_sessions}
    none: dict[str, list[str]] = {"engines": [], "features": []}
    more = {
        "version": __version__,
        "watch": ROOM,
        "budgets": {"min_ms": 0, "default_ms": 0},
        "limits": {"upload_mb": 0},
    }
    return web.json_response({**counts, **none, **more, "ice_servers": viewers.config.ice_servers})
