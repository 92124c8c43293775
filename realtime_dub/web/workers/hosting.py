"""A studio without a door, as a worker has it: what it can be asked, what it does by order, what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Middleware
from prometheus_client import Gauge

from realtime_dub.web import traces
from realtime_dub.web.http import api, operators, programs, routes, whip
from realtime_dub.web.http.guard import answer
from realtime_dub.web.http.invited import CAME_BY, INVITE
from realtime_dub.web.invites import Invite
from realtime_dub.web.store import Store
from realtime_dub.web.studio.leases import Leases
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.workers.load import Load
from realtime_dub.web.workers.secretary import Duties, Secretary
from realtime_dub.web.workers.wire import INVITED, MOST_LINE, VISITOR, WebChannel

LOAD: dict[str, tuple[str, Callable[[Load], float]]] = {
    "seats": ("People who may be dubbed at a time", lambda load: load.seats),
    "dubbed": ("People who are dubbed", lambda load: load.dubbed),
    "late_share": ("Share of the frames of the last seconds that were late", lambda load: load.late),
    "busy_share": ("Share of its processor time that is taken", lambda load: load.busy),
    "draining": ("Whether it moves away who is there", lambda load: load.draining),
}
HEARTBEAT_S = 20.0  # of fronts: one whose machine is gone is not told any more


class Hosting:
    """On the worker's loop. ``store`` is where others find what is known of a person; None: nobody would. ``before``:
    what a request has to pass. ``channel``: the path of a websocket for fronts, where they come over a network.
    """

    def __init__(
        self, studio: Studio, store: Store | None, before: Sequence[Middleware] = (), channel: str | None = None
    ) -> None:
        self._studio = studio
        self.leases = Leases(store, studio.sessions.values) if store is not None else None
        self.duties = Duties(studio, self.leases.keep if self.leases is not None else None)
        self.app = web.Application(middlewares=[*before, _answered], client_max_size=routes.MOST_JSON)
        if channel is not None:
            self.app.router.add_get(channel, self._talk)
        _fill(self.app, studio)
        if self.leases is not None:
            self.app[routes.LEASES] = self.leases
        for name, (what, value) in LOAD.items():
            gauge = Gauge(f"realtime_dub_{name}", what, registry=studio.metrics.registry)
            gauge.set_function(partial(self._measured, value))

    def _measured(self, value: Callable[[Load], float]) -> float:
        return float(value(self.duties.load))

    def begin(self) -> None:
        self.duties.begin()
        if self.leases is not None:
            self.leases.begin()

    async def close(self) -> None:
        await self.duties.close()
        if self.leases is not None:
            await self.leases.close()

    async def _talk(self, request: web.Request) -> web.StreamResponse:
        """With one front, until it is gone."""
        socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, max_msg_size=MOST_LINE)
        await socket.prepare(request)
        channel = WebChannel(socket)
        secretary = Secretary(self._studio, channel, self.duties)
        try:
            await secretary.work()
        finally:
            await secretary.close()
            channel.close()
        return socket


def _fill(app: web.Application, studio: Studio) -> None:
    """All that the studio can be asked for; whoever asks has passed the front's guard."""
    app[api.STUDIO] = app[routes.HOST] = studio
    app[routes.CONFIG], app[CAME_BY] = studio.config, studio.links.came
    app[api.METRICS] = api.metrics_of(studio)
    app.add_routes(whip.routes() + programs.routes() + operators.room_routes() + api.routes())


@web.middleware
async def _answered(request: web.Request, handler: routes.Handler) -> web.StreamResponse:
    request = request.clone(remote=request.headers.get(VISITOR, ""))
    traces.PARENT.set(request.headers.get(traces.HEADER, ""))
    if INVITED in request.headers:
        request[INVITE] = Invite.model_validate_json(request.headers[INVITED])
    return await answer(request, handler)
