"""What people are told: whole sentences. What a request is refused with: a status and two of them, and what all say."""

from __future__ import annotations

import errno
import re

from aiohttp import web

from realtime_dub.errors import RealtimeDubError

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
_FIRST_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?(?=[\s,:;.!?]|$)(?!\.\w)")  # no option, no file, no address
_ENDS = (".", "!", "?", "…")


def sentence(text: str) -> str:
    """``text`` with a capital and a stop, as everything has that a person reads. A name stays as it is written."""
    text = text.strip()
    if _FIRST_WORD.match(text):
        text = text[0].upper() + text[1:]
    return text if not text or text.endswith(_ENDS) else f"{text.rstrip(',;:')}."


def sentences(error: BaseException) -> str:
    """An error as a person reads it: what happened, then what to do."""
    parts = (str(error) or type(error).__name__).split("; ")
    return " ".join(sentence(part) for part in parts)


class Refusal(Exception):
    """``what`` happened and what to ``do``, one sentence each; answered as ``{"error": {"what", "do"}}``."""

    def __init__(self, status: int, what: str, do: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.what, self.do, self.headers = status, sentence(what), sentence(do), headers or {}
        super().__init__(self.what)

    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"what": self.what, "do": self.do}}


NO_HTTP = Refusal(400, "The request cannot be read.", "Send it as HTTP describes.")
SLOW = Refusal(408, "The request came too slowly.", "Send it over a better connection.")
FAILED = Refusal(500, "The server failed.", "Try again; its log says more.")
SHORT_OF = Refusal(503, "The server has no room left.", "Try again in a minute.", {"Retry-After": "60"})


def refused(error: RealtimeDubError, status: int = 422) -> Refusal:
    """An error of ours as a refusal: its line says what happened, and after the semicolon what to do."""
    what, _, do = str(error).partition("; ")
    return Refusal(status, what, do or "change the request")


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
