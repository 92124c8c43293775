"""Four people of one room, each in a Chromium page of their own: who comes, goes, and is live again after how long."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import browser
from patience import PATIENCE_S
from test_web_page import Page

QUERIES = {
    "sender": "?room=hall",
    "interpreter": "?role=interpreter&room=hall",
    "viewer": "?role=viewer&room=hall",
    "second viewer": "?role=viewer&room=hall",
}
LOOK_MS = 20
# What a page shows of itself, and how many dubbed pictures it has played; an interpreter is shown none.
SEEN = """() => [document.getElementById('state-text').textContent,
    document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames]"""


class People:
    """The pages that are open, by role."""

    def __init__(self, chromium: Any, url: str) -> None:
        self._chromium, self._url = chromium, url
        self.pages: dict[str, Page] = {}

    def come(self, role: str, chromium: Any = None) -> Page:
        """Open a page, and press its button."""
        context = (chromium or self._chromium).new_context(permissions=["camera", "microphone"])
        page = self.pages[role] = Page(context, self._url).open(QUERIES[role])
        if role == "sender":
            page.view.check("input[name=voice][value=room]")
        page.view.click("#start")
        return page

    def leave(self, role: str) -> None:
        """Close the tab."""
        self.pages.pop(role).view.context.close()

    def says(self, role: str) -> str:
        return str(self.pages[role].view.evaluate(SEEN)[0])

    def live(self, *roles: str, seconds: float = PATIENCE_S, since: float | None = None) -> dict[str, float]:
        """Until all of them are live and see the picture move: after how long each was, in seconds."""
        began = time.monotonic() if since is None else since
        wanted = roles or tuple(self.pages)
        took: dict[str, float] = {}
        shown: dict[str, int] = {}
        while len(took) < len(wanted):
            for role in wanted:
                if role not in took and self._is_live(role, shown):
                    took[role] = round(time.monotonic() - began, 2)
            waited = time.monotonic() - began
            assert waited < seconds, (took, {role: self.says(role) for role in wanted if role not in took})
            self._rest()
        print("live after, s:", took)  # pytest -s
        return took

    def until_says(self, role: str, words: str, seconds: float = PATIENCE_S) -> float:
        """After how long the page says it."""
        began = time.monotonic()
        while self.says(role) != words:
            assert time.monotonic() - began < seconds, self.says(role)
            self._rest()
        return round(time.monotonic() - began, 2)

    def until_not_live(self, role: str, seconds: float = PATIENCE_S) -> None:
        """It has noticed."""
        began = time.monotonic()
        while self.says(role) == "Live":
            assert time.monotonic() - began < seconds
            self._rest()

    def end(self) -> None:
        for role in tuple(self.pages):
            with suppress(Exception):
                self.leave(role)

    def _is_live(self, role: str, shown: dict[str, int]) -> bool:
        """Three pictures after it has said so."""
        try:
            words, frames = self.pages[role].view.evaluate(SEEN)
        except Exception:  # it is being loaded
            return False
        if words != "Live":
            shown.pop(role, None)
            return False
        if role == "interpreter":
            return self._is_heard()
        return frames >= shown.setdefault(role, frames) + 3

    def _is_heard(self) -> bool:
        """By the server: a page that has just woken up may not know that it is gone."""
        with suppress(OSError):
            room = self.room()
            return bool(room["interpreters"] and room["floor"])
        return False

    def room(self) -> dict[str, Any]:
        """What the server says of it."""
        with urlopen(f"{self._url}api/rooms/hall", timeout=2) as answer:
            told: dict[str, Any] = json.load(answer)
            return told

    def _rest(self) -> None:
        next(iter(self.pages.values())).view.wait_for_timeout(LOOK_MS)


def processes(of: int) -> list[int]:
    """A process and all that came of it."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with suppress(OSError):
                parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry))
    found, new = [of], [of]
    while new:
        new = [child for each in new for child in parents.get(each, [])]
        found += new
    return found


@contextmanager
def own_chromium(playwright: Any, camera: Path) -> Iterator[tuple[Any, Callable[[signal.Signals], None]]]:
    """A browser whose processes can all be sent a signal, as a laptop is put to sleep and wakes up."""
    before = set(processes(os.getpid()))
    with browser.chromium(playwright, camera) as running:
        new = [each for each in processes(os.getpid()) if each not in before]  # from parents to children

        def send(what: signal.Signals) -> None:
            for each in processes(new[0]):
                with suppress(OSError):
                    os.kill(each, what)

        try:
            yield running, send
        finally:
            send(signal.SIGCONT)
