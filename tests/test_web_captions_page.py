"""Captions in a page: offered once there are some, plain text, right to left, told to screen readers on request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from playwright import sync_api

from benchmarks.studio_page import Server

pytestmark = [
    pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed"),
    pytest.mark.slow,
]
MADE = """async (asked) => {
    const { Captions } = await import('/static/captions.js');
    window.made = new Captions(asked);
}"""
SHOW = "([text, channel, heard, ms]) => window.made.show({ number: ++window.shown, channel, text, for_ms: ms, heard })"
SEEN = "() => document.getElementById('captions').hidden ? null : document.getElementById('caption').textContent"


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    film: Path = browser.camera_film(tmp_path_factory.mktemp("camera") / "face.y4m", 320, 240, 5, 1)
    server = Server("--quiet", "--workers", "1")
    try:
        with sync_api.sync_playwright() as playwright, browser.chromium(playwright, film) as chromium:
            page = chromium.new_context(locale="en").new_page()
            page.goto(f"{server.url}?role=viewer&room=hall")
            page.wait_for_selector("#start:enabled")
            page.evaluate("() => { window.shown = 0; }")
            yield page
    finally:
        server.close()


def test_captions_are_offered_once_there_are_some_and_shown_as_chosen(view: Any) -> None:
    view.evaluate(MADE, None)
    assert not view.is_visible("#captions-bar")
    view.evaluate(SHOW, ["Hello", "en", True, 60_000])
    assert view.is_visible("#captions-bar")
    view.wait_for_timeout(50)
    assert view.evaluate(SEEN) is None  # off at first
    view.select_option("#captions-choice", "heard")
    view.evaluate(SHOW, ["Hi <b>there</b>\nand here", "en", True, 60_000])
    view.evaluate(SHOW, ["مرحبا بكم!", "ar", False, 60_000])
    view.wait_for_function("() => !document.getElementById('captions').hidden")
    assert view.evaluate(SEEN) == "Hi <b>there</b>\nand here"
    assert view.evaluate("() => document.getElementById('caption').children.length") == 0
    view.select_option("#captions-choice", "ar")
    view.evaluate(SHOW, ["مرحبا بكم!", "ar", False, 400])
    view.wait_for_function("() => document.getElementById('caption').textContent.startsWith('م')")
    assert view.evaluate("() => getComputedStyle(document.getElementById('caption')).direction") == "rtl"
    view.wait_for_function("() => document.getElementById('captions').hidden")  # its time is over
    assert view.get_attribute("#captions", "aria-live") == "off"
    view.check("#captions-reader")
    assert view.get_attribute("#captions", "aria-live") == "polite"
    view.select_option("#captions-size", "large")
    view.evaluate(MADE, None)  # as after a reload: this browser's choice
    assert view.input_value("#captions-choice") == "ar"
    assert view.get_attribute("#captions", "data-size") == "large"
    view.evaluate(MADE, "1")
    assert view.input_value("#captions-choice") == "heard"


def test_an_echo_that_is_not_cancelled_is_told_while_others_are_heard(view: Any) -> None:
    script = """async cases => {
        const { echoes } = await import('/static/echo.js');
        const track = (echoCancellation, readyState = 'live') =>
            ({ readyState, getSettings: () => ({ echoCancellation }) });
        const given = { on: track(true), kind: track('all'), off: track(false), none: track(undefined),
            over: track(false, 'ended') };
        return cases.map(([name, heard]) => echoes(given[name] ?? null, heard));
    }"""
    cases = [["on", True], ["kind", True], ["off", True], ["off", False], ["none", True], ["over", True], ["no", True]]
    told = [None, None, "echo.off", None, "echo.unknown", None, None]
    assert view.evaluate(script, cases) == told
