"""What a person gets who opens an address at which there is nothing: a page that says so, with the way back.

Programs get JSON, as for all else (``answers``). The page tells nobody more than the files of the page do, so it needs
no token. A room that nobody is in is none of this: it may come to be at any moment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from aiohttp import web

from realtime_dub.web.config import FLOOR, LANGUAGE, ROOM_NAME
from realtime_dub.web.http.page_files import FILES, PAGES

Why = Literal["path", "room", "role", "channel"]
ROLES = {"", "studio", "interpreter", "viewer", *PAGES}
PARTS = "/{name}"  # the route of the page's files: it matches any word
PROGRAMS = ("/api/", "/static/", "/whip/", "/whep/", "/voices/", "/captions/")
PAGE = FILES["absent.html"].read_text("utf-8")


def why_absent(query: Mapping[str, str]) -> Why | None:
    """What of the page's address cannot be; None where all of it can."""
    if query.get("role", "") not in ROLES:
        return "role"
    if (room := query.get("room", "")) and not re.fullmatch(ROOM_NAME, room):
        return "room"
    channel = query.get("channel", "")
    return "channel" if channel and not re.fullmatch(f"{FLOOR}|{LANGUAGE}", channel) else None


def is_absent(request: web.Request) -> bool:
    """Somebody's browser asks for a page that there is not, whoever they are."""
    if not is_navigation(request):
        return False
    if request.path == "/":
        return why_absent(request.query) is not None
    found = request.match_info
    resource = found.route.resource
    if resource is None:
        return found.http_exception is not None and found.http_exception.status == 404
    return resource.canonical == PARTS and found["name"] not in FILES


def is_navigation(request: web.Request) -> bool:
    """A person opens an address, no program."""
    asks = request.method in ("GET", "HEAD") and "text/html" in request.headers.get("Accept", "")
    return asks and not request.path.startswith(PROGRAMS)


def absent(request: web.Request) -> web.Response:
    """The page, 404."""
    why = (request.path == "/" and why_absent(request.query)) or "path"
    up = "../" * (request.path.count("/") - 1)  # a proxy may have put all of it into a folder
    page = PAGE.replace('"static/', f'"{up}static/').replace('href="?"', f'href="{up or "./"}"')
    page = page.replace('data-why="path"', f'data-why="{why}"')
    return web.Response(text=page, status=404, content_type="text/html")
