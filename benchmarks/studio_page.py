"""The server as a program of its own and pages to it in Chromium, measured by the marks in picture and sound."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from benchmarks.relay import Relay, without_candidates
from tests.browser import NUMBERS

HERE = Path(__file__).with_name("page")
WAIT_MS = 30_000
PROGRAM = (sys.executable, "-c", "from realtime_dub.cli import main; main()")
NEAR_MS = 500.0
MOST_MS = 1_200.0  # a delay above is taken for one of the next round of numbers
Events = list[tuple[float, float]]  # when it came back, and how long after it was sent; ms
Shown = tuple[float, float, float]  # a picture's number, when it was shown, how many had been shown with it


class Server:
    """``realtime-dub serve``, from its making to :meth:`close`. ``log``: where what it says is kept."""

    def __init__(self, *arguments: str, log: Path | None = None) -> None:
        usual = ("--port", "0", "--size", "480p", "--badge", "off")  # a size that is not measured: a second less
        command = [*PROGRAM, "serve", *usual, *arguments]
        self._said = tempfile.TemporaryFile("w+") if log is None else log.open("w+")  # noqa: SIM115  (closed in close)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._said, text=True)
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.url = self._process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the server did not start: {self.close()}")

    def metric(self, name: str) -> float:
        """A figure of ``/metrics``, of all workers together."""
        with urlopen(self.url + "metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        starts = f"realtime_dub_{name} ", f"realtime_dub_{name}{{worker="
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(starts))

    def close(self) -> str:
        """End it; what it said on standard error."""
        self._process.terminate()
        self._process.communicate(timeout=30)
        with self._said as said:
            said.seek(0)
            return said.read()


@contextmanager
def serving(*arguments: str, log: Path | None = None) -> Iterator[Server]:
    server = Server(*(("--quiet",) if log is None else ()), *arguments, log=log)
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True)
class Watched:
    """What a page saw in the time it was watched. All in ms, on the page's clock."""

    pictures: Events
    tones: Events
    shown: list[Shown]

    @property
    def offsets_ms(self) -> Events:
        """Per mark of the sound: its delay less that of the pictures around it; positive = the sound is late."""
        at, late = (np.array(each) for each in zip(*self.pictures, strict=True))
        near = [(when, took, np.abs(at - when) < NEAR_MS) for when, took in self.tones]
        return [(when, float(took - np.median(late[each]))) for when, took, each in near if each.any()]

    @property
    def freeze_ms(self) -> float:
        """The longest time for which one picture stood."""
        changes = [at for (last, *_), (number, at, _) in itertools.pairwise(self.shown) if number != last]
        return max((after - before for before, after in itertools.pairwise(changes)), default=float("inf"))

    @property
    def fps(self) -> float:
        """Pictures a second that the browser put on the screen; it tells of all, though it calls back for fewer."""
        (_, began_ms, before), (_, ended_ms, after) = self.shown[0], self.shown[-1]
        return 1000 * (after - before) / (ended_ms - began_ms)


class StudioPage:
    """A page of the studio in a context of its own. ``relay``: its pictures and sound go that way.

    The page's policy is widened by what lets the worklet in that hears the marks.
    """

    def __init__(self, browser: Any, url: str, relay: Relay | None = None, **options: Any) -> None:
        self.context = browser.new_context(permissions=["camera", "microphone"], **options)
        self.view = self.context.new_page()
        self.complaints: list[str] = []
        self.view.on("console", self._console)
        self.view.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.view.add_init_script(path=HERE / "marks.js")
        if relay is not None:
            self.view.route("**/api/sessions", lambda route: _redirect(route, relay))
            self.view.route("**/candidates", lambda route: route.fulfill(status=204))
        self.view.route(url, _widen)
        self.view.goto(url)
        self.view.wait_for_selector("#start:enabled", timeout=WAIT_MS)

    def _console(self, said: Any) -> None:
        if said.type in ("error", "warning"):
            self.complaints.append(said.text)

    def start(self) -> dict[str, float]:
        """Until the dubbed picture is there: ms from the click until "Live" and until the picture."""
        self.view.click("#start")
        self.until("marks.live && marks.shown")
        return dict(
            self.view.evaluate("() => ({live: marks.live - marks.clicked, shown: marks.shown - marks.clicked})")
        )

    def until(self, expression: str) -> None:
        """Not with ``wait_for_function``, which the page's policy against ``eval`` stops."""
        end_s = time.monotonic() + WAIT_MS / 1000
        while not self.view.evaluate(f"() => Boolean({expression})"):
            if time.monotonic() > end_s:
                raise TimeoutError(f"never came true: {expression}: {self.view.inner_text('body')[:300]}")
            self.view.wait_for_timeout(20)

    def stop(self) -> None:
        with self.view.expect_response(lambda answer: answer.request.method == "DELETE"):
            self.view.click("#start")

    def watch(self) -> None:
        """Begin to note the marks."""
        self.view.evaluate("source => marks.watch(source)", (HERE / "tap.js").read_text())

    def forget(self) -> None:
        """What was seen until now."""
        self.view.evaluate("() => marks.forget()")

    def seen(self) -> Watched:
        """Since :meth:`watch` or :meth:`forget`."""
        pictures, (sent, got) = json.loads(self.view.evaluate("() => JSON.stringify([marks.pictures, marks.tones])"))
        delays = dict(matched([at for at, _ in sent], [at for at, _ in got]))
        tones = [(page_ms, delays[at]) for at, page_ms in got if at in delays]
        return Watched(matched_pictures(pictures["sent"], pictures["got"]), tones, pictures["got"])

    def received(self) -> dict[str, float]:
        """The browser's own count of the dubbed pictures."""
        return dict(self.view.evaluate("() => marks.received()"))

    def close(self) -> None:
        self.context.close()


def _widen(route: Any) -> None:
    response = route.fetch()
    policy = response.headers["content-security-policy"].replace("script-src 'self'", "script-src 'self' blob:")
    route.fulfill(response=response, headers={**response.headers, "content-security-policy": policy})


def medians(events: Events, span_ms: float) -> list[float]:
    """Of each span of time, from the first event on."""
    began_ms = events[0][0] if events else 0.0
    spans = itertools.groupby(events, lambda event: (event[0] - began_ms) // span_ms)
    return [float(np.median([value for _, value in each])) for _, each in spans]


def _redirect(route: Any, relay: Relay) -> None:
    body = json.loads(route.request.post_data)
    body["sdp"] = without_candidates(body["sdp"])
    response = route.fetch(post_data=json.dumps(body))
    told = response.json()
    if "sdp" in told:
        told["sdp"] = relay.redirect(told["sdp"])
    route.fulfill(response=response, json=told)


def matched(sent: list[float], got: list[float]) -> Events:
    """Each mark that came back with the last one sent before it."""
    pairs = ((at, bisect_right(sent, at) - 1) for at in got)
    return [(at, at - sent[index]) for at, index in pairs if index >= 0 and at - sent[index] < MOST_MS]


def matched_pictures(sent: list[Shown], got: list[Shown]) -> Events:
    """Likewise by number, the first time that it is shown."""
    rounds: list[list[float]] = [[at for each, at, _ in sent if each == number] for number in range(NUMBERS)]
    new = [(number, at) for (last, *_), (number, at, _) in itertools.pairwise(got) if number != last]
    return [pair for number, at in new for pair in matched(rounds[int(number)], [at])]
