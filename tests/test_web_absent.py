"""Mistyped addresses: people get a page that says what is wrong, 404, with the way back; programs get JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import browser
import pytest
from aiohttp import ClientSession
from on_a_thread import on_a_thread
from playwright import sync_api
from pydantic import ValidationError
from web_peers import serving

from realtime_dub.web.config import SessionOptions, room_voice
from realtime_dub.web.http.absent import why_absent
from realtime_dub.web.studio.studio import Studio

TOKEN = "a-token-of-some-length"
PERSON = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
TEXTS = Path(__file__).parents[1] / "realtime_dub/web/static/texts"
LONG = "a" * 65
ABSENT = {
    "/?room=ha%20ll": "room",
    f"/?role=viewer&room={LONG}": "room",
    "/?role=operator&room=a/b": "room",
    "/?role=viewr&room=hall": "role",
    "/?role=viewer&room=hall&channel=!!": "channel",
    "/hall": "path",
    "/room/hall": "path",
    "/room/hall/": "path",
    "//": "path",
}
THERE = ["/", "/?room=", "/?room=hall", "/?role=viewer&room=never-seen&channel=es", "/?role=interpreter&room=hall",
         "/?role=inspect", "/?utm=1&role=operator&room=हॉल", "/?role=viewer&room=hall&plain=1&captions=1"]  # fmt: skip


def visiting(visit: Callable[[ClientSession, str, Studio], Awaitable[None]], **config: Any) -> None:
    async def test() -> None:
        async with serving(**config) as (studio, http, url):
            await visit(http, url, studio)

    asyncio.run(test())


def test_a_person_is_told_what_of_the_address_is_wrong() -> None:
    async def visit(http: ClientSession, url: str, _: Studio) -> None:
        for path, why in ABSENT.items():
            async with http.get(url + path, headers=PERSON) as answer:
                text = await answer.text()
                assert (answer.status, answer.content_type) == (404, "text/html"), path
                assert f'data-why="{why}"' in text, path
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
        for path in THERE:
            async with http.get(url + path, headers=PERSON) as answer:
                assert answer.status == 200, path

    visiting(visit)


def test_programs_get_json_and_so_does_whatever_is_no_page() -> None:
    async def visit(http: ClientSession, url: str, _: Studio) -> None:
        for path in ("/hall", "/room/hall"):
            async with http.get(url + path) as answer:
                assert (answer.status, (await answer.json())["error"]["do"]) == (404, "Look at the address.")
        for path in ("/api/rooms/ha%20ll", f"/api/rooms/{LONG}", "/api/nix", "/static/nix.js", "/whep/a/b/c"):
            async with http.get(url + path, headers=PERSON) as answer:
                assert (answer.status, answer.content_type) == (404, "application/json"), path
        async with http.post(url + "/hall", headers=PERSON) as answer:
            assert answer.content_type == "application/json"

    visiting(visit)


def test_a_token_is_asked_for_where_there_is_a_page_and_not_where_there_is_none() -> None:
    async def visit(http: ClientSession, url: str, _: Studio) -> None:
        for path in (*ABSENT, "/?room=hall", "/metrics"):
            expected = 404 if path in ABSENT else 401
            async with http.get(url + path, headers=PERSON) as answer:
                assert answer.status == expected, path
        async with http.get(f"{url}/?token={TOKEN}&room=a%20b", headers=PERSON, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/?room=a+b")  # it stays in no history
        async with http.get(url + "/hall") as answer:
            assert answer.status == 401

    visiting(visit, token=TOKEN)


def test_a_room_that_nobody_is_in_is_told_apart_and_may_come_to_be() -> None:
    async def visit(http: ClientSession, url: str, studio: Studio) -> None:
        async with http.get(f"{url}/api/rooms/hall") as answer:
            told = await answer.json()
            assert (answer.status, told["exists"], told["state"]) == (200, False, "waiting")
        async with http.get(f"{url}/api/rooms/hall/people") as answer:
            assert (await answer.json())["exists"] is False
        assert studio.rooms.find("hall") is None  # to ask makes none

    visiting(visit)


@pytest.mark.parametrize("name", ["hall", "हॉल", "зал-2", "قاعة", "房间", "a" * 64])
def test_a_rooms_name_is_one_wherever_it_stands(name: str) -> None:
    """Letters with signs of their own, too, as in Hindi: a session could have such a room, its API could not."""
    assert SessionOptions(room=name).room == name
    assert room_voice(f"room:{name}:es") == (name, "es")
    assert why_absent({"room": name, "role": "viewer"}) is None

    async def visit(http: ClientSession, url: str, _: Studio) -> None:
        async with http.get(f"{url}/api/rooms/{quote(name)}") as answer:
            assert answer.status == 200

    visiting(visit)


@pytest.mark.parametrize("name", ["", "ha ll", LONG, "a/b", "a\n", "‮a"])
def test_what_is_no_rooms_name_is_said_in_words(name: str) -> None:
    with pytest.raises(ValidationError, match="a room's name has 1 to 64 letters, digits, - and _"):
        SessionOptions(room=name)


@pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")
def test_the_page_says_it_in_each_language_and_leads_back() -> None:
    with (
        on_a_thread(serving()) as (_, _, url),
        sync_api.sync_playwright() as playwright,
        browser.chromium(playwright, None) as chromium,
    ):
        for path in sorted(TEXTS.glob("*.json")):
            said = json.loads(path.read_text("utf-8"))
            context = chromium.new_context(locale=path.stem)
            page = context.new_page()
            failed: list[str] = []
            page.on("response", lambda answer, failed=failed: answer.status >= 400 and failed.append(answer.url))
            for where, why in (("/?room=ha%20ll", "absent.room"), ("/some/where/else", "absent.path")):
                page.goto(url + where)
                page.wait_for_function("text => document.title === text", arg=said["absent.title"])
                assert page.text_content("#absent-title") == said["absent.name"]
                assert page.text_content("#why") == said[why].replace("{name}", "ha ll")
                assert page.evaluate("document.documentElement.dir") == ("rtl" if path.stem == "ar" else "ltr")
                assert failed == [url + where]
                failed.clear()
                page.click("#back")
                page.wait_for_selector("#start")
                assert page.url.rstrip("?") == url + "/"
                failed.clear()
            context.close()
        page = chromium.new_page()
        page.goto(url + "/?role=viewer&room=hall&channel=!!")
        page.click("#back")
        page.wait_for_selector("#start")
        assert page.url == url + "/?role=viewer&room=hall"
