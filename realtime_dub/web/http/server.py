"""``realtime-dub serve``: puts the server together and runs it until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

from realtime_dub.pipeline.process import few_heaps, one_thread_each, short_waits
from realtime_dub.signals import polite
from realtime_dub.web import traces
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import api, avatars, operators, programs, routes, whip
from realtime_dub.web.http.connectivity import greeting, with_token
from realtime_dub.web.http.doors import Doors, allow_descriptors
from realtime_dub.web.http.guard import Guard
from realtime_dub.web.http.invited import CAME_BY, INVITES, REVOKES
from realtime_dub.web.http.logs import structured, unheard
from realtime_dub.web.http.stopping import end_in_time
from realtime_dub.web.invites import Invites
from realtime_dub.web.rtc.ports import loop_factory
from realtime_dub.web.studio.keeping import OwnKeeping
from realtime_dub.web.studio.studio import Studio

MakeApp = Callable[[ServeConfig], web.Application]
# What this machine holds, looked for once the doors are open: nobody waits for it.
MEASURES: web.AppKey[Callable[[], Coroutine[Any, Any, None]]] = web.AppKey("measures")
log = logging.getLogger("realtime_dub.web")


def make_app(config: ServeConfig) -> web.Application:
    """The application; its studio starts and ends with it."""
    app = guarded(config)
    app.cleanup_ctx.append(_studio(config))
    app.add_routes(whip.routes() + programs.routes() + operators.routes() + avatars.routes() + api.routes())
    return app


def guarded(config: ServeConfig) -> web.Application:
    """An application without anything yet."""
    invites = Invites(config.token, config.link_hours)
    app = web.Application(middlewares=[Guard(config, invites).middleware], client_max_size=routes.MOST_JSON)
    app[routes.CONFIG], app[INVITES] = config, invites
    return app


def serve(config: ServeConfig, say: Callable[[str], None] = print, make: MakeApp = make_app) -> None:
    """Until Ctrl-C. Raises UserError where it cannot start; ``say`` gets the address for people."""
    with working(config) as runner:
        runner.run(_serve(with_token(config), say, make))


@contextmanager
def working(config: ServeConfig, worker: int | None = None) -> Iterator[asyncio.Runner]:
    """The process is set up for real time, and has a loop. ``worker``: its number, for the log."""
    traces.tracer()  # whatever keeps it from being there is told now
    allow_descriptors()
    few_heaps()
    runner = asyncio.Runner(loop_factory=loop_factory(config))
    with one_thread_each(), short_waits(), structured(config.quiet, worker), runner:
        yield runner


async def _serve(config: ServeConfig, say: Callable[[str], None], make: MakeApp) -> None:
    asyncio.get_running_loop().set_exception_handler(unheard)
    app = make(config)
    doors = Doors(app, config)
    try:
        say(greeting(config, await doors.open()))
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(app[MEASURES]())
            await _interrupted()
            measuring.cancel()
    finally:
        await doors.close()


async def _interrupted() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, *polite()):
        loop.add_signal_handler(each, stop.set)
    await stop.wait()
    end_in_time()
    log.info("stopping")


def _studio(config: ServeConfig) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        keeping = await asyncio.to_thread(OwnKeeping, config)
        await asyncio.to_thread(app[INVITES].revoked.keep, keeping.revoked)
        studio = Studio(config, keeping=keeping)
        app[api.STUDIO] = app[routes.HOST] = studio
        app[CAME_BY], app[REVOKES] = studio.links.came, studio.links.revoke
        app[api.INBOX] = api.Inbox(keeping.uploads, studio.used_uploads)
        app[avatars.AVATARS], app[avatars.TRAININGS] = keeping.avatars, keeping.trainings
        app[avatars.END_SHOWING] = studio.end_showing
        app[api.METRICS] = api.metrics_of(studio)
        app[MEASURES] = studio.measure
        try:
            await studio.start()
            yield
        finally:
            await studio.close()

    return context
