"""The operator's page in Chromium: who is there, what is done to them, links; a page that was ended stays so."""

from __future__ import annotations

from typing import Any

import pytest
from patience import PATIENCE_MS
from playwright import sync_api
from test_web_booth import SIGN
from test_web_page import CHECKS
from test_web_presence import chromium, pages, port, pytestmark, serve, started

__all__ = ["chromium", "pages", "port", "pytestmark"]  # fixtures


def opened(context: Any, url: str) -> Any:
    view = context.new_page()
    view.goto(url)
    sync_api.expect(view.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
    return view


def problems(view: Any) -> list[Any]:
    return [
        view.evaluate(f"() => {{ {CHECKS}; return {name}(); }}")
        for name in ("unnamed", "brokenReferences", "doubleIds")
    ]


@pytest.mark.slow
def test_an_operator_sees_the_room_and_acts(pages: Any, chromium: Any, port: int) -> None:
    server = serve(port, "--token", "open-sesame")
    context = chromium.new_context(permissions=["microphone", "clipboard-read", "clipboard-write"])
    try:
        view = opened(context, f"http://127.0.0.1:{port}/?role=operator&room=hall#token=open-sesame")
        shows = sync_api.expect(view.locator("#people")).to_contain_text
        assert "token" not in view.url
        view.select_option("#link-language", "es")
        view.click("[data-key=copy-interpreter]")
        sync_api.expect(view.locator("#link-says")).to_contain_text("Link copied.", timeout=PATIENCE_MS)
        link = view.evaluate("() => navigator.clipboard.readText()")
        assert "channel=es" in link
        assert "open-sesame" not in link
        booth = started(pages(link))
        shows("Interpreter 2", timeout=PATIENCE_MS)
        sync_api.expect(view.locator("#channels")).to_contain_text("Spanish", timeout=PATIENCE_MS)
        booth.until(f"{SIGN} === 'on'")
        view.click("[data-key=mute-2]")
        booth.until(f"{SIGN} === 'muted'")
        sync_api.expect(view.locator("[data-key=mute-2]")).to_have_text("Unmute", timeout=PATIENCE_MS)
        view.click("[data-key=mute-2]")
        booth.until(f"{SIGN} === 'on'")
        view.click("[data-key=qr-viewer]")
        sync_api.expect(view.locator("#qr")).to_be_visible(timeout=PATIENCE_MS)
        view.keyboard.press("Escape")
        view.click("[data-key=end-2]")
        view.click("#ask-yes")
        booth.until("document.getElementById('failure-what').textContent.includes('operator has ended')")
        sync_api.expect(view.locator("#people-none")).to_be_visible(timeout=PATIENCE_MS)
        booth.view.wait_for_timeout(1500)
        assert booth.view.locator("#start[data-running=no]").count() == 1  # it does not come back by itself
        view.click("[data-key=revoke-interpreter]")
        sync_api.expect(view.locator("#link-says")).to_contain_text("Revoked", timeout=PATIENCE_MS)
        booth.view.click("#retry")
        booth.until("document.getElementById('failure-what').textContent.includes('was revoked')")
        assert problems(view) == [[], [], []]
    finally:
        context.close()
        server.close()


@pytest.mark.slow
def test_without_the_token_the_page_asks_for_it(chromium: Any, port: int) -> None:
    server = serve(port, "--token", "open-sesame")
    context = chromium.new_context()
    try:
        view = context.new_page()
        view.goto(f"http://127.0.0.1:{port}/?role=operator&room=hall")
        sync_api.expect(view.locator("#token-form")).to_be_visible(timeout=PATIENCE_MS)
        view.fill("#token", "open-sesame")
        view.keyboard.press("Enter")
        sync_api.expect(view.locator("#state")).to_have_attribute("data-state", "live", timeout=PATIENCE_MS)
        assert view.is_hidden("#token-form")
    finally:
        context.close()
        server.close()
