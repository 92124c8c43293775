"""Chromium for the tests of the page, with a camera that shows a film and a microphone that beeps."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from realtime_dub.sources.demo import DemoSource

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required")


def camera_film(path: Path, width: int, height: int, fps: int, seconds: float) -> Path:
    """The built-in portrait as raw pictures (.y4m), which Chromium repeats and needs not decode."""
    source = DemoSource(width, height, fps)
    source.open()
    with av.open(str(path), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("wrapped_avframe", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for _ in range(round(fps * seconds)):
            picture = av.VideoFrame.from_ndarray(np.asarray(source.read().image), format="bgr24").reformat(
                format="yuv420p"
            )
            out.mux(stream.encode(picture))
    source.close()
    return path


@contextmanager
def chromium(playwright: Any, camera: Path | None, voice: Path | None = None) -> Iterator[Any]:
    """A browser of playwright's with this camera; None: without any camera, whatever the machine has.

    Its microphone plays ``voice`` (.wav) over and over; None: it beeps.
    """
    count = 1 if camera else 0
    devices = [f"--use-fake-device-for-media-stream=device-count={count}"]
    if camera:
        devices.append(f"--use-file-for-fake-video-capture={camera}")
    if voice:
        devices.append(f"--use-file-for-fake-audio-capture={voice}")
    browser = playwright.chromium.launch(executable_path=PROGRAM, args=[*FLAGS, *devices])
    try:
        yield browser
    finally:
        browser.close()
