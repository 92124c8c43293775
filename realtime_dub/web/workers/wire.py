"""What front and worker tell each other: JSON objects, over a socket that only they have, or a websocket of a fleet's.

The socket is a worker's life line, too: where it ends, the worker ends. A fleet's workers outlive their gateways.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from aiohttp import ClientWebSocketResponse, WSMessage, WSMsgType, web
from pydantic import BaseModel, ConfigDict

from realtime_dub.web.config import ServeConfig
from realtime_dub.web.workers.load import Load

MOST_LINE = 4 * 1024 * 1024
VISITOR = "X-Visitor"  # the header that tells a worker where a request comes from
INVITED = "X-Invited"  # and by which link, as JSON


class Task(BaseModel):
    """The first line: what a worker is to be, and the ``socket`` on which it answers requests."""

    model_config = ConfigDict(frozen=True)

    config: ServeConfig
    number: int
    of: int
    socket: Path
    uploads: Path
    recordings: Path
    avatars: Path
    leases: Path | None = None  # what is known of people, for who comes back to another worker

    def line(self) -> bytes:
        """Only what was given: what a person did not choose is still open (``ServeConfig.fps_asked``)."""
        return self.model_dump_json(exclude_unset=True).encode() + b"\n"


class Guest(BaseModel):
    """A session, as its worker tells of it. ``made`` and ``missed``: mouths since it was last told of."""

    model_config = ConfigDict(frozen=True)

    id: str
    role: str
    voice: str
    picture: str
    came: bool
    since_s: float
    background: str = "recorded"
    room: str | None = None
    made: int = 0
    missed: int = 0

    @property
    def has_seat(self) -> bool:
        return self.came


class Report(BaseModel):
    """A line from a worker. What is None has not changed."""

    model_config = ConfigDict(frozen=True)

    guests: list[Guest] | None = None
    offers: dict[str, Any] | None = None  # engines and budgets, once it is ready
    camera: dict[str, Any] | None = None  # what this machine holds, measured
    failed: str | None = None  # why it cannot be ready: the user can mend it
    load: Load | None = None  # once a second
    moving: list[str] | None = None  # rooms that it gives away


class Order(BaseModel):
    """A line to a worker."""

    model_config = ConfigDict(frozen=True)

    measure: bool = False  # what this machine holds
    fps: float | None = None  # that another worker has found this machine to hold
    yields: list[str] | None = None  # the sessions for which no mouths are to be made at present
    dubbed: int | None = None  # people, in all workers
    end: str | None = None  # a session
    why: str = ""
    revoked: tuple[str, str, int] | None = None  # links: of a room, for a role, made until then (ms)
    drain: bool | None = None  # move away who is here; None: as it was


class Channel(Protocol):
    """One end of it, on a loop."""

    def tell(self, what: BaseModel) -> None:
        """Never waits."""

    def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Until the other end is gone."""

    def close(self) -> None:
        """Idempotent."""


class SocketChannel:
    """A line each, between two processes of one machine."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, end: socket.socket) -> SocketChannel:
        return cls(*await asyncio.open_connection(sock=end, limit=MOST_LINE))

    def tell(self, what: BaseModel) -> None:
        self.say(what.model_dump_json(exclude_none=True).encode() + b"\n")

    def say(self, line: bytes) -> None:
        """Never waits: what the other side does not read in time is little."""
        if not self._writer.is_closing():
            self._writer.write(line)

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        """Until the other end is gone."""
        try:
            while line := await self._reader.readline():
                yield json.loads(line)
        except (OSError, ValueError):  # torn off
            return

    def close(self) -> None:
        self._writer.close()


class WebChannel:
    """A message each, between machines. Who does not read for ``MOST_WAITING`` messages is let go; so is who says
    nothing for ``silent_s``, where that is given: a machine that is gone says nothing.
    """

    MOST_WAITING = 1_000
    AGAIN_S = 0.5  # where this process was held up itself, what came meanwhile is there

    def __init__(self, socket: ClientWebSocketResponse | web.WebSocketResponse, silent_s: float | None = None) -> None:
        self._socket, self._silent_s = socket, silent_s
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue(self.MOST_WAITING)
        self._writer = asyncio.create_task(self._write(), name="channel")

    def tell(self, what: BaseModel) -> None:
        try:
            self._waiting.put_nowait(what.model_dump_json(exclude_none=True))
        except asyncio.QueueFull:
            self.close()

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        try:
            while (message := await self._next()).type is WSMsgType.TEXT:
                yield json.loads(message.data)
        except (OSError, ValueError):  # a timeout is an OSError
            return
        finally:
            self.close()

    async def _next(self) -> WSMessage:
        """Raises TimeoutError."""
        try:
            return await self._socket.receive(self._silent_s)
        except TimeoutError:
            return await self._socket.receive(self.AGAIN_S)

    def close(self) -> None:
        self._writer.cancel()

    async def _write(self) -> None:
        try:
            while (text := await self._waiting.get()) is not None:
                await self._socket.send_str(text)
        except OSError:
            return
        finally:
            with contextlib.suppress(OSError):
                await asyncio.shield(self._socket.close())


def first_line(end: socket.socket) -> bytes:
    """Blocking, and not a byte more: what follows is the loop's. Raises EOFError."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = end.recv(1)
        if not byte:
            raise EOFError
        line += byte
    return bytes(line)
