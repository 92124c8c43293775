"""Four people of one room in Chromium: they come in any order, go and come back, sleep, and outlive their server."""

from __future__ import annotations

import itertools
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import browser
import pytest
from feeds import Aside
from playwright import sync_api
from room_pages import People, own_chromium
from test_web_page import Page
from web_peers import cut, serving

from benchmarks.studio_page import Server
from benchmarks.usage import children
from realtime_dub.web.studio.session import Session
from realtime_dub.web.studio.studio import Studio

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")

SOON_S = 10.0  # five on a machine of usual speed; of long tests, which have no company
TOLD_S = 6.0  # likewise three
ORDERS = (
    ("sender", "interpreter", "viewer", "second viewer"),
    ("viewer", "second viewer", "interpreter", "sender"),
    ("interpreter", "viewer", "sender", "second viewer"),
    ("viewer", "sender", "second viewer", "interpreter"),
)
WAITS = "Waiting for the sender's picture"


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 15, 1)


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Any, film: Path) -> Iterator[Any]:
    with browser.chromium(playwright, film) as running:
        yield running


@pytest.fixture
def port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def served() -> Iterator[tuple[Aside, Studio, str]]:
    """A server of this process, to look into."""
    with Aside(serving()) as (aside, (studio, _, url)):
        yield aside, studio, f"{url}/"


def serve(port: int, workers: int = 1) -> Server:
    return Server("--quiet", "--port", str(port), "--max-sessions", "1", "--workers", str(workers))


def killed_and_started_again(server: Server, how: signal.Signals, port: int) -> Server:
    os.kill(server.pid, how)
    server.close()
    return serve(port)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_all_are_live_again_after_their_server_was_away(chromium: Any, port: int, how: signal.Signals) -> None:
    server = serve(port)
    people = People(chromium, server.url)
    try:
        for role in ORDERS[how is signal.SIGTERM]:
            people.come(role)
        people.live()
        server = killed_and_started_again(server, how, port)
        people.live()
        assert all(not page.view.is_visible("#failure") for page in people.pages.values())
    finally:
        people.end()
        server.close()


@pytest.mark.long
def test_all_are_live_again_after_their_worker_was_killed(chromium: Any, port: int) -> None:
    server = serve(port, workers=2)
    people = People(chromium, server.url)
    try:
        for role in ORDERS[1]:
            people.come(role)
        people.live(seconds=2 * SOON_S)
        os.kill(min(children(server.pid)), signal.SIGKILL)  # the one that was started first, and has the room
        people.until_not_live("viewer", SOON_S)
        people.live(seconds=SOON_S)
        assert all(not page.view.is_visible("#failure") for page in people.pages.values())
    finally:
        people.end()
        server.close()


@pytest.mark.long
@pytest.mark.parametrize("order", list(itertools.permutations(ORDERS[0])), ids=", ".join)
def test_any_order_and_each_leaves_and_comes_back(chromium: Any, port: int, order: tuple[str, ...]) -> None:
    server = serve(port)
    people = People(chromium, server.url)
    try:
        for role in order:
            people.come(role)
        people.live(seconds=2 * SOON_S)
        for role in order:
            people.leave(role)
            people.come(role)
            people.live(seconds=SOON_S)
        for role in order:
            people.pages[role].view.reload()
            people.live(seconds=SOON_S)
    finally:
        people.end()
        server.close()


@pytest.mark.slow
def test_a_page_that_is_loaded_again_goes_on_unless_it_was_stopped(
    chromium: Any, served: tuple[Aside, Studio, str]
) -> None:
    _, studio, url = served
    people = People(chromium, url)
    try:
        for role in ("sender", "viewer", "interpreter"):
            people.come(role)
        people.live()
        for role in tuple(people.pages):
            people.pages[role].view.reload()
            people.live()
        viewer = people.pages["viewer"]
        viewer.view.click("#start")
        viewer.view.reload()
        viewer.until("!document.getElementById('start').disabled")
        viewer.view.wait_for_timeout(500)
        assert people.says("viewer") == "Ready"
        assert len(studio.sessions) == 2
    finally:
        people.end()


class Line:
    """The way of one page's requests and packets. What was sent over a dead line is never answered."""

    def __init__(self, page: Page, aside: Aside) -> None:
        self._context, self._aside, self._dead = page.view.context, aside, False
        page.view.route("**/api/**", lambda route: None if self._dead else route.continue_())

    def lose(self, session: Session, told: bool) -> None:
        """``told``: the browser knows that it is offline."""
        self._dead = not told
        self._aside.run(cut(session))
        self._context.set_offline(told)

    def mend(self) -> None:
        """The old path stays dead: it is another network."""
        self._dead = False
        self._context.set_offline(False)


def session_of(studio: Studio, role: str) -> Session:
    return next(each for each in studio.sessions.values() if each.options.role == {"sender": "studio"}.get(role, role))


@pytest.mark.long
@pytest.mark.parametrize("told", [pytest.param(True, marks=pytest.mark.long), False])
@pytest.mark.parametrize(
    "role", ["sender", *(pytest.param(each, marks=pytest.mark.long) for each in ("viewer", "interpreter"))]
)
def test_a_line_that_is_lost_and_comes_back(
    chromium: Any, served: tuple[Aside, Studio, str], role: str, told: bool
) -> None:
    aside, studio, url = served
    people = People(chromium, url)
    try:
        for each in ("sender", "interpreter", "viewer"):
            people.come(each)
        line = Line(people.pages[role], aside)
        people.live(seconds=2 * SOON_S)
        session = session_of(studio, role)
        line.lose(session, told)
        if role == "sender":
            people.until_says("viewer", WAITS, TOLD_S)
        people.until_says(role, "Interrupted, reconnecting", 2 * SOON_S)
        line.mend()
        people.live(seconds=SOON_S)
        assert session_of(studio, role) is session
    finally:
        people.end()


@contextmanager
def stopped(signal_browser: Callable[[signal.Signals], None]) -> Iterator[None]:
    """A browser meanwhile; it goes on whatever happens, since one that is stopped cannot be closed."""
    signal_browser(signal.SIGSTOP)
    try:
        yield
    finally:
        signal_browser(signal.SIGCONT)


def asleep(people: People, signal_browser: Any, meanwhile: Any) -> dict[str, float]:
    """The sender's browser is stopped until the viewer waits and ``meanwhile`` is over: after how long all are live."""
    with stopped(signal_browser):
        people.until_says("viewer", WAITS)
        meanwhile()
    return people.live()


@pytest.mark.long
def test_a_laptop_that_slept_is_live_again(
    chromium: Any, playwright: Any, film: Path, served: tuple[Aside, Studio, str]
) -> None:
    """For a moment, and for so long that the server has ended its session."""
    aside, studio, url = served
    people = People(chromium, url)
    with own_chromium(playwright, film) as (laptop, signal_browser):
        try:
            people.come("viewer")
            people.come("sender", laptop)
            people.live(seconds=2 * SOON_S)
            (session,) = (each for each in studio.sessions.values() if each.options.role == "studio")
            asleep(people, signal_browser, lambda: None)
            assert studio.sessions.get(session.id) is session
            asleep(people, signal_browser, lambda: aside.run(studio.end(session.id, "not connected")))
            assert session.id not in studio.sessions
        finally:
            people.end()


@pytest.mark.long
@pytest.mark.parametrize("role", ["sender", "interpreter", "viewer"])
def test_each_role_sleeps_for_twenty_seconds(chromium: Any, playwright: Any, film: Path, port: int, role: str) -> None:
    server = serve(port)
    people = People(chromium, server.url)
    with own_chromium(playwright, film) as (laptop, signal_browser):
        try:
            for each in ("second viewer", "sender", "interpreter", "viewer"):
                people.come(each, laptop if each == role else None)
            people.live(seconds=2 * SOON_S)
            with stopped(signal_browser):
                people.pages["second viewer"].view.wait_for_timeout(20_000)
                assert people.says("second viewer") == (WAITS if role == "sender" else "Live")
            people.live(seconds=SOON_S)
        finally:
            people.end()
            server.close()


@pytest.mark.long
@pytest.mark.timeout(240)
def test_who_slept_so_long_that_they_were_given_up_are_live_again(
    chromium: Any, playwright: Any, film: Path, port: int
) -> None:
    """An interpreter and a viewer on one laptop, for a minute and a half: the server has ended their sessions."""
    server = serve(port)
    people = People(chromium, server.url)
    with own_chromium(playwright, film) as (laptop, signal_browser):
        try:
            for each in ("sender", "interpreter", "viewer"):
                people.come(each, None if each == "sender" else laptop)
            people.live(seconds=2 * SOON_S)
            with stopped(signal_browser):
                people.pages["sender"].view.wait_for_timeout(90_000)
                assert people.room()["interpreters"] == people.room()["viewers"] == 0
            people.live(seconds=SOON_S)
        finally:
            people.end()
            server.close()


# A page whose picture stops, though its connection is there.


UNPLUG = """() => { window.asked = navigator.mediaDevices.getUserMedia;
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("", "NotFoundError"));
    const track = document.getElementById("original").srcObject.getVideoTracks()[0];
    track.stop(); track.dispatchEvent(new Event("ended")); }"""
PLUG_IN = """() => { navigator.mediaDevices.getUserMedia = window.asked;
    navigator.mediaDevices.dispatchEvent(new Event("devicechange")); }"""


@pytest.mark.slow
def test_a_camera_that_is_taken_away_and_comes_back(chromium: Any, served: tuple[Aside, Studio, str]) -> None:
    _, studio, url = served
    people = People(chromium, url)
    try:
        sender = people.come("sender")
        people.come("viewer")
        people.live()
        sessions = dict(studio.sessions)
        sender.view.evaluate(UNPLUG)
        people.until_says("viewer", WAITS)
        people.until_says("sender", "No picture leaves")
        sender.view.evaluate(PLUG_IN)
        people.live()
        assert "camera is back" in sender.text("#notice")
        assert studio.sessions == sessions
    finally:
        people.end()
