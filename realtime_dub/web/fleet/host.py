"""One worker of a fleet: the studio without a door, on a TCP port that gateways alone can use.

What a gateway asks has the fleet's secret in a header. Its channel is a websocket of the same port, one for each
gateway; a worker outlives them all.
"""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

from aiohttp import web

from realtime_dub.errors import ConfigError
from realtime_dub.web import limits
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.thread import LoopThread
from realtime_dub.web.http.logs import unheard
from realtime_dub.web.http.routes import Handler
from realtime_dub.web.store import store_of
from realtime_dub.web.studio.avatars import FoundAvatars
from realtime_dub.web.studio.keeping import SharedKeeping
from realtime_dub.web.studio.names import Names
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.workers.hosting import Hosting
from realtime_dub.web.workers.load import Load

CHANNEL = "/channel"
SECRET = "X-Fleet"
UPLOADS, RECORDINGS, AVATARS, LEASES = "uploads", "recordings", "avatars", "leases"


class Host(LoopThread):
    """In an actor's process. What others call is blocking, and of any thread."""

    def __init__(self, config: FleetConfig, number: int, node: str) -> None:
        self._config, self._number, self._node = config, number, node
        self._hosting: Hosting | None = None
        super().__init__(f"worker {number}", config.at(node), number)

    @property
    def load(self) -> Load | None:
        """None before it is ready."""
        return self._hosting.duties.load if self._hosting is not None else None

    def drain(self, wanted: bool) -> None:
        """Move away who is here, and have nobody come, or not any more."""
        if self._hosting is not None:
            self.do(self._hosting.duties.drain(wanted))

    async def work(self) -> None:
        asyncio.get_running_loop().set_exception_handler(unheard)
        self._config.check_version()
        config, folder = self._config.at(self._node), self._config.folder
        store = await asyncio.to_thread(store_of, self._config.redis, folder / LEASES)
        studio = Studio(config, keeping=await asyncio.to_thread(self._keeping, folder))
        hosting = Hosting(studio, store, before=(self._opened,), channel=CHANNEL)
        runner = web.AppRunner(hosting.app, access_log=None, handle_signals=False, shutdown_timeout=limits.ANSWERS_S)
        try:
            await studio.start()
            await asyncio.to_thread(studio.warm_up)
            await runner.setup()
            self.listens(await self._listen(runner))
            hosting.begin()
            self._hosting = hosting
            await self.stopped()
        finally:
            await hosting.close()
            await studio.close()
            await runner.cleanup()

    def _keeping(self, folder: Path) -> SharedKeeping:
        """Blocking. Raises ConfigError."""
        uploads, recordings, avatars = (folder / name for name in (UPLOADS, RECORDINGS, AVATARS))
        make_folders(folder)
        found = FoundAvatars(avatars, self._config.serve.avatars)
        names = Names(self._number, self._config.workers)
        return SharedKeeping(uploads, recordings, found, names, self._config.serve.signing)

    async def _listen(self, runner: web.AppRunner) -> str:
        """At the first port that is free; the address. Raises ConfigError."""
        for port in self._config.ports:
            try:
                await web.TCPSite(runner, self._node, port).start()
            except OSError:
                continue
            return f"http://{self._node}:{port}"
        what = f"{self._config.worker_ports} of {self._node}"
        raise ConfigError("no port of a worker's is free", what, "give more of them with --worker-ports")

    @web.middleware
    async def _opened(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not hmac.compare_digest(request.headers.get(SECRET, "").encode(), self._config.secret.encode()):
            return web.Response(status=403)  # no people come here
        return await handler(request)


def make_folders(folder: Path) -> None:
    """Blocking. Private ones. Raises ConfigError."""
    try:
        for name in (UPLOADS, RECORDINGS, AVATARS, LEASES):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        advice = "name one that all nodes see, and that this user can write"
        raise ConfigError("cannot use --folder", f"{folder}: {error.strerror}", advice) from error
