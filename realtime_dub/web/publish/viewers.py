"""A server of pages that watch one output timeline: what ``--to webrtc`` puts beside the local pipeline.

Every viewer is a peer of its own; all share one encoder per codec, and nobody waits for one on a slow line.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from yarl import URL

from realtime_dub import __version__
from realtime_dub.web.config import ServeConfig, SessionOptions
from realtime_dub.web.http import connectivity, routes, whip
from realtime_dub.web.http.doors import Doors
from realtime_dub.web.http.guard import Guard
from realtime_dub.web.leavings import Leavings
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.feed import Feed
from realtime_dub.web.rtc.forwarder.forwarder import Forwarder
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.rtc.peer import Peer
from realtime_dub.web.rtc.traffic import Traffic
from realtime_dub.web.said import said
from realtime_dub.web.studio.connection import Connection
from realtime_dub.web.studio.pending import make_room
from realtime_dub.web.upkeep import attempt_all, repeat

ROOM = "live"
STATS_S, SWEEP_S = 0.5, 1.0
log = logging.getLogger("realtime_dub.web")
VIEWERS: web.AppKey[Viewers] = web.AppKey("viewers")


class Viewer:
    """One page, or player, that watches."""

    def __init__(
        self, id: str, options: SessionOptions, config: ServeConfig, timeline: OutputTimeline, forwarder: Forwarder
    ) -> None:
        self.id, self.options = id, options
        self._timeline = timeline
        self._traffic = Traffic()
        self._connection = Connection(partial(_peer, config, timeline, forwarder), lambda: True, timeline.clock)

    async def answer(self, sdp: str) -> str:
        """Connect; also again, from a new connection of the same page. Raises Refusal."""
        return await self._connection.answer(sdp)

    async def add_candidate(self, line: str | None, mid: str | None, index: int | None) -> None:
        await self._connection.add_candidate(line, mid, index)

    @property
    def ufrag(self) -> str | None:
        return self._connection.ufrag

    @property
    def came(self) -> bool:
        """It has been connected."""
        return self._connection.came

    @property
    def since_s(self) -> float:
        return self._connection.since_s

    @property
    def overdue(self) -> bool:
        return self._connection.overdue(math.inf) is not None

    async def statistics(self) -> dict[str, Any]:
        """Of this connection, for its page."""
        now_s = time.monotonic()
        fields: dict[str, Any] = {"t": "stats", "fps": self._traffic.per_second("pictures", self._timeline.sent, now_s)}
        state = "live" if self._timeline.flows else "waiting"
        fields["room"] = {"state": state, "sender": self._timeline.sent > 0}
        found = await self._connection.statistics()
        return fields if found is None else fields | self._traffic.seen(found, now_s)

    async def send_statistics(self) -> None:
        self._connection.send(json.dumps(await self.statistics()))

    async def close(self, why: str) -> None:
        await self._connection.close()
        log.info("a viewer left", extra={"session": self.id, "why": why})


class Viewers:
    """All of them, and the server. Made, used and closed on its own loop.

    ``badge``: the corner in which the picture itself says that it is dubbed.
    """

    def __init__(self, config: ServeConfig, timeline: OutputTimeline, badge: str | None = None) -> None:
        self.config, self.badge = config, badge
        self.sessions: dict[str, Viewer] = {}
        self._timeline = timeline
        self._doors: Doors | None = None
        self._leavings = Leavings()
        self._forwarder = Forwarder()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """Listen; the address to open. Raises ConfigError."""
        app = web.Application(middlewares=[Guard(self.config).middleware], client_max_size=routes.MOST_JSON)
        app[routes.CONFIG] = self.config
        app[routes.HOST] = app[VIEWERS] = self
        own = [web.get("/", page), web.get("/api/config", config)]
        app.add_routes([*own, *whip.routes(["whep"]), *routes.routes(), *routes.static_routes()])
        self._doors = Doors(app, self.config)
        try:
            port = await self._doors.open()
        except BaseException:
            await self.close()
            raise
        upkeep = ((SWEEP_S, self._sweep), (SWEEP_S, self._leavings.sweep), (STATS_S, self._send_statistics))
        self._tasks = [asyncio.create_task(repeat(seconds, step)) for seconds, step in upkeep]
        return connectivity.address(self.config, port)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.end(id, "the run ends") for id in tuple(self.sessions)))
        await self._forwarder.close()
        if self._doors is not None:
            await self._doors.close()

    async def open(self, options: SessionOptions, sdp: str) -> tuple[Viewer, str]:
        """Raises Refusal."""
        if options.role != "viewer":
            raise Refusal(403, "This page is for watching.", "Start realtime-dub serve for a studio.")
        if sum(each.came for each in self.sessions.values()) >= self.config.max_sessions:
            what = said("{most} are watching, and there is no room for more.", most=self.config.max_sessions)
            raise Refusal(503, what, "Try again in a minute.", {"Retry-After": "60"})
        await make_room(self.sessions.values(), self.end, time.monotonic())
        viewer = Viewer(secrets.token_urlsafe(16), options, self.config, self._timeline, self._forwarder)
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
            self._leavings.add()
            await viewer.close(why)

    def on_air(self, room: str) -> bool:
        return room == ROOM

    async def _sweep(self) -> None:
        overdue = [id for id, viewer in self.sessions.items() if viewer.overdue]
        await attempt_all(self.end(id, "not connected") for id in overdue)
        came = [id for id, viewer in self.sessions.items() if viewer.came]
        await attempt_all(self.end(id, "full") for id in came[self.config.max_sessions :])

    async def _send_statistics(self) -> None:
        await attempt_all(viewer.send_statistics() for viewer in tuple(self.sessions.values()))


def _peer(config: ServeConfig, timeline: OutputTimeline, forwarder: Forwarder, changed: Callable[[], None]) -> Peer:
    return Peer(config, None, Feed(lambda: (timeline, timeline, 0.0), *config.bitrates, forwarder), changed)


async def page(request: web.Request) -> web.StreamResponse:
    """The studio's page in its role of a viewer."""
    if (request.query.get("role"), request.query.get("room")) != ("viewer", ROOM):  # there is no other
        raise web.HTTPFound(str(URL("/").with_query({**request.query, "role": "viewer", "room": ROOM})))
    return await routes.page(request)


async def config(request: web.Request) -> web.Response:
    viewers = request.app[VIEWERS]
    counts = {"sessions": len(viewers.sessions), "max_sessions": viewers.config.max_sessions}
    none: dict[str, list[str]] = {"engines": [], "features": []}
    more = {
        "version": __version__,
        "watch": ROOM,
        "badge": viewers.badge,
        "budgets": {"min_ms": 0, "default_ms": 0},
        "limits": {"upload_mb": 0},
    }
    return web.json_response({**counts, **none, **more, "ice_servers": viewers.config.ice_servers})
