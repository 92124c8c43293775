"""The preview window on a real X server without a screen."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path

import pytest
from media_files import output_format

from realtime_dub.errors import DependencyError
from realtime_dub.publishers.window import WindowPublisher

PREAMBLE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import cv2
from media_files import grid, output_format, ticks
from realtime_dub.errors import EndOfStream
from realtime_dub.publishers.window import CLOSING_KEYS, TITLE, WindowPublisher
fmt = output_format(rate=0)
publisher = WindowPublisher()
stream = ticks(fmt, grid(50, fmt.fps))
publisher.open(fmt)
for _ in range(5):
    publisher.publish(next(stream))
"""


@pytest.fixture
def display() -> Iterator[str]:
    if shutil.which("Xvfb") is None:
        pytest.skip("needs Xvfb: sudo apt install xvfb")
    read, write = os.pipe()
    # -noreset: it refuses who comes while it starts anew, as it does by itself when its only client has gone
    screen = ["-screen", "0", "800x600x24", "-noreset", "-nolisten", "tcp"]
    command = ["Xvfb", "-displayfd", str(write), *screen]
    with subprocess.Popen(command, pass_fds=[write], stderr=subprocess.DEVNULL) as server:
        os.close(write)
        try:
            assert select.select([read], [], [], 20)[0], "Xvfb does not start"
            yield f":{os.read(read, 16).decode().strip()}"
        finally:
            os.close(read)
            server.terminate()


def run(display: str, body: str) -> subprocess.CompletedProcess[str]:
    code = PREAMBLE + textwrap.dedent(body)
    environment = {**os.environ, "DISPLAY": display, "QT_LOGGING_RULES": "*=false"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


def test_pictures_are_shown_until_the_window_is_closed(display: str) -> None:
    body = """
    shown = cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE)
    cv2.destroyWindow(TITLE)
    cv2.waitKey(1)
    try:
        publisher.publish(next(stream))
    except EndOfStream:
        print("end", shown)
    publisher.close()
    publisher.close()
    """
    done = run(display, body)
    assert done.stdout == "end 1.0\n", done.stderr


@pytest.mark.skipif(find_library("Xtst") is None, reason="needs libXtst to press keys")
@pytest.mark.parametrize("key", ["q", "Escape"])
def test_a_key_ends_the_run(display: str, key: str) -> None:
    body = f"""
    import ctypes, time
    x11, xtst = ctypes.CDLL("libX11.so.6"), ctypes.CDLL("libXtst.so.6")
    x11.XOpenDisplay.restype = ctypes.c_void_p
    server = ctypes.c_void_p(x11.XOpenDisplay(None))
    def press(keysym):
        held = x11.XKeysymToKeycode(server, ctypes.c_ulong(x11.XStringToKeysym(keysym)))
        for down in (1, 0):
            xtst.XTestFakeKeyEvent(server, held, down, 0)
    left, top, width, height = cv2.getWindowImageRect(TITLE)
    xtst.XTestFakeMotionEvent(server, -1, left + width // 2, top + height // 2, 0)
    press(b"a")
    x11.XSync(server, 0)
    for _ in range(5):
        publisher.publish(next(stream))
        time.sleep(0.02)
    press(b"{key}")
    x11.XSync(server, 0)
    try:
        for tick in stream:
            publisher.publish(tick)
            time.sleep(0.02)
    except EndOfStream:
        print("end")
    """
    done = run(display, body)
    assert done.stdout == "end\n", done.stderr


def test_closing_the_publisher_closes_the_window(display: str) -> None:
    body = """
    publisher.close()
    try:
        print(cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE))
    except cv2.error:
        print("gone")
    """
    done = run(display, body)
    assert done.stdout in ("gone\n", "-1.0\n", "0.0\n"), done.stderr


def test_a_second_window_on_another_thread_is_refused_instead_of_hanging(display: str) -> None:
    body = """
    from realtime_dub.errors import ConfigError
    from realtime_dub.flow import Worker
    worker = Worker("publisher window")
    try:
        worker.submit(lambda: WindowPublisher("second").open(fmt)).result()
    except ConfigError as error:
        print(error)
    worker.close()
    publisher.close()
    """
    assert "give --to window once" in run(display, body).stdout


@pytest.mark.parametrize("display_name", ["", ":54321"])
def test_without_a_display_it_is_one_line(display_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display_name)
    with pytest.raises(DependencyError, match="no display for the preview window; use --to"):
        WindowPublisher().open(output_format())
