"""What every request has to pass: the host it was sent to, its origin, the token, its rate. And what every answer says.

A page of another site that is open in the same browser can send requests here, and by rebinding its name even read the
answers; neither it nor anyone without the token gets past this.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from realtime_dub.errors import RealtimeDubError
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.refusals import Refusal, refused

COOKIE = "realtime-dub-token"
REQUESTED_WITH = "realtime-dub"
RATE_PER_S, BURST = 20.0, 60.0
PARTS_PER_S, PARTS_BURST = 200.0, 600.0  # small files: opening the page asks for twenty of them
OFFERS_PER_S, OFFER_BURST = 0.5, 10.0
MOST_CALLERS = 2_000
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
OPEN_PATHS = {"/healthz"}
OPEN_PARTS = "/static/"  # of the page, which everyone may read in the source
PAGE = Path(__file__).with_name("static") / "index.html"
SAFE = {"GET", "HEAD", "OPTIONS"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=()",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("realtime_dub.web")


class Bucket:
    """Tokens per caller, refilled with time."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s, self._burst = per_s, burst
        self._callers: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str, now_s: float) -> bool:
        """False where the caller has used up what it has."""
        left, since_s = self._callers.pop(caller, (self._burst, now_s))
        left = min(self._burst, left + (now_s - since_s) * self._per_s)
        self._callers[caller] = max(0.0, left - 1), now_s
        if len(self._callers) > MOST_CALLERS:
            self._callers.popitem(last=False)
        return left >= 1


class Guard:
    """The middleware."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config
        self._requests = Bucket(RATE_PER_S, BURST)
        self._parts = Bucket(PARTS_PER_S, PARTS_BURST)
        self._offers = Bucket(OFFERS_PER_S, OFFER_BURST)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            self.check(request)
            response = await handler(request)
        except Refusal as refusal:
            # Whoever opens the page without the token gets the page, which asks for it.
            asks = refusal.status == 401 and request.method == "GET" and request.path == "/"
            response = web.FileResponse(PAGE, status=401) if asks else answered(refusal)
        except RealtimeDubError as error:
            response = answered(refused(error))
        except web.HTTPException as error:
            if error.status < 400:
                error.headers.update(HEADERS)
                raise
            response = answered(_plain(error))
        except Exception:
            log.exception("a request failed", extra={"path": request.path})
            response = answered(Refusal(500, "The server failed.", "Try again; its log says more."))
        if not response.prepared:
            response.headers.update(HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def check(self, request: web.Request) -> None:
        """Raises Refusal."""
        caller = request.remote or ""
        part = request.path.startswith(OPEN_PARTS)
        if not (self._parts if part else self._requests).take(caller, time.monotonic()):
            raise Refusal(429, "Too many requests.", "Wait a moment.", {"Retry-After": "2"})
        host = _host_name(request.host)
        if self._config.local and host not in LOCAL_NAMES:
            raise Refusal(403, "The server was asked for under a foreign name.", "Open it as localhost.")
        origin = request.headers.get("Origin")
        if origin is not None and not same_origin(origin, request):
            raise Refusal(403, "The request came from another site.", "Open the page of this server.")
        if part or request.path in OPEN_PATHS:
            return
        self._check_token(request)
        if request.method not in SAFE:
            self._check_mutation(request, caller)

    def _check_mutation(self, request: web.Request, caller: str) -> None:
        if request.path.startswith("/api/") and request.headers.get("X-Requested-With") != REQUESTED_WITH:
            raise Refusal(403, "The header X-Requested-With is missing.", f"Send X-Requested-With: {REQUESTED_WITH}.")
        offers = request.path == "/api/sessions" or request.path.startswith(("/whip/", "/whep/"))
        if request.method == "POST" and offers and not self._offers.take(caller, time.monotonic()):
            raise Refusal(429, "Too many connections were asked for.", "Wait a moment.", {"Retry-After": "10"})

    def _check_token(self, request: web.Request) -> None:
        token = self._config.token
        if token is None:
            return
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        given = [request.cookies.get(COOKIE, ""), bearer if scheme.lower() == "bearer" else ""]
        if request.method == "GET" and request.path == "/":
            given.append(request.query.get("token", ""))
        if not any(hmac.compare_digest(each.encode(), token.encode()) for each in given):
            do = "Open the address that the server printed, with its token."
            raise Refusal(401, "The token is missing or wrong.", do, {"WWW-Authenticate": "Bearer"})


def answered(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers=refusal.headers)


def same_origin(origin: str, request: web.Request) -> bool:
    """The page that sends the request came from this server."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == request.host.lower()


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _plain(error: web.HTTPException) -> Refusal:
    texts = {404: ("There is nothing of that name.", "Look at the address."),
             405: ("That cannot be done here.", "Use another method."),
             413: ("The request is too large.", "Send less.")}  # fmt: skip
    what, do = texts.get(error.status, (f"The request was refused: {error.reason}.", "Change it."))
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Refusal(error.status, what, do, kept)
