"""``realtime-dub serve``: puts the server together and runs it until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from realtime_dub.pipeline.process import few_heaps, one_blas_thread, short_waits
from realtime_dub.signals import polite
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import api, routes, whip
from realtime_dub.web.http.connectivity import greeting, with_token
from realtime_dub.web.http.doors import Doors, allow_descriptors
from realtime_dub.web.http.guard import Guard
from realtime_dub.web.http.logs import structured, unheard
from realtime_dub.web.http.stopping import end_in_time
from realtime_dub.web.rtc.ports import loop_factory
from realtime_dub.web.studio.studio import Studio

log = logging.getLogger("realtime_dub.web")


def make_app(config: ServeConfig) -> web.Application:
    """The application; its studio starts and ends with it."""
    app = web.Application(middlewares=[Guard(config).middleware], client_max_size=routes.MOST_JSON)
    app.cleanup_ctx.append(_studio(config))
    app.add_routes(whip.routes() + api.routes())
    return app


def serve(config: ServeConfig, say: Callable[[str], None] = print) -> None:
    """Until Ctrl-C. Raises UserError where it cannot start; ``say`` gets the address for people."""
    config = with_token(config)
    allow_descriptors()
    few_heaps()
    runner = asyncio.Runner(loop_factory=loop_factory(config))
    with one_blas_thread(), short_waits(), structured(config.quiet), runner:
        runner.run(_serve(config, say))


async def _serve(config: ServeConfig, say: Callable[[str], None]) -> None:
    asyncio.get_running_loop().set_exception_handler(unheard)
    app = make_app(config)
    doors = Doors(app, config)
    try:
        say(greeting(config, await doors.open()))
        async with asyncio.TaskGroup() as group:
            measuring = group.create_task(app[api.STUDIO].measure())
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
        studio = await asyncio.to_thread(Studio, config)
        app[api.STUDIO] = app[routes.HOST] = studio
        try:
            await studio.start()
            yield
        finally:
            await studio.close()

    return context
