"""Voices of programs and captions, handed on by the front: bodies and messages as they come."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable

from aiohttp import ClientError, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web
from yarl import URL

from realtime_dub.web.config import SessionOptions
from realtime_dub.web.http import captioning, programs, voices, whip
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.routes import read_body
from realtime_dub.web.limits import SOCKET_BYTES
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.workers.proxy import hand_on, who
from realtime_dub.web.workers.worker import Worker

Choose = Callable[[web.Request, SessionOptions], Awaitable[Worker]]
RoomOf = Callable[[web.Request], Worker]


def routes(choose: Choose, room_of: RoomOf) -> list[web.RouteDef]:
    """``choose`` says whose a new session is, ``room_of`` who has the room of that name."""

    async def open_voice(request: web.Request) -> web.StreamResponse:
        options = voices.options_of(request)
        if request.content_type == whip.SDP:
            return await hand_on(request, await choose(request, options), await read_body(request))
        voices.reader_of(request)
        worker = await choose(request, options)
        _leave_time(request)
        return await hand_on(request, worker, most=math.inf)

    async def open_socket(request: web.Request) -> web.StreamResponse:
        return await _socket(request, await choose(request, voices.options_of(request)))

    async def caption(request: web.Request) -> web.StreamResponse:
        captioning.named(request)
        _leave_time(request)
        return await hand_on(request, room_of(request))

    return [
        web.post(programs.VOICE, open_voice),
        web.get(programs.VOICE, open_socket, allow_head=False),
        web.post(programs.CAPTIONS, caption),
        web.options(programs.VOICE, whip.describe),
        web.options(programs.VOICE + "/{id}", whip.describe),
    ]


def _leave_time(request: web.Request) -> None:
    if isinstance(request.protocol, Door):
        request.protocol.leave_time()


async def _socket(request: web.Request, worker: Worker) -> web.StreamResponse:
    """Both ways, until either side has had enough. Raises Refusal."""
    here = web.WebSocketResponse(autoping=False, max_msg_size=SOCKET_BYTES)
    if not here.can_prepare(request).ok:
        raise Refusal(426, "This address is for POST, and for websockets.", "Send audio.", {"Upgrade": "websocket"})
    url, headers = URL(f"{worker.address}{request.rel_url.raw_path_qs}", encoded=True), who(request)
    try:
        async with worker.http.ws_connect(url, headers=headers, autoping=False, max_msg_size=0) as there:
            await here.prepare(request)
            ways = [asyncio.ensure_future(each) for each in (_pass_on(here, there), _pass_on(there, here))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
    except WSServerHandshakeError as error:
        what = "The voice is not taken."
        raise Refusal(error.status, what, "A POST of audio to the same address says why.") from error
    except (ClientError, TimeoutError) as error:
        what = "This part of the server is starting anew."
        raise Refusal(503, what, "Try again in a moment.", {"Retry-After": "2"}) from error
    return here


async def _pass_on(
    source: web.WebSocketResponse | ClientWebSocketResponse, sink: web.WebSocketResponse | ClientWebSocketResponse
) -> None:
    """Message by message: who does not read holds up who writes. Its end is handed on, too."""
    with contextlib.suppress(ConnectionError, ClientError):
        while True:
            message = await source.receive()
            if message.type is WSMsgType.TEXT:
                await sink.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await sink.send_bytes(message.data)
            elif message.type is WSMsgType.PING:
                await sink.ping(message.data)
            elif message.type is WSMsgType.PONG:
                await sink.pong(message.data)
            else:
                break
        await sink.close(code=source.close_code or 1000)
