"""What programs that interpret, or write captions, ask for."""

from __future__ import annotations

from aiohttp import web

from realtime_dub.web.http import whip
from realtime_dub.web.http.captioning import caption
from realtime_dub.web.http.voice_sockets import open_socket
from realtime_dub.web.http.voices import open_voice

VOICE, CAPTIONS = "/voices/{name}", "/captions/{name}"


def routes() -> list[web.RouteDef]:
    return [
        web.post(VOICE, open_voice),
        web.get(VOICE, open_socket, allow_head=False),
        web.post(CAPTIONS, caption),
        *whip.resource_routes(("voices",)),
    ]
