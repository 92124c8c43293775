"""How connections come in: how many, from whom, and how long each may take.

The server accepts them itself, because asyncio's own server counts none, tells nothing of a TLS handshake before it is
over, and fills the log where descriptors run out. Where all places are taken, the address that has most of them gives
one way, the longest silent first: so a proxy or an office may have them all as long as nobody else asks.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import ssl
import time
from functools import partial
from typing import Any

from aiohttp import web

from realtime_dub.errors import ConfigError
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import connectivity
from realtime_dub.web.http.callers import caller_of
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.places import Place, Places
from realtime_dub.web.upkeep import log_failure, repeat

SWEEP_S, RETRY_S = 1.0, 0.2
EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
log = logging.getLogger("realtime_dub.web")


class Doors:
    """The listening sockets of an application. Made, opened and closed on its loop."""

    def __init__(self, app: web.Application, config: ServeConfig) -> None:
        self._config = config
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=limits.ANSWERS_S)
        self._places = Places(most_connections())
        self._context: ssl.SSLContext | None = None
        self._listeners: list[socket.socket] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> int:
        """Start the application and take requests; the port, where none was given. Raises ConfigError."""
        self._context = await asyncio.to_thread(connectivity.tls_context, self._config)
        await self._runner.setup()
        self._listeners = await _listeners(self._config.host, self._config.port)
        work = [*map(self._accept, self._listeners), repeat(SWEEP_S, self._sweep)]
        self._tasks = [asyncio.create_task(each, name="doors") for each in work]
        for task in self._tasks:
            task.add_done_callback(log_failure)
        port: int = self._listeners[0].getsockname()[1]
        return port

    async def close(self) -> None:
        """What is being answered has a moment; then the application ends. Idempotent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        await self._places.end_handshakes()
        await self._runner.cleanup()

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            await _somebody(listener)
            await asyncio.sleep(self._let_in(listener))

    def _let_in(self, listener: socket.socket) -> float:
        """Take who waits, some at once; how many seconds the others on the loop have before the next."""
        for _ in range(limits.ACCEPTED_AT_ONCE):
            try:
                accepted, address = listener.accept()
            except OSError as error:
                return self._not_accepted(error)
            if self._arrived(accepted, address[0]):
                return 0.0
        return limits.REFUSALS_REST_S  # there was none but refusals

    def _not_accepted(self, error: OSError) -> float:
        if error.errno not in EXHAUSTED:
            return 0.0  # nobody is there any more
        log.error("no connection can be taken: files or memory are used up")
        self._places.give_one_up()
        return RETRY_S

    def _arrived(self, accepted: socket.socket, address: str) -> bool:
        accepted.setblocking(False)
        place = self._places.take(caller_of(address), time.monotonic())
        if place is None:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # nothing of it stays
            accepted.close()
            return False
        place.handshake = asyncio.create_task(self._connect(place, accepted), name="handshake")
        return True

    async def _connect(self, place: Place, accepted: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        waits_s = limits.TLS_S if self._context is not None else None
        make = partial(Door, self._runner.server, place, self._places)
        try:
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                unread_ms = int(1000 * limits.UNREAD_S)
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, unread_ms)
            await loop.connect_accepted_socket(make, accepted, ssl=self._context, ssl_handshake_timeout=waits_s)
        except BaseException as error:
            accepted.close()
            self._places.leave(place)
            if not isinstance(error, OSError | TimeoutError):  # who speaks no TLS, or leaves, is no fault
                raise
        finally:
            place.handshake = None

    async def _sweep(self) -> None:
        now_s = time.monotonic()
        for place in self._places.all():
            place.enforce(now_s)


def most_connections() -> int:
    """Half the descriptors that are allowed at most: pictures, sound and files need theirs."""
    return min(limits.MOST_CONNECTIONS, max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2))


def allow_descriptors() -> None:
    """As many as the system lets this process have, for the rest of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = limits.MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, limits.MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def _somebody(listener: socket.socket) -> None:
    """Wait until somebody wants to come in. Where descriptors are used up, accept fails also if nobody does."""
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(listener, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(listener)


async def _listeners(host: str, port: int) -> list[socket.socket]:
    """Bound by asyncio, which resolves names; taken from it, as it cannot accept as wanted here. Raises ConfigError."""
    loop = asyncio.get_running_loop()
    never: Any = None
    try:
        server = await loop.create_server(never, host, port, start_serving=False)
        listeners = [each.dup() for each in server.sockets]
        server.close()
        for listener in listeners:
            listener.listen(limits.BACKLOG)
    except OSError as error:
        where = f"{host}:{port}: {error.strerror}"
        raise ConfigError("cannot listen on", where, "choose another host or port") from None
    return listeners
