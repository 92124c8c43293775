"""An avatar in the camera's place in a real Chromium, which has no camera at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browser
import pytest
from test_web_page import Page, page_of
from toy_avatars import toy_avatar

from realtime_dub.mouth.avatar.packed import pack

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,  # a browser, a server, and a process that looks at what was sent: half a minute of a core
    pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed"),
]
LOOKED_AT_MS = 80_000  # a file, by a process of its own, of lowest priority
WIDTHS = ((1280, 720), (1440, 900), (820, 1180), (390, 844))


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    (tmp_path / "offered").mkdir()
    pack(toy_avatar(tmp_path / "offered/Jane Doe.avatar"), tmp_path / "mine.zip")
    with page_of("--workers", "1", "--avatars", str(tmp_path / "offered")) as view:
        yield view


def test_an_avatar_speaks_without_a_camera(page: Page, tmp_path: Path) -> None:
    page.open()
    assert page.view.is_hidden("#field-avatar")
    page.view.select_option("#camera", "avatar")
    page.until("document.getElementById('avatar').value === 'Jane-Doe'")
    assert not page.view.is_visible("#views")
    assert "No camera is used" in page.text("#welcome-text")
    page.view.set_input_files("#avatar-file", str(tmp_path / "mine.zip"))
    page.view.wait_for_selector(".making", timeout=LOOKED_AT_MS)
    assert page.text(".making").startswith("me.mp4")
    assert "Nobody has confirmed that this person agrees" in page.text(".making")
    page.view.click("text=The person agrees")
    page.until("document.querySelector('.making').textContent.includes('It is recorded that the person agrees')")
    assert page.view.query_selector("text=/^The person agrees$/") is None
    assert page.view.get_attribute(".making button:last-child", "aria-label") == "Delete: me.mp4"
    page.view.click(".making button:last-child")
    page.until("document.querySelectorAll('.making').length === 0")
    page.view.set_input_files("#avatar-file", {"name": "a.zip", "mimeType": "application/zip", "buffer": b"no zip"})
    page.view.wait_for_selector("#avatar-says[data-kind=problem]", timeout=LOOKED_AT_MS)
    assert page.text("#avatar-says").startswith("The file is no avatar")
    page.complaints = [each for each in page.complaints if "422" not in each]  # Chromium's own word on a refusal
    page.start()
    assert page.view.evaluate("document.getElementById('original').srcObject") is None
    [opened] = page.sent("POST", "/api/sessions")
    assert opened["options"]["picture"] == "avatar:Jane-Doe"
    page.view.select_option("#backdrop-kind", "none")
    page.view.select_option("#avatar-side", "384")
    page.until("document.getElementById('dubbed').videoWidth === 384")
    changed: dict[str, Any] = {}
    for request in page.requests:
        if request.method == "PATCH":
            changed |= request.post_data_json
    assert (changed["background"], changed["side"]) == ("none", 384)
    for width, height in WIDTHS:
        page.view.set_viewport_size({"width": width, "height": height})
        assert page.view.evaluate("document.documentElement.scrollWidth") <= width
