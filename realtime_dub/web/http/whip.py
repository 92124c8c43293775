"""WHIP (RFC 9725) and WHEP: OBS, GStreamer or a media server sends a picture and a voice to ``/whip/NAME``, players
watch the result at ``/whep/NAME``.

What is pushed is a studio session in the room NAME; whoever plays it is a viewer there. Trickled candidates are taken;
an ICE restart is not (aiortc cannot), which is answered with 422 as the RFC wants it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from aiohttp import web
from pydantic import ValidationError

from realtime_dub.web.config import SessionOptions
from realtime_dub.web.http.invited import note_link
from realtime_dub.web.http.routes import CONFIG, HOST, read_body
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.handle import SessionHandle

SDP, FRAGMENT = "application/sdp", "application/trickle-ice-sdpfrag"
ROLES: dict[str, Literal["studio", "interpreter", "viewer"]] = {
    "whip": "studio",
    "whep": "viewer",
    "voices": "interpreter",
}
KINDS = ("whip", "whep")  # what is sent or played under a name alone; ``voices`` has more to it
RETRY_S = "5"


@dataclass(frozen=True)
class Fragment:
    """What a trickle-ICE fragment (RFC 8840) says: (candidate, None = there are no more; the mid it belongs to)."""

    ufrag: str | None
    candidates: tuple[tuple[str | None, str | None], ...]


def routes(kinds: Iterable[str] = KINDS) -> list[web.RouteDef]:
    opening = [web.post(f"/{kind}/{{name}}", _kind(kind, open_session)) for kind in kinds]
    return opening + resource_routes(kinds)


def resource_routes(kinds: Iterable[str]) -> list[web.RouteDef]:
    """All but the offer."""
    return [
        route
        for kind in kinds
        for route in (
            web.options(f"/{kind}/{{name}}", describe),
            web.patch(f"/{kind}/{{name}}/{{id}}", _kind(kind, trickle)),
            web.delete(f"/{kind}/{{name}}/{{id}}", _kind(kind, end_session)),
            web.options(f"/{kind}/{{name}}/{{id}}", describe),
        )
    ]


async def describe(request: web.Request) -> web.Response:
    """Also the ICE servers, for clients that cannot take them after their offer (RFC 9725, section 4.6)."""
    return _with_links(request, web.Response(status=204, headers={"Accept-Post": SDP, "Accept-Patch": FRAGMENT}))


async def open_session(request: web.Request, kind: str) -> web.Response:
    if request.content_type != SDP:
        raise Refusal(415, "The body is no session description.", f"Send the offer as {SDP}.", {"Accept-Post": SDP})
    host, name = request.app[HOST], request.match_info["name"]
    options = options_of(kind, name, request.query.get("channel", ""))
    sdp = (await read_body(request)).decode("utf-8", "replace")
    if kind == "whep" and not host.on_air(name):
        raise Refusal(404, "Nobody is sending under that name.", "Try again later.", {"Retry-After": RETRY_S})
    return await answer_offer(request, kind, options, sdp)


def who_begins(sdp: str) -> str:
    """An offer that leaves it open (RFC 5763, section 5) taken as if the program begins the DTLS handshake.

    GStreamer 1.22 refuses aiortc's (with OpenSSL 4.0) and completes its own.
    """
    return sdp.replace("a=setup:actpass", "a=setup:active")


async def answer_offer(request: web.Request, kind: str, options: SessionOptions, sdp: str) -> web.Response:
    """A new session. Raises Refusal."""
    session, answer = await request.app[HOST].open(options, who_begins(sdp))
    await note_link(request, session.id)
    name = request.match_info["name"]
    headers = {"Location": f"/{kind}/{name}/{session.id}", "ETag": _etag(session), "Accept-Patch": FRAGMENT}
    return _with_links(request, web.Response(status=201, text=answer, content_type=SDP, headers=headers))


def options_of(kind: str, name: str, channel: str = "") -> SessionOptions:
    """What is pushed or played under a name is in the room of that name; played, in a channel of it. Raises Refusal."""
    watched = {"channel": channel} if kind == "whep" else {}
    try:
        return SessionOptions.model_validate({"role": ROLES[kind], "room": name, **watched})
    except ValidationError as error:
        raise Refusal(
            404, "This stream name is not allowed.", "Use letters, digits, - and _; a channel as es or floor."
        ) from error


async def trickle(request: web.Request, kind: str) -> web.Response:
    session = _find(request, kind)
    if request.content_type != FRAGMENT:
        raise Refusal(415, "The body is no ICE fragment.", f"Send it as {FRAGMENT}.", {"Accept-Patch": FRAGMENT})
    fragment = parse_fragment((await read_body(request)).decode("utf-8", "replace"))
    match = request.headers.get("If-Match")
    if match is None:
        raise Refusal(428, "The header If-Match is missing.", "Send the ETag of the answer in it.")
    if match == "*" or (fragment.ufrag is not None and fragment.ufrag != session.ufrag):
        raise Refusal(422, "ICE cannot be restarted here.", "End the session and connect again.")
    if match.strip('"') != session.id[-8:]:
        raise Refusal(412, "The header If-Match names another ICE session.", "Send the ETag of the answer.")
    for candidate, mid in fragment.candidates:
        await session.add_candidate(candidate, mid, None if mid is not None else 0)
    return web.Response(status=204)


async def end_session(request: web.Request, kind: str) -> web.Response:
    await request.app[HOST].end(_find(request, kind).id, "the sender or player ended it")
    return web.Response(status=200)


def _find(request: web.Request, kind: str) -> SessionHandle:
    """The session that the whole address names, not its last part alone. Raises Refusal."""
    session = request.app[HOST].find(request.match_info["id"])
    if (session.options.room, session.options.role) != (request.match_info["name"], ROLES[kind]):
        raise Refusal(404, "There is no such session.", "Start a new one.")
    return session


def parse_fragment(text: str) -> Fragment:
    """Raises Refusal."""
    ufrag, mid = None, None
    candidates: list[tuple[str | None, str | None]] = []
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "a=ice-ufrag":
            ufrag = value
        elif name == "a=mid":
            mid = value
        elif name == "a=candidate":
            candidates.append((f"candidate:{value}", mid))
        elif name == "a=end-of-candidates":
            candidates.append((None, mid))
        elif not re.fullmatch(r"[a-z]=.*", line.strip()) and line.strip():
            raise Refusal(400, "The ICE fragment cannot be read.", "Send it as RFC 8840 describes.")
    return Fragment(ufrag, tuple(candidates))


def _with_links(request: web.Request, response: web.Response) -> web.Response:
    for server in request.app[CONFIG].ice_servers:
        response.headers.add("Link", _link(server))
    return response


def _link(server: dict[str, str]) -> str:
    """An ICE server as RFC 9725, section 4.6, writes it."""
    link = f'<{server["urls"]}>; rel="ice-server"'
    if "username" in server:
        username, credential = (server[name].replace('"', "") for name in ("username", "credential"))
        link += f'; username="{username}"; credential="{credential}"; credential-type="password"'
    return link


def _etag(session: SessionHandle) -> str:
    return f'"{session.id[-8:]}"'


def _kind(
    kind: str, handler: Callable[[web.Request, str], Awaitable[web.Response]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        return await handler(request, kind)

    return handle
