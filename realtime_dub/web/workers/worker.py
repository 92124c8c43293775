"""A worker as the front has it: come by, heard, and come by anew where it ends without being asked to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import ClientSession, ClientTimeout, UnixConnector

from realtime_dub.web.workers.load import Load
from realtime_dub.web.workers.spare import Spare, start
from realtime_dub.web.workers.wire import Channel, Guest, Order, Report, SocketChannel, Task

MODULE = "realtime_dub.web.workers.process"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 30.0  # before it is started anew; twice as long each time it was not ready
ASKED_S = 1.0  # where somebody else starts it: how often it is asked for at least
CONNECT_S = 2.0
log = logging.getLogger("realtime_dub.web")


class Body(Protocol):
    """Where a worker is: a process of this machine, or an actor of a fleet."""

    http: ClientSession
    comes_by_itself: bool  # somebody else starts it

    @property
    def address(self) -> str:
        """Of what it answers requests at, without a path."""

    async def begin(self) -> Channel:
        """To it, once it is there. Raises OSError where it is not."""

    async def end(self, expected: bool) -> str:
        """Its channel is over: let go of it; why, in words."""

    async def close(self, within_s: float) -> None:
        """The front ends."""


class Worker:
    """On the front's loop. ``changed`` is called when its guests are others, ``ready`` when it can have some."""

    def __init__(
        self, number: int, body: Body, changed: Callable[[Worker], None], ready: Callable[[Worker], None]
    ) -> None:
        self.number, self.body = number, body
        self.guests: dict[str, Guest] = {}
        self.offers: dict[str, Any] | None = None  # None: it is not ready
        self.load: Load | None = None  # as it was told last
        self.moving: frozenset[str] = frozenset()  # rooms that it gives away
        self.camera: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._changed, self._ready = changed, ready
        self._channel: Channel | None = None
        self._closing = False
        self.failed = ""  # why it ended before it was ready, the last time

    @property
    def is_ready(self) -> bool:
        return self.offers is not None

    @property
    def http(self) -> ClientSession:
        return self.body.http

    @property
    def address(self) -> str:
        return self.body.address

    def tell(self, order: Order) -> None:
        if self._channel is not None:
            self._channel.tell(order)

    async def run(self) -> None:
        """Until :meth:`close`; the first one, without which there is no server, until it cannot be ready once."""
        pause_s, ever = FIRST_PAUSE_S, False
        most_s = ASKED_S if self.body.comes_by_itself else LONGEST_PAUSE_S
        while not self._closing:
            why = await self._live()
            ever = ever or self.is_ready
            if not self.is_ready:
                self.failed = self.failed or why
            if self.number == 0 and not ever and not self.body.comes_by_itself:
                return
            pause_s = FIRST_PAUSE_S if self.is_ready else min(2 * pause_s, most_s)
            self._gone()
            if self._closing:
                return
            log.error(
                "a worker has ended and is started anew", extra={"worker": self.number, "why": self.failed or why}
            )
            await asyncio.sleep(pause_s)

    async def close(self, within_s: float) -> None:
        """It ends by itself, or is killed."""
        self._closing = True
        if self._channel is not None:
            self._channel.close()
        await self.body.close(within_s)
        await self.http.close()

    async def _live(self) -> str:
        """From its start to its end; why it ended."""
        self.failed = ""
        try:
            self._channel = await self.body.begin()
        except OSError as error:
            return str(error)
        async for line in self._channel.lines():
            self._hear(Report.model_validate(line))
        self._channel.close()
        return await self.body.end(self._closing)

    def _hear(self, report: Report) -> None:
        if report.load is not None:
            self.load = report.load
        if report.moving is not None:
            self.moving = frozenset(report.moving)
        if report.guests is not None:
            self.guests = {each.id: each for each in report.guests}
            self._changed(self)
        if report.camera is not None and not self.camera.done():
            self.camera.set_result(report.camera)
        if report.failed is not None:
            self.failed = report.failed
        if report.offers is not None:
            self.offers = report.offers
            self._ready(self)

    def _gone(self) -> None:
        self.offers, self.guests, self._channel = None, {}, None
        self.load, self.moving = None, frozenset()
        self._changed(self)


class ProcessBody:
    """A process of this machine, started by us or the spare one. Its channel is its life line."""

    address = "http://worker"
    comes_by_itself = False

    def __init__(self, task: Task, spare: Spare) -> None:
        self.http = ClientSession(
            connector=UnixConnector(str(task.socket), limit=0, force_close=True),  # none is ever found closed
            timeout=ClientTimeout(total=None, sock_connect=CONNECT_S),
            auto_decompress=False,
        )
        self._task, self._spare = task, spare
        self._process: asyncio.subprocess.Process | None = None

    async def begin(self) -> Channel:
        self._process, mine = self._spare.take() or await start(MODULE)
        await asyncio.to_thread(self._task.socket.unlink, missing_ok=True)
        channel = await SocketChannel.of(mine)
        channel.say(self._task.line())
        return channel

    async def end(self, expected: bool) -> str:
        assert self._process is not None, "begun before"
        with contextlib.suppress(ProcessLookupError):
            if not expected:
                self._process.kill()
        return f"a process that dubs ended with code {await self._process.wait()}"

    async def close(self, within_s: float) -> None:
        if self._process is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), within_s)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
