"""The preview window on a real X server without a screen."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
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
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
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


@pytest.mark.parametrize("display_name", ["", ":54321"])
def test_without_a_display_it_is_one_line(display_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", display_name)
    with pytest.raises(DependencyError, match="no display for the preview window; use --to"):
        WindowPublisher().open(output_format())
