"""A preview window on the desktop. Picture only."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
from typing import ClassVar, Literal

import cv2

from realtime_dub.errors import ConfigError, DependencyError, EndOfStream
from realtime_dub.media import MS, OutputFormat, Tick

TITLE = "realtime-dub (q closes)"
CLOSING_KEYS = (ord("q"), ord("Q"), 27)  # 27 = Esc
PROBE = "import cv2; cv2.namedWindow('probe'); cv2.destroyAllWindows()"
PROBE_TIMEOUT_S = 20
SHOW_NS = 5 * MS  # drawing, and on average half of a 60 Hz screen's period less


class WindowPublisher:
    """Shows each picture. ``q``, Esc or the window's own close button end the run: ``publish`` raises EndOfStream.

    ``open``, ``publish`` and ``close`` are called from one thread, and from the same for as long as the process lives:
    Qt hangs when its windows change threads.
    """

    _drawing: ClassVar[threading.Thread | None] = None

    name = "window"
    policy: Literal["latest", "every"] = "latest"
    latency_ns = SHOW_NS

    def __init__(self, title: str = TITLE) -> None:
        self._title = title
        self._shown = False

    def open(self, fmt: OutputFormat) -> None:
        """Raises DependencyError where no window can be shown, ConfigError for a second one beside the first."""
        if platform.system() == "Darwin" and threading.current_thread() is not threading.main_thread():
            raise DependencyError(
                "cannot open a preview window", "on macOS, except on a program's first thread", "use --to vcam"
            )
        if not is_available():
            raise DependencyError("no display", "for the preview window", "use --to vcam or --to out.mp4 instead")
        if WindowPublisher._drawing not in (None, threading.current_thread()):
            raise ConfigError("cannot open", "a second preview window", "give --to window once")
        WindowPublisher._drawing = threading.current_thread()
        cv2.namedWindow(self._title, cv2.WINDOW_AUTOSIZE)

    def publish(self, tick: Tick) -> None:
        """Show the picture. Raises EndOfStream once the user has closed the window."""
        if self._shown and not self._visible():
            raise EndOfStream
        cv2.imshow(self._title, tick.image)
        self._shown = True
        if cv2.waitKey(1) & 0xFF in CLOSING_KEYS:
            raise EndOfStream

    def close(self) -> None:
        if self._shown and self._visible():
            cv2.destroyWindow(self._title)
            cv2.waitKey(1)  # the window goes once its events are handled
        self._shown = False

    def _visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # there is no such window any more
            return False


def is_available() -> bool:
    """Whether a window can be shown. Tried in another process: Qt ends the one that asks where it cannot."""
    if platform.system() == "Linux" and not os.environ.get("DISPLAY"):
        return False
    try:
        probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
