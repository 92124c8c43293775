"""Chromium with a camera that shows a film and a microphone that plays a file: for benchmarks and tests of the page.

Both can carry marks, by which a page can tell when it sends what, and when that comes back: each picture its number in
blocks of black and white, outside the face, and the sound a short tone every second.
"""

from __future__ import annotations

import shutil
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np

from realtime_dub.media import Floats, Image
from realtime_dub.sources.demo import DemoSource

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = ("--headless=new", "--no-sandbox", "--mute-audio", "--autoplay-policy=no-user-gesture-required")
BITS, BLOCK = 5, 24  # of a picture's number; pixels of a block in a picture 640 wide
NUMBERS = 1 << BITS
VOICE = Path(__file__).parents[1] / "realtime_dub/assets/demo_voice.opus"
RATE, VOICE_S = 48_000, 12  # a whole number of marks
TONE_HZ, TONE_S, TONE_LEVEL, CUT_HZ = 7_500, 0.025, 0.25, 6_000


def camera_film(path: Path, width: int, height: int, fps: int, seconds: float, marked: bool = False) -> Path:
    """The built-in portrait as raw pictures (.y4m), which Chromium repeats and needs not decode."""
    source = DemoSource(width, height, fps)
    source.open()
    with av.open(str(path), "w", format="yuv4mpegpipe") as out:
        stream = out.add_stream("wrapped_avframe", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(fps * seconds)):
            image = np.array(source.read().image)
            if marked:
                mark(image, number % NUMBERS)
            picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            out.mux(stream.encode(picture))
    source.close()
    return path


def mark(image: Image, number: int) -> None:
    """Write ``number`` into the upper left corner."""
    size = BLOCK * image.shape[1] // 640
    for bit in range(BITS):
        image[:size, bit * size : (bit + 1) * size] = 255 * (number >> bit & 1)


def voice_file(path: Path, marked: bool = False) -> Path:
    """The built-in voice (.wav) as Chromium's fake microphone wants it."""
    samples = _demo_voice()[: VOICE_S * RATE]
    if marked:
        spectrum = np.fft.rfft(samples)
        spectrum[CUT_HZ * len(samples) // RATE :] = 0
        samples = np.fft.irfft(spectrum).astype(np.float32)
        length = round(TONE_S * RATE)
        tone = TONE_LEVEL * np.sin(2 * np.pi * TONE_HZ * np.arange(length) / RATE)
        for start in range(RATE // 2, len(samples), RATE):
            samples[start : start + length] += tone
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32_767).astype(np.int16).tobytes())
    return path


def _demo_voice() -> Floats:
    resampler = av.AudioResampler("flt", "mono", RATE)
    with av.open(str(VOICE)) as film:
        blocks = [block.to_ndarray()[0] for frame in film.decode(audio=0) for block in resampler.resample(frame)]
    return np.asarray(np.concatenate(blocks), np.float32)


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
