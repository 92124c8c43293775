"""``realtime-dub serve``: puts the server together and runs it until Ctrl-C."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial

from aiohttp import web

from realtime_dub.errors import ConfigError
from realtime_dub.pipeline.process import one_blas_thread, short_waits
from realtime_dub.web import api, whip
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.connectivity import PortRangeLoop, tls_context
from realtime_dub.web.guard import Guard
from realtime_dub.web.logs import structured
from realtime_dub.web.studio import Studio

log = logging.getLogger("realtime_dub.web")


def make_app(config: ServeConfig) -> web.Application:
    """The application; its studio starts and ends with it."""
    app = web.Application(middlewares=[Guard(config).middleware], client_max_size=api.MOST_JSON)
    app.cleanup_ctx.append(_studio(config))
    app.add_routes(whip.routes() + api.routes())
    return app


def serve(config: ServeConfig, say: Callable[[str], None] = print) -> None:
    """Until Ctrl-C. Raises UserError where it cannot start; ``say`` gets the address for people."""
    if not config.local and config.token is None:
        config = config.model_copy(update={"token": secrets.token_urlsafe(18)})
    with one_blas_thread(), short_waits(), structured(config.quiet):
        factory = partial(PortRangeLoop, config.port_range) if config.port_range is not None else None
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_serve(config, say))


async def _serve(config: ServeConfig, say: Callable[[str], None]) -> None:
    runner = web.AppRunner(make_app(config), access_log=None, handle_signals=False, shutdown_timeout=2)
    await runner.setup()
    try:
        port = await _listen(runner, config)
        say(address(config, port))
        await _interrupted()
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, config: ServeConfig) -> int:
    context = await asyncio.to_thread(tls_context, config)
    site = web.TCPSite(runner, config.host, config.port, ssl_context=context)
    try:
        await site.start()
    except OSError as error:
        where = f"{config.host}:{config.port}: {error.strerror}"
        raise ConfigError("cannot listen on", where, "choose another --host or --port") from None
    port: int = runner.addresses[0][1]
    return port


def address(config: ServeConfig, port: int) -> str:
    """Where to open the page, with the token if there is one."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http{'s' if config.secure else ''}://{host}:{port}/" + (f"?token={config.token}" if config.token else "")


async def _interrupted() -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stop.set)
    await stop.wait()
    log.info("stopping")


def _studio(config: ServeConfig) -> Callable[[web.Application], AsyncIterator[None]]:
    async def context(app: web.Application) -> AsyncIterator[None]:
        studio = await asyncio.to_thread(Studio, config)
        app[api.STUDIO] = studio
        try:
            await studio.start()
            yield
        finally:
            await studio.close()

    return context
