"""A refusal as an answer over HTTP, and what every answer says beside its body."""

from __future__ import annotations

import errno

from aiohttp import web

from realtime_dub.web.refusals import Refusal

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "realtime-dub",  # and not which version of what
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=()",
}
USED_UP = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC, errno.EDQUOT}
NO_HTTP = Refusal(400, "The request cannot be read.", "Send it as HTTP describes.")
SLOW = Refusal(408, "The request came too slowly.", "Send it over a better connection.")
FAILED = Refusal(500, "The server failed.", "Try again; its log says more.")
SHORT_OF = Refusal(503, "The server has no room left.", "Try again in a minute.", {"Retry-After": "60"})


def plain(error: web.HTTPException) -> Refusal:
    """An answer of aiohttp's own as a refusal."""
    texts = {404: ("There is nothing of that name.", "Look at the address."),
             405: ("That cannot be done here.", "Use another method."),
             413: ("The request is too large.", "Send less."),
             417: ("The header Expect asks for something unknown.", "Leave it out.")}  # fmt: skip
    what, do = texts.get(error.status, ("The request was refused.", "Change it."))
    kept = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Refusal(error.status, what, do, kept)


def answered(refusal: Refusal) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers={**HEADERS, **refusal.headers})
