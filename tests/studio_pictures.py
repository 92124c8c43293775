"""Makes the pictures of the studio in docs/ against a running server.

    python tests/studio_pictures.py http://127.0.0.1:8080/ docs

The camera shows the built-in portrait and the microphone hears the built-in voice.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import browser
from PIL import Image
from playwright.sync_api import sync_playwright

DESKTOP, PHONE = {"width": 1440, "height": 940}, {"width": 390, "height": 844}
LOUD, DELAY_MS = 74, 240  # percent of the meter; what the meter is ahead of the dubbed picture
SETTLE_MS, LIVE_MS = 1500, 62_000  # until a view is drawn; until the charts, of a minute, are full


def loud(view: Any) -> None:
    """Waits for a loud sound and then for the picture that speaks it."""
    for _ in range(100):
        if int(view.get_attribute("#meter", "aria-valuenow")) >= LOUD:
            break
        view.wait_for_timeout(20)
    view.wait_for_timeout(DELAY_MS)


def take(view: Any) -> bytes:
    view.wait_for_timeout(SETTLE_MS)
    loud(view)
    return bytes(view.screenshot())


def take_all(view: Any) -> dict[str, bytes]:
    view.click("#start")
    view.wait_for_selector("#state[data-state=live]", timeout=20_000)
    view.wait_for_timeout(LIVE_MS)
    light = take(view)
    view.emulate_media(color_scheme="dark")
    view.keyboard.press("c")
    dark = take(view)
    view.emulate_media(color_scheme="light")
    view.keyboard.press("c")
    view.set_viewport_size(PHONE)
    return {"light": light, "dark": dark, "phone": take(view)}


def keep(picture: bytes, path: Path) -> None:
    """With 256 colours: a third of the size. Done last, because it would take the processor from what is shown."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(256, kmeans=2, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(path, path.stat().st_size // 1000, "kB")


def main(url: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        film = browser.camera_film(Path(scratch) / "face.y4m", 640, 480, 25, 4)
        with browser.chromium(playwright, film, browser.voice_file(Path(scratch) / "voice.wav")) as running:
            view = running.new_page(viewport=DESKTOP, color_scheme="light", permissions=["camera", "microphone"])
            view.goto(url)
            view.wait_for_selector("#start:enabled")
            pictures = take_all(view)
    for name, picture in pictures.items():
        keep(picture, folder / f"studio-{name}.png")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
