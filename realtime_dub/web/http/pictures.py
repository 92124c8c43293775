"""A picture that the page has taken of what it shows: it comes back with content credentials.

Nothing is decoded here. What goes to the library that signs has only the parts that a browser writes, each checked.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Iterator

from aiohttp import web

from realtime_dub.pipeline.credentials import Credentials
from realtime_dub.trust.options import SigningOptions
from realtime_dub.web.http.routes import CONFIG, read_body
from realtime_dub.web.limits import MOST_PICTURE
from realtime_dub.web.refusals import Refusal

PNG = b"\x89PNG\r\n\x1a\n"
KEPT = (b"IHDR", b"sRGB", b"gAMA", b"cHRM", b"PLTE", b"tRNS", b"IDAT", b"IEND")
HEADER, AROUND = 13, 12  # bytes: of IHDR's data, of length, kind and checksum together
log = logging.getLogger("realtime_dub.web")


def routes() -> list[web.RouteDef]:
    return [web.post("/api/pictures", sign)]


async def sign(request: web.Request) -> web.Response:
    """The picture, signed; as it came, where this server signs nothing. Raises Refusal."""
    body = plain_png(await read_body(request, MOST_PICTURE))
    signed = await asyncio.to_thread(_signed, body, request.app[CONFIG].signing)
    return web.Response(body=signed, headers={"Content-Type": "image/png"})


def plain_png(body: bytes) -> bytes:
    """``body`` without all that is no part of its picture. Raises Refusal where it is no PNG, or not a whole one."""
    try:
        parts = list(_parts(body))
    except ValueError:
        parts = []
    kinds = [kind for kind, _ in parts]
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or b"IDAT" not in kinds:
        raise Refusal(422, "That is no picture.", "Send a PNG.")
    return PNG + b"".join(part for kind, part in parts if kind in KEPT)


def _parts(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and all of each chunk, in order. Raises ValueError."""
    if not body.startswith(PNG):
        raise ValueError("no PNG")
    at = len(PNG)
    while at < len(body):
        size, kind = int.from_bytes(body[at : at + 4], "big"), body[at + 4 : at + 8]
        part = body[at : at + AROUND + size]
        whole = len(part) == AROUND + size and zlib.crc32(part[4:-4]) == int.from_bytes(part[-4:], "big")
        if not whole or (kind == b"IHDR") != (at == len(PNG)) or (kind == b"IHDR" and size != HEADER):
            raise ValueError("damaged")
        yield kind, part
        at += len(part)


def _signed(body: bytes, options: SigningOptions | None) -> bytes:
    failed: list[str] = []
    try:
        return Credentials(options).sealed(body, failed.append)
    except Exception as error:  # whatever it is, the visitor keeps the picture
        failed.append(str(error))
        return body
    finally:
        for why in failed:
            log.warning("a picture was not signed: %s", why)
