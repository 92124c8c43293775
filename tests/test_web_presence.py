"""Several pages of one room in Chromium: what each says of it, and that all come back after the server was away."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import browser
import pytest
from patience import PATIENCE_MS
from playwright import sync_api
from test_web_page import Page

from benchmarks.studio_page import Server

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")

STATE = "document.getElementById('state-text').textContent"
FRAMES = "document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film: Path = browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 15, 1)
    with sync_api.sync_playwright() as playwright, browser.chromium(playwright, film) as running:
        yield running


@pytest.fixture
def pages(chromium: Any) -> Iterator[Any]:
    made: list[Page] = []

    def make(url: str, query: str = "") -> Page:
        context = chromium.new_context(permissions=["camera", "microphone", "clipboard-read", "clipboard-write"])
        made.append(Page(context, url).open(query))
        return made[-1]

    yield make
    for page in made:
        with suppress(Exception):
            page.view.context.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def started(page: Page) -> Page:
    page.view.click("#start")
    return page


def live(page: Page) -> None:
    page.view.wait_for_selector("#state[data-state=live]", timeout=PATIENCE_MS)
    assert not page.view.is_visible("#failure")


def moves(page: Page) -> None:
    seen = page.view.evaluate(f"() => {FRAMES}")
    page.until(f"{FRAMES} > {seen} + 5")


def serve(port: int, *more: str) -> Server:
    return Server("--quiet", "--port", str(port), *more)


@pytest.mark.long
def test_all_pages_follow_the_sender_and_come_back_when_the_server_does(pages: Any, port: int) -> None:
    server = serve(port, "--max-sessions", "1")
    try:
        viewer = started(pages(server.url, "?role=viewer&room=hall"))
        viewer.until(f"{STATE} === 'Waiting for the sender'")
        assert "Nobody else is in the room “hall” yet" in viewer.text("#welcome-title")
        sender = pages(server.url, "?room=hall").start()
        interpreter = started(pages(server.url, "?role=interpreter&room=hall"))
        interpreter.until(f"{STATE} === 'The speaker uses another voice'")
        assert "choose “An interpreter”" in interpreter.text("#told")
        moves(interpreter)  # whom they will speak for, as they are
        sender.view.check("input[name=voice][value=room]")
        for page in (viewer, interpreter):
            live(page)
        for page in (viewer, interpreter):
            moves(page)
        assert interpreter.text("#told") == ""
        assert not interpreter.view.eval_on_selector("#dubbed", "video => video.muted")
        assert interpreter.view.is_visible("#dubbed")
        assert not interpreter.view.is_visible("#badge")
        assert sender.view.eval_on_selector("#meter", "meter => meter.style.getPropertyValue('--level') !== '0'")
        sender.view.click("#start")
        viewer.until(f"{STATE} === 'The sender has stopped'")
        interpreter.until(f"{STATE} === 'The sender has stopped'")
        sender.start()
        for page in (viewer, interpreter):
            live(page)
        server.close()
        for page in (sender, viewer, interpreter):
            page.until(f"{STATE} === 'Interrupted, reconnecting'")
        server = serve(port, "--max-sessions", "1")
        for page in (sender, viewer, interpreter):
            live(page)
        moves(viewer)
        moves(sender)
        assert sender.view.eval_on_selector("#original", "video => video.srcObject.active")
        assert sender.sent("POST", "/api/sessions")[-1]["options"]["voice"] == "room:hall"
    finally:
        server.close()


@pytest.mark.long
def test_a_second_sender_and_a_second_interpreter_are_told_and_follow(pages: Any, port: int) -> None:
    server = serve(port)
    try:
        first = pages(server.url, "?room=hall").start()
        assert first.view.evaluate("() => document.getElementById('room').readOnly")
        second = started(pages(server.url, "?room=hall"))
        second.until(f"{STATE} === 'Somebody else sends in this room'")
        one, two = (started(pages(server.url, "?role=interpreter&room=hall")) for _ in range(2))
        two.until(f"{STATE} === 'Partner on air'")
        first.view.click("#start")
        live(second)
        moves(second)
        second.view.check("input[name=voice][value=room]")
        live(one)
        one.view.click("#start")
        live(two)
    finally:
        server.close()


@pytest.mark.long
def test_a_copied_link_opens_with_its_role_and_the_token(pages: Any, port: int) -> None:
    server = serve(port, "--token", "open-sesame")
    try:
        sender = pages(server.url)
        sender.view.check("input[name=voice][value=room]")
        for button, role in (("#room-link", "interpreter"), ("#watch-link", "viewer")):
            sender.view.click(button)
            sender.until("document.getElementById('room-hint').textContent.startsWith('Link copied')")
            link = sender.view.evaluate("() => navigator.clipboard.readText()")
            assert "token" not in link.partition("#")[0]
            guest = pages(link)
            assert guest.view.evaluate("() => document.body.dataset.role") == role
            assert "token" not in guest.view.url
            started(guest).until("document.getElementById('state').dataset.state === 'busy'")
            guest.until(f"{STATE} === 'Waiting for the sender'")
    finally:
        server.close()


def test_what_is_shown_of_connection_and_room(pages: Any, port: int) -> None:
    server = serve(port)
    try:
        page = pages(server.url)
        script = (
            "async cases => { const { shown } = await import('/static/presence.js');"
            " return cases.map(each => shown(...each)); }"
        )
        on = {"state": "live", "floor": "you", "heard": True}
        cases = {
            "idle": ["viewer", "idle", {"state": "ended"}],
            "interrupted": ["viewer", "interrupted", on],
            "waiting": ["viewer", "live", {"state": "waiting", "interpreters": 1, "viewers": 1}],
            "alone": ["viewer", "live", {"state": "waiting", "interpreters": 0, "viewers": 1}],
            "ended": ["interpreter", "live", {**on, "state": "ended"}],
            "away": ["viewer", "live", {"state": "waiting", "sender": True}],
            "still": ["studio", "live", {"state": "waiting", "sender": True}, True],
            "listening": ["interpreter", "live", {**on, "floor": "another"}],
            "unheard": ["interpreter", "live", {**on, "heard": False}],
            "live": ["interpreter", "live", on],
            "queued": ["studio", "queued", {"state": "live"}],
        }
        assert page.view.evaluate(script, list(cases.values())) == list(cases)
    finally:
        server.close()


@pytest.mark.long
def test_a_copy_of_a_tab_that_is_live_gets_a_room_of_its_own(pages: Any, port: int) -> None:
    """A browser copies what a tab keeps, also the name of its room, which nobody has asked for."""
    server = serve(port)
    try:
        first = started(pages(server.url))
        live(first)
        room = first.sent("POST", "/api/sessions")[0]["options"]["room"]
        copy = pages(server.url)
        copy.view.evaluate(f"() => sessionStorage.setItem('room', {room!r})")
        started(copy.open())
        copy.view.wait_for_selector("#state[data-state=live]", timeout=PATIENCE_MS)
        assert copy.sent("POST", "/api/sessions")[-1]["options"]["room"] != room
        live(first)
    finally:
        server.close()
