"""A browser whose connection is cut connects again by itself, to the real server; and it watches a local run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from feeds import Aside, publishing
from playwright import sync_api
from test_web_page import Page
from web_peers import cut, serving

pytestmark = pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Any]:
    with sync_api.sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def chromium(playwright: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film: Path = browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 15, 1)
    with browser.chromium(playwright, film) as running:
        yield running


@pytest.fixture
def context(chromium: Any) -> Iterator[Any]:
    made = chromium.new_context(permissions=["camera", "microphone"])
    yield made
    made.close()


def frames(page: Page) -> int:
    return int(page.view.evaluate("() => document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames"))


def moves_on(page: Page) -> None:
    """The dubbed picture moves, statistics come, a chooser acts."""
    seen = frames(page)
    page.until(f"document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames > {seen} + 5")
    clock = page.text("#clock")
    page.until(f"document.getElementById('clock').textContent !== '{clock}'")
    strength = 0.5 if page.view.input_value("#strength") != "0.5" else 1.5
    page.view.eval_on_selector("#strength", f"s => {{ s.value = {strength}; s.dispatchEvent(new Event('input')); }}")
    page.view.wait_for_timeout(600)


@pytest.mark.slow
def test_a_cut_connection_comes_back_by_itself(context: Any) -> None:
    with Aside(serving()) as (aside, (studio, _, url)):
        page = Page(context, url + "/").open().start()
        moves_on(page)
        (session,) = studio.sessions.values()
        first = session._connection._peer
        page.view.evaluate(
            "() => { window.texts = []; const text = document.getElementById('state-text'); const seen = () =>"
            " texts.push(text.textContent); new MutationObserver(seen).observe(text, { childList: true }); }"
        )
        aside.run(cut(*studio.sessions.values()))
        page.until("texts.includes('Interrupted, reconnecting')")  # it may be over in no time
        page.until("document.getElementById('state').dataset.state === 'live'")
        assert session._connection._peer is not first
        moves_on(page)
        assert list(studio.sessions.values()) == [session]
        assert session.options.strength == 1.5
        assert not page.view.is_visible("#failure")
        assert len(page.sent("POST", "/api/sessions")) == 1
        page.view.click("#start")
        aside.until(lambda: studio.sessions == {})
        assert page.complaints == []


def test_a_new_network_is_used_at_once(context: Any) -> None:
    """The browser says that it is online again: no waiting for the old path to fail."""
    with Aside(serving()) as (aside, (studio, _, url)):
        page = Page(context, url + "/").open().start()
        aside.run(cut(*studio.sessions.values()))
        context.set_offline(True)
        context.set_offline(False)
        page.until("performance.getEntriesByType('resource').some(entry => entry.name.endsWith('/ice'))")
        page.until("document.getElementById('state').dataset.state === 'live'")
        moves_on(page)
        page.view.click("#start")
        aside.until(lambda: studio.sessions == {})


@pytest.mark.slow
def test_a_session_that_ended_meanwhile_is_followed_by_another(context: Any) -> None:
    with Aside(serving()) as (aside, (studio, _, url)):
        page = Page(context, url + "/").open().start()
        (session,) = studio.sessions
        aside.run(cut(*studio.sessions.values()))
        aside.run(studio.end(session, "test"))
        aside.until(lambda: studio.sessions and session not in studio.sessions)
        page.until("document.getElementById('state').dataset.state === 'live'")
        moves_on(page)
        assert not page.view.is_visible("#failure")
        page.view.click("#start")
        aside.until(lambda: studio.sessions == {})


def test_whoever_opens_the_page_of_a_local_run_watches_it(chromium: Any) -> None:
    with publishing("webrtc:0") as (publisher, _):
        context = chromium.new_context()
        page = Page(context, publisher.address).open()
        assert page.view.url.endswith("/?role=viewer&room=live")
        assert "Watch live" in page.text("#welcome-title")
        page.start()
        page.until("document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames > 10")
        assert not page.view.evaluate("() => document.getElementById('dubbed').muted")
        assert page.view.is_visible("#badge")
        assert [each for each in ("#record", "#mute", "#group-enroll", "#camera") if page.view.is_visible(each)] == []
        box, stage = (page.view.locator(each).bounding_box() for each in ("#dubbed", "#stage"))
        assert box["width"] > 0.95 * stage["width"]
        page.view.keyboard.press("c")
        assert page.view.get_attribute("#stage", "data-view") == "dubbed"
        page.view.keyboard.press("f")
        page.until("document.fullscreenElement?.id === 'stage'")
        page.view.keyboard.press("f")
        page.view.click("#listen")
        assert page.view.evaluate("() => document.getElementById('dubbed').muted")
        assert page.complaints == []
        context.close()


def test_a_browser_that_holds_sound_back_still_shows_the_picture(chromium: Any) -> None:
    with publishing("webrtc:0") as (publisher, _):
        context = chromium.new_context()
        page = Page(context, publisher.address)
        page.view.add_init_script(
            "const play = HTMLMediaElement.prototype.play; HTMLMediaElement.prototype.play = function () {"
            "return this.muted ? play.call(this) : Promise.reject(new DOMException('no', 'NotAllowedError')); };"
        )
        page.open().start()
        page.until("document.getElementById('notice').textContent.includes('Press Listen')")
        assert page.view.evaluate("() => document.getElementById('dubbed').muted")
        page.until("document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames > 10")
        page.view.click("#listen")
        assert not page.view.evaluate("() => document.getElementById('dubbed').muted")
        context.close()


def test_a_page_of_a_local_run_that_asked_for_a_token_becomes_the_viewer(chromium: Any) -> None:
    with publishing("webrtc://127.0.0.1:0?token=open-sesame") as (publisher, _):
        context = chromium.new_context()
        context.set_extra_http_headers({"Authorization": "Bearer open-sesame"})
        page = Page(context, publisher.address.partition("?")[0])
        page.view.goto(publisher.address.partition("?")[0] + "index.html")  # as studio: no role in the address
        page.view.wait_for_url(lambda url: url.endswith("?role=viewer&room=live"))
        page.start()
        context.close()
