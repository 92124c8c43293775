"""The interpreter's page in Chromium: the sign, the cough button, the partner, the handover, in any language."""

from __future__ import annotations

from typing import Any

import pytest
from patience import PATIENCE_MS
from playwright import sync_api
from test_web_presence import chromium, pages, port, pytestmark, serve, started

__all__ = ["chromium", "pages", "port", "pytestmark"]  # fixtures

SIGN = "document.getElementById('booth').dataset.air"
BOOTH = "?role=interpreter&room=hall&channel=es"


def says(page: Any, selector: str, words: str) -> None:
    sync_api.expect(page.view.locator(selector)).to_have_text(words, timeout=PATIENCE_MS)


@pytest.mark.slow
def test_two_interpreters_hand_over_and_cough(pages: Any, port: int) -> None:
    server = serve(port, "--max-sessions", "1")
    try:
        one = started(pages(server.url, BOOTH))
        one.until(f"{SIGN} === 'on'")
        says(one, "#booth-language", "You interpret into Spanish.")
        assert one.view.is_visible("#partners-none")
        two = started(pages(server.url, BOOTH))
        two.until(f"{SIGN} === 'waiting'")
        says(one, "#partners li .hint", "ready")
        says(two, "#partners li .hint", "on air")
        level = "Number(document.getElementById('own-level').getAttribute('aria-valuenow')) > 0"
        one.until(level)
        two.view.click("#handover-propose")
        says(one, "#handover-text", "Interpreter 2 asks to take over.")
        says(two, "#handover-text", "Waiting for interpreter 1 to confirm.")
        one.view.click("#handover-withdraw")
        says(two, "#handover-text", "")
        one.view.click("#handover-propose")
        says(two, "#handover-text", "Interpreter 1 hands over to you.")
        two.view.click("#handover-confirm")
        two.until(f"{SIGN} === 'on'")
        one.until(f"{SIGN} === 'waiting'")
        coughs(two)
        assert [*one.complaints, *two.complaints] == []
    finally:
        server.close()


def coughs(page: Any) -> None:
    """By key, by pointer, by the button's own key; and never longer than it is held."""
    pressed = "document.getElementById('cough').getAttribute('aria-pressed')"
    page.view.evaluate("() => document.activeElement.blur()")
    button = page.view.locator("#cough")
    for down, up in (
        (lambda: page.view.keyboard.down("h"), lambda: page.view.keyboard.up("h")),
        (lambda: (button.hover(), page.view.mouse.down()), page.view.mouse.up),
        (lambda: (button.focus(), page.view.keyboard.down(" ")), lambda: page.view.keyboard.up(" ")),
        (
            lambda: page.view.keyboard.down("Enter"),
            lambda: page.view.evaluate("() => dispatchEvent(new Event('blur'))"),
        ),
    ):
        down()
        page.until(f"{SIGN} === 'muted' && {pressed} === 'true'")
        up()
        page.until(f"{SIGN} === 'on' && {pressed} === 'false'")
    page.view.keyboard.up("Enter")
    page.view.click("#mute")
    page.until(f"{SIGN} === 'muted'")
    page.view.click("#mute")
    page.until(f"{SIGN} === 'on'")


@pytest.mark.slow
def test_an_interpreters_page_speaks_arabic_from_right_to_left(chromium: Any, port: int) -> None:
    server = serve(port)
    context = chromium.new_context(permissions=["microphone"], locale="ar-EG")
    try:
        view = context.new_page()
        view.goto(server.url + BOOTH)
        view.wait_for_selector("#start:enabled")
        assert view.evaluate("() => [document.documentElement.lang, document.documentElement.dir]") == ["ar", "rtl"]
        assert view.inner_text("#air-text") == "لست على الهواء"
    finally:
        context.close()
        server.close()


def test_the_sign_and_ones_part_in_a_handover(pages: Any, port: int) -> None:
    server = serve(port)
    try:
        page = pages(server.url, BOOTH)
        on = {"floor": "you", "you": 2}
        asked = {"from": 2, "to": 3, "by": 3}
        script = (
            "async cases => { const booth = await import('/static/booth.js');"
            " return cases.map(([name, ...given]) => booth[name](...given)); }"
        )
        cases = [
            (["sign", "idle", on, False], "off"),
            (["sign", "live", None, False], "off"),
            (["sign", "live", on, False], "on"),
            (["sign", "live", on, True], "muted"),
            (["sign", "live", {**on, "muted": True}, False], "muted"),
            (["sign", "live", {**on, "floor": "another"}, True], "waiting"),
            (["sign", "live", {**on, "floor": None}, False], "off"),
            (["part", {**on, "handover": None}], None),
            (["part", {**on, "handover": asked}], "asked"),
            (["part", {**on, "handover": {**asked, "by": 2}}], "asking"),
            (["part", {"you": 4, "handover": asked}], "others"),
        ]
        assert page.view.evaluate(script, [case for case, _ in cases]) == [wanted for _, wanted in cases]
        page.view.context.close()
    finally:
        server.close()


@pytest.mark.slow
def test_a_viewer_chooses_how_loud_the_original_is_where_the_speaker_lets_it_be_heard(pages: Any, port: int) -> None:
    server = serve(port, "--max-sessions", "1")
    try:
        sender = pages(server.url, "?room=hall")
        sender.view.check("input[name=voice][value=room]")
        sender.start()
        viewer = started(pages(server.url, "?role=viewer&room=hall"))
        viewer.until("document.getElementById('state').dataset.state === 'live'")
        assert viewer.view.is_hidden("#field-under")
        sender.view.fill("#under", "20")
        sync_api.expect(viewer.view.locator("#own-under-value")).to_have_text("20 %", timeout=PATIENCE_MS)
        viewer.view.fill("#own-under", "5")
        viewer.until("document.getElementById('own-under-value').textContent === '5 %'")
        assert sender.sent("PATCH")[-1] == {"under": 0.2}
        assert viewer.sent("PATCH") == [{"under": 0.05}]
        viewer.view.wait_for_timeout(800)
        assert viewer.text("#own-under-value") == "5 %"
        sender.view.fill("#under", "0")
        sync_api.expect(viewer.view.locator("#field-under")).to_be_hidden(timeout=PATIENCE_MS)
        assert [*viewer.complaints, *sender.complaints] == []
    finally:
        server.close()
