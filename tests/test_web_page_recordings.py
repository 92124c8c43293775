"""The page's list of recordings in a real Chromium: what Stop or a reload ends is there, to be fetched and removed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import browser
import pytest
from feeds import Aside
from playwright import sync_api
from test_web_page import CHECKS, Page
from web_peers import serving

from benchmarks.studio_page import Server
from realtime_dub.web.studio import recording

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")
LISTED = "document.querySelectorAll('#recordings-list li[data-state=kept]').length"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film = browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 15, 1)
    with sync_api.sync_playwright() as playwright, browser.chromium(playwright, film) as running:
        yield running.new_context(permissions=["camera", "microphone"], accept_downloads=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with contextlib.closing(Server("--quiet")) as server:
        yield server.url


@pytest.fixture
def page(context: Any, url: str) -> Iterator[Page]:
    made = Page(context, url).open()
    yield made
    made.view.evaluate("() => localStorage.clear()")
    made.view.close()


def record(page: Page) -> None:
    page.start()
    page.view.click("#record")
    page.view.wait_for_selector("#rec-badge:not([hidden])")
    page.view.wait_for_timeout(1_500)


def frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.slow
def test_what_stop_ends_is_offered_survives_a_reload_and_is_removed(page: Page) -> None:
    assert not page.view.is_visible("#recordings")
    record(page)
    page.until("document.querySelector('#recordings-list li[data-state=recording]')")
    page.view.click("#start")
    page.until(f"{LISTED} === 1")
    assert "is kept" in page.text("#notice")
    page.view.reload()
    page.until(f"{LISTED} === 1")
    assert "60 minutes" in page.text("#recordings-hint")
    assert "0:0" in page.text("#recordings-list")
    assert "until" in page.text("#recordings-list")
    for check in ("unnamed", "paleTexts", "doubleIds"):
        assert page.view.evaluate(f"() => {{ {CHECKS}; return {check}(); }}") == []
    with page.view.expect_download() as waiting:
        page.view.click("#recordings-list button:has-text('Download')")
    assert frames(Path(waiting.value.path())) > 10
    page.view.click("#recordings-list button:has-text('Remove')")
    page.view.wait_for_selector("#recordings", state="hidden")
    page.view.reload()
    page.until("!document.getElementById('start').disabled")
    assert not page.view.is_visible("#recordings")
    assert [each for each in page.complaints if "404" not in each] == []


def test_leaving_while_it_records_is_asked_about_and_loses_nothing(page: Page) -> None:
    asked: list[str] = []

    def answer(dialog: Any) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.view.on("dialog", answer)
    page.view.reload()
    assert asked == []
    page.until("!document.getElementById('start').disabled")
    record(page)
    page.view.reload()
    assert asked == ["beforeunload"]
    page.until(f"{LISTED} === 1")
    page.view.reload()
    assert asked == ["beforeunload"]


def test_the_button_saves_it_and_it_is_listed_all_the_same(page: Page) -> None:
    record(page)
    with page.view.expect_download() as waiting:
        page.view.click("#record")
    assert frames(Path(waiting.value.path())) > 10
    page.until(f"{LISTED} === 1")
    page.view.click("#start")
    page.view.wait_for_selector("#welcome", state="visible")
    assert "is kept" not in page.text("#notice")


def fetched(page: Page) -> Path:
    with page.view.expect_download() as waiting:
        page.view.click("#recordings-list button:has-text('Download')")
    return Path(waiting.value.path())


@pytest.mark.long
def test_what_a_killed_server_had_written_is_fetched_from_the_next_one(context: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = Server("--quiet", "--port", port)
    page = Page(context, server.url).open()
    try:
        record(page)
        os.kill(server.pid, signal.SIGKILL)
        server.close()
        server = Server("--quiet", "--port", port)
        page.until(f"{LISTED} === 1")
        page.until("document.getElementById('state').dataset.state === 'live'")  # and its page goes on
        assert frames(fetched(page)) > 10
    finally:
        page.view.evaluate("() => localStorage.clear()")
        page.view.close()
        server.close()


@pytest.mark.long
def test_what_was_written_before_the_disk_was_full_is_fetched(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "ROOM_CHECKED_EVERY", 1)
    with Aside(serving()) as (_, (_, _, url)):
        page = Page(context, url + "/").open()
        record(page)
        monkeypatch.setattr(recording, "RECORDING_LEAST_ROOM", 1 << 60)
        page.until(f"{LISTED} === 1")
        assert "Ended early: the disk is nearly full" in page.text("#recordings-list")
        assert "recording ended" in page.text("#notice")
        page.view.wait_for_selector("#rec-badge", state="hidden")
        assert page.text("#state") == "Live"
        assert frames(fetched(page)) > 10
        page.view.evaluate("() => localStorage.clear()")
        page.view.close()
