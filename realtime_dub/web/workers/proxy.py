"""A request handed on to a worker, and its answer handed back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from aiohttp import ClientError, ClientResponse, web
from yarl import URL

from realtime_dub.web import traces
from realtime_dub.web.http.answers import HEADERS
from realtime_dub.web.http.invited import INVITE
from realtime_dub.web.http.routes import CHUNK
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.banks import MOST_BYTES
from realtime_dub.web.workers.wire import INVITED, VISITOR
from realtime_dub.web.workers.worker import Worker

PASSED_ON = ("Content-Type", "Content-Length", "Accept", "If-Match", "If-Range", "Range", "If-None-Match",
             "If-Modified-Since", "If-Unmodified-Since")  # fmt: skip
NOT_HANDED_BACK = {"connection", "keep-alive", "transfer-encoding", "date", "server", "trailer", "upgrade"}
SMALL = 1_000_000  # bytes that are handed back in one piece


async def hand_on(
    request: web.Request, worker: Worker, body: bytes | None = None, most: float = MOST_BYTES
) -> web.StreamResponse:
    """``body`` where it was read already; else as it comes, so much at ``most``. Raises Refusal where the worker is
    gone.
    """
    headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
    headers |= who(request)
    if body is not None:
        headers["Content-Length"] = str(len(body))
    data = body or (_body(request, most) if body is None and request.can_read_body else None)
    url = URL(f"{worker.address}{request.rel_url.raw_path_qs}", encoded=True)
    try:
        async with worker.http.request(request.method, url, data=data, headers=headers, allow_redirects=False) as told:
            return await _hand_back(request, told)
    except (ClientError, TimeoutError) as error:
        what = "This part of the server is starting anew."
        raise Refusal(503, what, "Try again in a moment.", {"Retry-After": "2"}) from error


def who(request: web.Request) -> dict[str, str]:
    """Asks: headers for the worker."""
    headers = {VISITOR: request.remote or ""}
    if parent := traces.PARENT.get():
        headers[traces.HEADER] = parent
    if (invite := request.get(INVITE)) is not None:
        headers[INVITED] = json.dumps(invite.model_dump())  # in ASCII, as headers are
    return headers


async def ask(worker: Worker, path: str) -> bytes:
    """What a worker answers to a question of the front's own; nothing where it is gone."""
    try:
        async with worker.http.get(f"{worker.address}{path}") as told:
            return await told.read() if told.status == 200 else b""
    except (ClientError, TimeoutError):
        return b""


async def _body(request: web.Request, most: float) -> AsyncIterator[bytes]:
    """As it comes. The worker refuses what is too long; this much and no more is read here."""
    size = 0
    while size <= most and (chunk := await request.content.read(CHUNK)):
        size += len(chunk)
        yield chunk


async def _hand_back(request: web.Request, told: ClientResponse) -> web.StreamResponse:
    headers = {name: value for name, value in told.headers.items() if name.lower() not in NOT_HANDED_BACK}
    if told.content_length is not None and told.content_length <= SMALL:
        headers.pop("Content-Length", None)
        return web.Response(status=told.status, headers=headers, body=await told.read())
    response = web.StreamResponse(status=told.status, headers={**headers, **HEADERS})
    await response.prepare(request)
    async for chunk in told.content.iter_chunked(CHUNK):
        await response.write(chunk)
    await response.write_eof()
    return response
