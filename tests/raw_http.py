"""HTTP as no library would send it: bytes to a port, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Answer:
    """``status`` 0: the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> Any:
        return json.loads(self.body)


async def connect(url: str, data: bytes = b"", source: str | None = None) -> Streams:
    """From another address of this machine where one is named; with a receive buffer that a long answer fills."""
    parts = urlsplit(url)
    local = (source, 0) if source else None
    streams = await asyncio.open_connection(parts.hostname, parts.port, local_addr=local)
    streams[1].write(data)
    return streams


def leave(*connections: Streams) -> None:
    for _, writer in connections:
        writer.transport.abort()


async def answer_of(streams: Streams, seconds: float = 20.0, head: bool = False) -> Answer:
    """The next answer on a connection; ``head``: one without its body."""
    reader, _ = streams
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.timeout(seconds):
            return await _read(reader, head)
    return Answer(0, {}, b"")


async def _read(reader: asyncio.StreamReader, head: bool) -> Answer:
    while True:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        body = b"" if head else await reader.readexactly(int(headers.get("content-length", 0)))
        if status >= 200:
            return Answer(status, headers, body)


async def ask(url: str, data: bytes, source: str | None = None, seconds: float = 20.0) -> Answer:
    """One request on a connection of its own."""
    streams = await connect(url, data, source)
    try:
        return await answer_of(streams, seconds, head=data.startswith(b"HEAD "))
    finally:
        leave(streams)


async def closed_in(streams: Streams, seconds: float = 20.0) -> float:
    """How long the server keeps a connection."""
    began_s = time.monotonic()
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(seconds):
            await streams[0].read()
    return time.monotonic() - began_s
