"""Makes the pictures of the studio in docs/ against a running server.

    python tests/studio_pictures.py http://127.0.0.1:8080/ docs

The camera shows the built-in portrait and the microphone hears the built-in voice.
"""

from __future__ import annotations

import io
import sys
import tempfile
import wave
from pathlib import Path
from typing import Any

import av
import browser
from PIL import Image
from playwright.sync_api import sync_playwright

VOICE = Path(__file__).parents[1] / "realtime_dub/assets/demo_voice.opus"
RATE = 48_000
DESKTOP, PHONE = {"width": 1440, "height": 940}, {"width": 390, "height": 844}
SETTLE_MS, LIVE_MS = 1500, 14_000  # until a view is drawn; until the charts have something to show


def voice_file(path: Path) -> Path:
    """The built-in voice as Chromium's fake microphone wants it."""
    resampler = av.AudioResampler("s16", "mono", RATE)
    with av.open(str(VOICE)) as film, wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        for frame in film.decode(audio=0):
            for block in resampler.resample(frame):
                out.writeframes(block.to_ndarray().tobytes())
    return path


def take(view: Any, path: Path) -> None:
    view.wait_for_timeout(SETTLE_MS)
    picture = Image.open(io.BytesIO(view.screenshot())).convert("RGB")
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(path, path.stat().st_size // 1000, "kB")


def take_all(view: Any, folder: Path) -> None:
    view.click("#start")
    view.wait_for_selector("#state[data-state=live]", timeout=20_000)
    view.wait_for_timeout(LIVE_MS)
    take(view, folder / "studio-light.png")
    view.emulate_media(color_scheme="dark")
    view.keyboard.press("c")
    take(view, folder / "studio-dark.png")
    view.emulate_media(color_scheme="light")
    view.keyboard.press("c")
    view.set_viewport_size(PHONE)
    take(view, folder / "studio-phone.png")


def main(url: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        film = browser.camera_film(Path(scratch) / "face.y4m", 640, 480, 20, 4)
        with browser.chromium(playwright, film, voice_file(Path(scratch) / "voice.wav")) as running:
            view = running.new_page(viewport=DESKTOP, color_scheme="light", permissions=["camera", "microphone"])
            view.goto(url)
            view.wait_for_selector("#start:enabled")
            take_all(view, folder)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
