"""What every request has to pass: the host it was sent to, its origin, the token, its rate. And what every answer says.

A page of another site that is open in the same browser can send requests here, and by rebinding its name even read the
answers; neither it nor anyone without the token gets past this. Nothing of a body is read before.
"""

from __future__ import annotations

import hmac
import logging
import re
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from realtime_dub.errors import RealtimeDubError
from realtime_dub.web import limits
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http.absent import absent, is_absent, is_navigation
from realtime_dub.web.http.answers import FAILED, HEADERS, NO_HTTP, SHORT_OF, USED_UP, answered, plain
from realtime_dub.web.http.callers import CallerRates, caller_of
from realtime_dub.web.http.door import Door
from realtime_dub.web.http.invited import INVITE, check_path
from realtime_dub.web.http.page_files import FILES, page_of
from realtime_dub.web.invites import Invite, Invites
from realtime_dub.web.refusals import Refusal, refused

COOKIE = "realtime-dub-token"
REQUESTED_WITH = "realtime-dub"
LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}
OPEN_PATHS = {"/healthz", "/readyz"}
OPEN_PARTS = "/static/"  # of the page, which everyone may read in the source
SAFE = {"GET", "HEAD", "OPTIONS"}
# A name, an IPv4 or an IPv6 address and a port: what browsers send. All else means one thing here and another there.
AUTHORITY = re.compile(
    r"(?:(?P<name>[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?)|\[(?P<six>[0-9a-f:.]{2,45})\])(?::\d{1,5})?"
)
DATES = ("if_modified_since", "if_unmodified_since", "if_range")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("realtime_dub.web")


class Guard:
    """The middleware."""

    def __init__(self, config: ServeConfig, invites: Invites | None = None) -> None:
        self._config, self._invites = config, invites
        self._names = LOCAL_NAMES | {config.host.lower()}
        self._requests = CallerRates(limits.REQUESTS_PER_S, limits.REQUESTS_BURST)
        self._known = CallerRates(limits.KNOWN_PER_S, limits.KNOWN_BURST)
        self._parts = CallerRates(limits.PARTS_PER_S, limits.PARTS_BURST)
        self._offers = CallerRates(limits.OFFERS_PER_S, limits.OFFERS_BURST)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if isinstance(request.protocol, Door):
            request.protocol.begin(request)
        response = await answer(request, self._admitted(handler))
        if not response.prepared:
            response.headers.update(HEADERS)
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _admitted(self, handler: Handler) -> Handler:
        async def admitted(request: web.Request) -> web.StreamResponse:
            self._admit(request)
            return await handler(request)

        return admitted

    def _admit(self, request: web.Request) -> None:
        try:
            self.check(request)
        except Refusal:
            if isinstance(request.protocol, Door):
                request.protocol.refuse()
            raise

    def check(self, request: web.Request) -> None:
        """Raises Refusal."""
        caller, now_s = caller_of(request.remote), time.monotonic()
        part = request.path.startswith(OPEN_PARTS)
        given = self._given(request)
        owner = self._knows(request, given)
        invite = None if owner else self._invite(given)
        known = owner or invite is not None
        bucket = self._parts if part else self._known if known else self._requests
        if not bucket.take(caller, now_s):
            raise Refusal(429, "Too many requests.", "Wait a moment.", {"Retry-After": "2", "Connection": "close"})
        self._check_host(request)
        anybodys = part or request.path in OPEN_PATHS
        if not known and not anybodys:
            raise self._unknown(given)
        if invite is not None and not anybodys:
            check_path(request, invite)
            request[INVITE] = invite
        _check_form(request)
        if request.method not in SAFE and not anybodys:
            self._check_mutation(request, caller, now_s)

    def _check_host(self, request: web.Request) -> None:
        if len(request.headers.getall("Host", ())) > 1 or (host := host_name(request.host)) is None:
            raise Refusal(400, "The header Host names no host.", "Send one name, with its port.")
        if self._config.local and host not in self._names:
            raise Refusal(403, "The server does not know this host name.", "Open it as localhost.")
        origin = request.headers.get("Origin")
        if origin is not None and not same_origin(origin, request):
            raise Refusal(403, "The request came from another site.", "Open the page of this server.")

    def _check_mutation(self, request: web.Request, caller: str, now_s: float) -> None:
        if request.path.startswith("/api/") and request.headers.get("X-Requested-With") != REQUESTED_WITH:
            raise Refusal(403, "The header X-Requested-With is missing.", f"Send X-Requested-With: {REQUESTED_WITH}.")
        offers = request.path == "/api/sessions" or request.path.startswith(("/whip/", "/whep/", "/voices/"))
        if request.method == "POST" and offers and not self._offers.take(caller, now_s):
            raise Refusal(429, "Too many connection attempts.", "Wait a moment.", {"Retry-After": "10"})

    def _knows(self, request: web.Request, given: list[str]) -> bool:
        """Whoever sends the request knows the token, or there is none; what anybody may ask tells nothing of that."""
        token = self._config.token
        if token is None:
            return request.path not in OPEN_PATHS
        return any(hmac.compare_digest(_bytes(each), _bytes(token)) for each in given)

    def _invite(self, given: list[str]) -> Invite | None:
        """Of a link for a role, where the request came by one."""
        if self._invites is None:
            return None
        now_ms = round(time.time() * 1000)
        found = (self._invites.read(each, now_ms) for each in given)
        return next((each for each in found if each is not None), None)

    def _unknown(self, given: list[str]) -> Refusal:
        """Who had a link once is told what became of it; it opens nothing, and its rate is as for all others."""
        bearer, invites = {"WWW-Authenticate": "Bearer"}, self._invites
        if invites is not None:
            for made in filter(None, map(invites.made, given)):
                what = "This link was revoked." if invites.is_revoked(made) else "This link is too old."
                return Refusal(401, what, "Ask whoever sent it for a new one.", bearer)
        do = "Open the address that the server printed, with its token, or ask for a new link."
        return Refusal(401, "The token is missing, wrong or too old.", do, bearer)

    def _given(self, request: web.Request) -> list[str]:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and bearer:  # what a page says itself counts before what its browser kept
            return [bearer]
        given = [_cookie(request)]
        if request.method == "GET" and request.path == "/":
            given.append(request.query.get("token", ""))
        return given


async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What ``handler`` answers, and of what it raises that which may be told."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refusal(request, refusal)
    except RealtimeDubError as error:
        return answered(refused(error))
    except web.HTTPException as error:
        if error.status < 400:
            error.headers.update(HEADERS)
            raise
        return absent(request) if error.status == 404 and is_navigation(request) else answered(plain(error))
    except web.RequestPayloadError:
        return answered(NO_HTTP)
    except ConnectionError:  # whoever asked has gone
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in USED_UP:
            return answered(SHORT_OF)
        log.exception("a request failed", extra={"path": _route(request)})
        return answered(FAILED)


def host_name(host: str) -> str | None:
    """The name in a Host header, in small letters; None where it is none."""
    found = AUTHORITY.fullmatch(host.lower())
    return found and (found["name"] or found["six"])


def same_origin(origin: str, request: web.Request) -> bool:
    """The page that sends the request came from this server."""
    scheme, _, authority = origin.lower().partition("://")
    return (
        scheme in ("http", "https") and AUTHORITY.fullmatch(authority) is not None and authority == request.host.lower()
    )


def _check_form(request: web.Request) -> None:
    """What means one thing to a proxy and another here, or is more than it seems. Raises Refusal."""
    if not request.raw_path.startswith("/") and not (request.raw_path == "*" and request.method == "OPTIONS"):
        raise Refusal(400, "The request names no path of this server.", "Begin it with /.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Refusal(415, "The request is compressed.", "Send it without Content-Encoding.")
    if request.path.startswith("/api/") and "Transfer-Encoding" in request.headers:
        raise Refusal(411, "The request does not say how long it is.", "Send it with Content-Length.")
    try:
        for name in DATES:
            getattr(request, name)
    except (ValueError, OverflowError) as error:
        raise Refusal(400, "The request has an impossible date.", "Correct the date.") from error
    try:
        _ = request.http_range
    except ValueError as error:
        raise Refusal(416, "The request has an impossible range.", "Write it as bytes=FIRST-LAST.") from error


def _refusal(request: web.Request, refusal: Refusal) -> web.StreamResponse:
    if refusal.status == 401 and is_absent(request):
        return absent(request)
    # Whoever opens the page without the token gets the page, which asks for it.
    if refusal.status == 401 and request.method == "GET" and request.path == "/":
        return web.FileResponse(FILES[page_of(request.query.get("role"))], status=401)
    response = answered(refusal)
    if refusal.status in (408, 429):
        response.force_close()  # the next one has to come in by the door again
    return response


def _cookie(request: web.Request) -> str:
    try:
        return request.cookies.get(COOKIE, "")
    except Exception:  # aiohttp's versions differ in what they raise
        return ""


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _route(request: web.Request) -> str:
    """The request's route as it is written here: its address would name a session."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"
