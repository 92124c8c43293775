"""The green room, and what a page that is live offers when a device comes or goes, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from patience import PATIENCE_MS
from test_web_page import Page, chromium, film, playwright, pytestmark, servers, url

__all__ = ["chromium", "film", "playwright", "servers", "url"]  # fixtures
pytestmark = [pytestmark, pytest.mark.slow]
# As if somebody had plugged something in: the browser's own devices, and those that are given.
PLUGGED = """given => {
    const media = navigator.mediaDevices;
    window.ownDevices ??= media.enumerateDevices.bind(media);
    media.enumerateDevices = async () => [...await ownDevices(), ...given];
    media.dispatchEvent(new Event("devicechange"));
}"""
HEADSET = {"kind": "audioinput", "deviceId": "headset", "label": "A headset", "groupId": "h"}


@pytest.fixture
def page(chromium: Any, url: str) -> Iterator[Page]:
    context = chromium.new_context(permissions=["camera", "microphone"])
    made = Page(context, url)
    made.view.add_init_script("""try {
        if (localStorage.getItem("settings") === '{"version": 1, "green": false}') localStorage.clear();
    } catch { /* no page yet */ }""")
    yield made
    assert made.complaints == []
    context.close()


def test_a_speaker_of_a_room_is_seen_and_heard_here_before_anywhere(page: Page) -> None:
    view = page.open("?room=green").view
    view.click("#start")
    view.wait_for_selector("#green[open]")
    page.until("document.getElementById('green-video').videoWidth > 0")
    page.until("document.getElementById('green-level').ariaValueNow > 0")
    page.until("document.getElementById('green-level-says').textContent.includes('heard')")
    assert "gives 320 × 240" in page.text("#green-gives")
    assert "The server holds" in page.text("#camera-hint")
    view.click("#green-record")
    view.wait_for_timeout(1500)
    view.click("#green-record")
    page.until("document.getElementById('green-back').videoWidth > 0")
    page.until("!document.getElementById('green-video').hidden")  # it has been played, and is forgotten
    assert page.offers() == []
    tracks = "[...document.getElementById('green-video').srcObject.getTracks()].map(each => each.id)[0]"
    before = view.evaluate(f"() => {tracks}")
    view.click("#green-live")
    view.wait_for_selector("#state[data-state=live]", timeout=PATIENCE_MS)
    assert len(page.offers()) == 1
    assert view.evaluate("() => document.getElementById('original').srcObject.getVideoTracks()[0].id") == before
    assert view.locator(".panel #field-camera, .panel #field-microphone").count() == 2
    view.click("#start")


def test_it_is_skipped_where_somebody_has_said_so_and_opens_on_request(page: Page) -> None:
    view = page.open("?room=green").view
    view.click("#start")
    view.wait_for_selector("#green[open]")
    view.uncheck("#green-always")
    view.keyboard.press("Escape")
    page.until("document.getElementById('green-video').srcObject === null")
    assert view.evaluate("() => document.activeElement.id") == "start"
    page.open("?room=green")
    view.click("#check")
    view.wait_for_selector("#green[open]")
    view.select_option("#green #camera-fps", "15")
    page.until("document.getElementById('green-gives').textContent.includes('15 frames')")
    view.keyboard.press("Escape")
    page.start()
    view.click("#start")


def test_a_word_that_is_typed_beside_a_field_does_nothing_and_a_key_that_is_meant_does(page: Page) -> None:
    view = page.open().start().view
    view.locator("h1").evaluate("it => document.activeElement.blur()")
    view.keyboard.type("merssr", delay=30)
    view.wait_for_timeout(700)
    assert view.get_attribute("#mute", "aria-pressed") == "false"
    assert view.get_attribute("#state", "data-state") == "live"
    view.keyboard.press("m")
    page.until("document.getElementById('mute').ariaPressed === 'true'")
    view.wait_for_timeout(400)
    view.keyboard.press("s")
    view.wait_for_selector("#welcome", state="visible")


def test_what_is_plugged_in_or_taken_away_is_offered_and_never_taken(page: Page) -> None:
    view = page.open().start().view
    sent = "(await navigator.mediaDevices.enumerateDevices()).length"
    assert view.evaluate(f"async () => {sent}") > 0
    view.evaluate(PLUGGED, [HEADSET])
    view.wait_for_selector("#offer:not([hidden])")
    assert page.text("#offer-text") == "A headset was plugged in."
    assert view.input_value("#microphone") == ""
    view.evaluate(PLUGGED, [])  # and out again
    view.wait_for_selector("#offer", state="hidden")
    view.evaluate(PLUGGED, [HEADSET])
    view.click("#offer-not")
    assert view.is_hidden("#offer")
    view.evaluate(PLUGGED, [HEADSET | {"deviceId": "other", "label": "Another one"}])
    view.click("#offer-use")
    assert view.input_value("#microphone") == "other"
    page.until("document.getElementById('notice').textContent")  # there is no such thing, and that is said
    view.evaluate(
        "() => document.getElementById('original').srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))"
    )
    page.until("!document.getElementById('offer').hidden")
    assert "taken away" in page.text("#offer-text")
    view.click("#start")
    page.until("document.getElementById('offer').hidden")
