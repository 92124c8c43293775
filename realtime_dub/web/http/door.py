"""One connection: aiohttp's handling of requests, with a time for each part and nothing of a visitor in the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from realtime_dub.web import limits
from realtime_dub.web.http.answers import FAILED, HEADERS, NO_HTTP, SLOW, answered, plain
from realtime_dub.web.refusals import Refusal

if TYPE_CHECKING:
    from realtime_dub.web.http.places import Place, Places

OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # a few kB may become gigabytes, before anybody is asked for the token
    "keepalive_timeout": limits.IDLE_S,
    "lingering_time": limits.LINGER_S,
    "max_headers": limits.HEADER_LINES,
    "max_line_size": limits.HEADER_LINE_BYTES,
    "max_field_size": limits.HEADER_LINE_BYTES,
}
log = logging.getLogger("realtime_dub.web")


class Door(web.RequestHandler):
    """Silent until :meth:`begin`, which the guard calls with each request's headers; busy until its answer is out."""

    def __init__(self, server: Any, place: Place, places: Places) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **OPTIONS)
        self._place, self._places = place, places
        self._request: web.BaseRequest | None = None
        self._last: web.BaseRequest | None = None  # answered; the rest of its body may still come
        self._received = 0  # bytes
        self._began = 0  # of the present request's body, in bytes received
        self._window = 0.0, 0  # since when the body's rate is measured, and bytes received then
        self._silence_s = limits.HEADERS_S
        self._rest = limits.REST_BYTES  # of a body that may still come after the answer
        self._until = 0  # so many bytes received
        self._at_leisure = False  # the present body may come as slowly as it likes
        self.when_gone: Callable[[], object] = lambda: None  # called where the connection ends before its answer

    @property
    def busy(self) -> bool:
        return self._request is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(Any, transport).max_size = limits.READ_BYTES  # asyncio's for what is read at once
        self._place.door = self
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self._last is not None and not self._last.content.is_eof():
            self._last.content.set_exception(ConnectionResetError())  # aiohttp would wait for the rest
        self._places.leave(self._place)
        if self._request is not None:
            self.when_gone()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if self._last is not None and self._received > self._until and not self._last.content.is_eof():
            self.cut()
        else:
            super().data_received(data)
            self._check_chunks()

    def _check_chunks(self) -> None:
        """A body in chunks of a byte or two costs a hundred times what it is long."""
        request = self._request
        if request is None or self.transport is None or self.transport.is_closing():  # what was read is parsed on
            return
        if not request.headers.get("Transfer-Encoding") or request.content.is_eof():
            return
        raw = self._received - self._began
        if raw > limits.CHUNKED_BYTES and raw > limits.CHUNKED_SHARE * request.content.total_bytes:
            self._places.wasted(self._place, time.monotonic())
            self.cut()

    def begin(self, request: web.BaseRequest) -> None:
        """The headers of ``request`` are there."""
        self._request, self._last, self.when_gone, self._at_leisure = request, None, lambda: None, False
        self._places.touch(self._place, time.monotonic())
        self._window = self._place.since_s, self._received
        self._began = self._received

    def leave_time(self) -> None:
        """The present body is a stream: whoever reads it says how long it may pause."""
        self._at_leisure = True

    def refuse(self) -> None:
        """The present request is none of ours: little of its body is worth reading."""
        self._rest = limits.UNWANTED_BYTES

    def enforce(self, now_s: float) -> None:
        """Cut what takes too long; about once a second."""
        if self._request is None:
            if now_s - self._place.since_s > self._silence_s:
                self.cut()
        elif self._at_leisure or self._request.content.is_eof() or not self._reads:
            self._window = now_s, self._received  # the body is complete, or has to wait for us
        else:
            self._measure_body(self._request, now_s)

    @property
    def _reads(self) -> bool:
        """More of the body is taken just now."""
        return self.transport is not None and self.transport.is_reading()

    def _measure_body(self, request: web.BaseRequest, now_s: float) -> None:
        since_s, before = self._window
        if now_s - since_s < limits.BODY_WINDOW_S:
            return
        self._window = now_s, self._received
        if self._received - before < limits.BODY_BYTES_PER_S * limits.BODY_WINDOW_S:
            request.content.set_exception(SLOW)

    def cut(self) -> None:
        """End the connection, whatever it was about."""
        if self.transport is not None:
            self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException) and resp.status >= 400:  # it never reached the guard
            resp = answered(plain(resp))
        if not resp.prepared:
            resp.headers.update(HEADERS)
        try:
            return await self._finish(request, resp, start_time)
        except OSError:  # nobody is there any more
            return resp, True
        finally:
            self._request, self._last = None, request
            self._places.touch(self._place, time.monotonic())
            self._silence_s = limits.IDLE_S
            self._until, self._rest = self._received + self._rest, limits.REST_BYTES
            if request.headers.get("Transfer-Encoding") and not request.content.is_eof():
                self.force_close()  # to read on in small chunks costs more than it is worth

    async def _finish(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        try:
            return await super().finish_response(request, resp, start_time)
        except OSError:
            raise
        except Exception as error:  # while a file was about to be sent
            return await super().finish_response(request, self.handle_error(request, 500, error), start_time)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What never reached the guard, in the form that it gives answers; aiohttp's would quote what was sent."""
        if status >= 500:
            self.log_exception("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is out")
        response = answered(NO_HTTP if status < 500 else FAILED)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **more: Any) -> None:
        """Of ``exc_info`` alone; what a visitor did, leaving or sending nonsense, is not told of."""
        error = more.get("exc_info")
        visitors = (Refusal, OSError, web.RequestPayloadError, web.PayloadAccessError)
        if isinstance(error, BaseException) and not isinstance(error, visitors):
            with contextlib.suppress(Exception):
                log.error("a request failed", exc_info=error)
