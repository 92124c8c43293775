"""What whoever comes by a link for a role may ask of the server: what that role needs, in that room, and no more.

Who comes without one has the server's own token, or there is none: they may do everything.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from realtime_dub.web.config import SessionOptions, room_voice
from realtime_dub.web.invites import Invite, Invites
from realtime_dub.web.refusals import Refusal

INVITES: web.AppKey[Invites] = web.AppKey("invites", Invites)
# What a session came by is remembered, and what was revoked ends: (session, link), (room, role, until when, ms).
CAME_BY: web.AppKey[Callable[[str, Invite], Awaitable[None]]] = web.AppKey("came_by")
REVOKES: web.AppKey[Callable[[str, str, int], Awaitable[None]]] = web.AppKey("revokes")
INVITE: web.RequestKey[Invite] = web.RequestKey("invite", Invite)
ANY = {"studio", "interpreter", "viewer", "operator"}
PARTS = ANY - {"operator"}
# Which roles may ask for what. A session's or a recording's name is a secret of whoever has it; {room} is the link's.
ALLOWED: tuple[tuple[str, set[str]], ...] = (
    (r"GET /(?!metrics$)[\w.-]*", ANY),
    (r"GET /static/.*", ANY),
    (r"GET /api/config", ANY),
    (r"POST /api/sessions", PARTS),
    (r"\w+ /api/sessions/[\w-]+(/(candidates|ice))?", PARTS),
    (r"POST /api/sessions/[\w-]+/floor", {"interpreter"}),
    (r"\w+ /api/sessions/[\w-]+/(recording|enroll|bank|voice)", {"studio"}),
    (r"\w+ /api/recordings(/[\w-]+(/captions)?)?", {"studio", "operator"}),
    (r"POST /api/uploads", {"studio"}),
    (r"\w+ /api/avatars(/.+)?", {"studio"}),
    (r"POST /api/pictures", PARTS),
    (r"POST /api/inspections", {"studio", "operator"}),
    (r"GET /api/rooms/{room}", ANY),
    (r"DELETE /api/rooms/{room}", {"operator"}),
    (r"POST /api/rooms/{room}/links", {"studio", "operator"}),
    (r"\w+ /api/rooms/{room}/.+", {"operator"}),
    (r"\w+ /whip/{room}(/[\w-]+)?", {"studio"}),
    (r"\w+ /whep/{room}(/[\w-]+)?", {"viewer"}),
    (r"\w+ /voices/{room}(/[\w-]+)?", {"interpreter"}),
    (r"POST /captions/{room}", {"studio", "interpreter", "operator"}),
)
OTHER = Refusal(403, "The link does not allow this.", "Ask whoever sent it for another one.")


def check_path(request: web.Request, invite: Invite) -> None:
    """Raises Refusal."""
    asked, room = f"{request.method} {request.path}", re.escape(invite.room)
    allowed = (pattern for pattern, roles in ALLOWED if invite.role in roles)
    if not any(re.fullmatch(pattern.replace("{room}", room), asked) for pattern in allowed):
        raise OTHER


def check_options(request: web.Request, options: SessionOptions) -> None:
    """What a session is to be: of the link's role, in its room, with no other room's voice. Raises Refusal."""
    invite = request.get(INVITE)
    if invite is None:
        return
    same = (options.role, options.room) == (invite.role, invite.room)
    if not same or (invite.channel and options.channel != invite.channel):
        raise OTHER
    check_voice(request, options.voice)


async def note_link(request: web.Request, session: str) -> None:
    """Whoever came by a link goes with it. Raises Refusal where it was revoked meanwhile."""
    if (invite := request.get(INVITE)) is not None:
        await request.app[CAME_BY](session, invite)


def check_change(request: web.Request, changes: Mapping[str, Any]) -> None:
    """What a session is to become: with no other room's voice, in its link's language. Raises Refusal."""
    if "channel" in changes:
        check_channel(request, changes["channel"])
    check_voice(request, changes.get("voice"))


def check_channel(request: web.Request, channel: str) -> None:
    """What is said in a language comes by a link for it, where the link names one. Raises Refusal."""
    invite = request.get(INVITE)
    if invite is not None and invite.channel and invite.channel != channel:
        what = f"The link is for the language {invite.channel}."
        raise Refusal(403, what, f"Add ?channel={invite.channel} to the address.")


def check_voice(request: web.Request, voice: Any) -> None:
    """Raises Refusal where it is another room's."""
    invite = request.get(INVITE)
    spoken = room_voice(voice) if isinstance(voice, str) else None
    if invite is not None and spoken is not None and spoken[0] != invite.room:
        raise OTHER


def check_invitation(request: web.Request, role: str) -> None:
    """Who speaks gives links to interpreters and viewers; an operator gives any. Raises Refusal."""
    invite = request.get(INVITE)
    if invite is not None and invite.role == "studio" and role not in ("interpreter", "viewer"):
        raise OTHER
