"""A file that a page asks about: what it says of itself. A process of its own looks at it, and nothing is kept."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from pathlib import Path

from aiohttp import web

from realtime_dub.paths import write_all
from realtime_dub.web.http.receiving import CHUNK, SLOW
from realtime_dub.web.http.routes import CONFIG
from realtime_dub.web.limits import INSPECTIONS, UPLOAD_LONGEST_S, UPLOAD_STALL_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.checks import Checks

_places = threading.BoundedSemaphore(INSPECTIONS)  # of this process, whatever servers are in it
BUSY = Refusal(503, "The server looks at other files.", "Try again in a minute.", {"Retry-After": "10"})


def routes() -> list[web.RouteDef]:
    return [web.post("/api/inspections", inspect)]


async def inspect(request: web.Request) -> web.Response:
    """The body is the file. Raises Refusal."""
    if request.content_type.startswith("multipart/"):  # of which the film in it would be found, without its end
        raise Refusal(415, "The upload is a form.", "Send the file itself as the body.")
    if not _places.acquire(blocking=False):
        raise BUSY
    checks = Checks()
    try:
        folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="realtime-dub-")
        try:
            path = Path(folder.name) / "file"
            await _receive(request, path)
            found = await asyncio.to_thread(checks.run, "inspection", path, path)
        finally:
            checks.close()  # whoever has left waits for nothing
            await asyncio.shield(asyncio.to_thread(folder.cleanup))
    finally:
        _places.release()
    return web.json_response(found)


async def _receive(request: web.Request, path: Path) -> None:
    most, size = request.app[CONFIG].upload_mb * 1_000_000, 0
    file = await asyncio.to_thread(open, path, "xb", 0)
    try:
        async with asyncio.timeout(UPLOAD_LONGEST_S):
            while chunk := await asyncio.wait_for(request.content.read(CHUNK), UPLOAD_STALL_S):
                size += len(chunk)
                if size > most:
                    what = f"The file is larger than {most // 1_000_000} MB."
                    raise Refusal(413, what, "Look at it by realtime-dub inspect.")
                await asyncio.to_thread(write_all, file.fileno(), chunk)
    except TimeoutError:
        raise Refusal(408, *SLOW) from None
    except OSError as error:
        raise Refusal(507, "The server has no room for the file.", "Tell the person who runs the server.") from error
    finally:
        await asyncio.to_thread(file.close)
    if not size:
        raise Refusal(422, "The file is empty.", "Choose another one.")
