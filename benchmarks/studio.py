"""The browser studio end to end: `python -m benchmarks.studio`, or one case: `--only minutes --seconds 300`.

Every case starts `realtime-dub serve` as a program of its own and opens it in a real Chromium, whose camera shows
the built-in face at 640x480 and 25 fps. Each picture carries its number and the voice a mark every second: the delays
are those from the page's own camera and microphone to what the page gets back, measured in the page.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from playwright.sync_api import sync_playwright

from benchmarks import usage
from benchmarks.output import last_line, show
from benchmarks.relay import Relay
from benchmarks.studio_page import Events, Server, StudioPage, Watched, medians, serving
from tests import browser

FPS = 25
FILM_S = 3 * browser.NUMBERS / FPS  # so that the numbers go on where it begins anew
SETTLE_S = 6.0  # congestion control, the sound's buffers and the page's charts come to rest
CYCLES, CYCLE_S = 50, 2.2  # the server lets a caller connect every two seconds
LOSS, JITTER_S = 0.02, 0.05
GROWTH_MS = 1000 / FPS  # the camera's clock against the output's: the picture's delay walks within a picture's length
Figures = dict[str, Any]


@dataclass
class Limits:
    """What was asked for, and whether it holds."""

    rows: list[tuple[str, float, str, str]] = field(default_factory=list)

    def most(self, name: str, value: float, limit: float) -> None:
        self.rows.append((name, value, f"<= {limit:g}", "yes" if value <= limit else "NO"))

    def least(self, name: str, value: float, limit: float) -> None:
        self.rows.append((name, value, f">= {limit:g}", "yes" if value >= limit else "NO"))

    @property
    def hold(self) -> bool:
        return all(row[3] == "yes" for row in self.rows)


@dataclass
class Bench:
    """A browser with the marked face and voice, and how long to look."""

    browser: Any
    seconds: float | None
    limits: Limits = field(default_factory=Limits)

    def processes(self, server: Server) -> usage.Meter:
        return usage.Meter({"server": [server.pid], **usage.browsers()})


def connect(bench: Bench) -> Figures:
    """Five pages of one server: from the click to the connection, and to the first dubbed picture."""
    with serving() as server:
        pages = []
        for _ in range(5):
            page = StudioPage(bench.browser, server.url)
            pages.append(page.start())
            page.stop()
            page.close()
    live, shown = ([each[name] for each in pages] for name in ("live", "shown"))
    bench.limits.most("connected, ms, the slowest of five", max(live), 2_000)
    return {"connected_ms": sorted(live), "first_picture_ms": sorted(shown)}


def minutes(bench: Bench, default_s: float = 300) -> Figures:
    """One session for five minutes."""
    with serving() as server:
        page = StudioPage(bench.browser, server.url)
        connected = page.start()
        seen, taken = watch(bench, server, [page], bench.seconds or default_s)
        budget_ms = float(page.view.inner_text("#budget-value").split()[0])
        page.close()
    figures = delays(seen[0]) | connected
    picture, sound = figures["picture_ms"]["p50"], figures["sound_ms"]["p50"]
    bench.limits.most("connected, ms", connected["live"], 2_000)
    bench.limits.most("voice to picture less the budget, ms, median", max(picture, sound) - budget_ms, 120)
    bench.limits.least("pictures a second", figures["fps"], 24)
    bench.limits.most("growth of the delay, ms", max(figures["growth_ms"].values()), GROWTH_MS)
    bench.limits.most("A/V offset, ms, median", abs(figures["offset_ms"]["p50"]), 40)
    return figures | taken | {"budget_ms": budget_ms}


def flash(bench: Bench) -> Figures:
    """One session for a minute: how far picture and sound are apart."""
    return minutes(bench, 60)


def two(bench: Bench) -> Figures:
    """Two sessions at once, and a third that is refused."""
    with serving("--max-sessions", "2") as server:
        pages = [StudioPage(bench.browser, server.url) for _ in range(2)]
        for page in pages:
            page.start()
        refusal = refused(bench, server)
        seen, taken = watch(bench, server, pages, bench.seconds or 60)
        for page in pages:
            page.close()
    for number, each in enumerate(seen, 1):
        bench.limits.least(f"pictures a second, session {number}", each.fps, 15)
    bench.limits.least("third told that it is full", float("full" in refusal), 1)
    return {"sessions": [delays(each) for each in seen], "refusal": refusal, **taken}


def refused(bench: Bench, server: Server) -> str:
    page = StudioPage(bench.browser, server.url)
    page.view.click("#start")
    page.view.wait_for_selector("#failure:not([hidden])")
    said = str(page.view.inner_text("#failure"))
    page.close()
    return said


def loss(bench: Bench) -> Figures:
    """One session over a network that loses 2 % of the packets and delays each by up to 50 ms, both ways."""
    relay = Relay(LOSS, JITTER_S)
    with serving() as server:
        page = StudioPage(bench.browser, server.url, relay)
        page.start()
        seen, taken = watch(bench, server, [page], bench.seconds or 60)
        page.close()
    relay.close()
    figures = delays(seen[0])
    bench.limits.most("longest freeze, ms", seen[0].freeze_ms, 500)
    bench.limits.most("A/V offset, ms, worst median of 10 s", figures["offset_ms"]["worst_10_s"], 60)
    return figures | taken | {"packets": dict(relay.counts)}


def cycles(bench: Bench) -> Figures:
    """Fifty times connect, see a dubbed picture, disconnect: what the server then has more of."""
    with serving() as server:
        page = StudioPage(bench.browser, server.url)
        held: list[dict[str, float]] = []
        for _ in range(CYCLES):
            began_s = time.monotonic()
            page.view.evaluate("() => Object.assign(marks, {clicked: 0, live: 0, shown: 0})")
            page.start()
            page.stop()
            page.view.wait_for_timeout(1000 * max(0.5, began_s + CYCLE_S - time.monotonic()))
            held.append(holds(server))
        page.close()
    names = {"threads": 0.0, "files": 0.0, "tasks": 0.0, "rss_mb": 20.0}
    early, late = ({name: median(each[name] for each in part) for name in names} for part in (held[10:25], held[-15:]))
    for name, most in names.items():
        bench.limits.most(f"more {name} in cycles 36 to 50 than in 11 to 25", late[name] - early[name], most)
    return {"early": early, "late": late, "rss_mb": [each["rss_mb"] for each in held[::5]]}


def holds(server: Server) -> dict[str, float]:
    """Between two pages."""
    taken = usage.with_children(server.pid)
    return {"files": taken.files, "rss_mb": taken.rss_mb} | {name: server.metric(name) for name in ("threads", "tasks")}


def watch(bench: Bench, server: Server, pages: list[StudioPage], seconds: float) -> tuple[list[Watched], Figures]:
    """What the pages see in so many seconds, and what the processes take for it."""
    pages[0].view.wait_for_timeout(1000 * SETTLE_S)
    for page in pages:
        page.watch()
    meter, before = bench.processes(server), mouths(server)
    pages[0].view.wait_for_timeout(1000 * seconds)
    taken, after = meter.read(), mouths(server)
    shares = {kind: (after[kind] - before[kind]) / (after["total"] - before["total"]) for kind in after}
    show("mouths", ("kind", "share"), shares.items())
    return [page.seen() for page in pages], {"mouths": shares, "processes": dict(taken)}


def mouths(server: Server) -> dict[str, float]:
    """Ticks so far, by what the server made of them."""
    kinds = ("total", "fresh", "reused", "passthrough")
    return {kind: server.metric(f'frames{{kind="{kind}"}}') for kind in kinds}


def delays(seen: Watched) -> Figures:
    offsets = seen.offsets_ms
    return {
        "picture_ms": percentiles(seen.pictures),
        "sound_ms": percentiles(seen.tones),
        "offset_ms": percentiles(offsets) | {"worst_10_s": max(map(abs, medians(offsets, 10_000)))},
        "by_half_minute_ms": {"picture": medians(seen.pictures, 30_000), "sound": medians(seen.tones, 30_000)},
        "growth_ms": {"picture": growth(seen.pictures), "sound": growth(seen.tones)},
        "fps": seen.fps,
        "freeze_ms": seen.freeze_ms,
    }


def percentiles(events: Events) -> dict[str, float]:
    took = [each for _, each in events]
    return {"n": len(took)} | {f"p{share}": float(np.percentile(took, share)) for share in (5, 50, 95)}


def growth(events: Events) -> float:
    """Medians of the last and of the first fifth, less each other; ms."""
    took = [each for _, each in events]
    fifth = max(1, len(took) // 5)
    return float(np.median(took[-fifth:]) - np.median(took[:fifth]))


CASES: dict[str, Callable[[Bench], Figures]] = {
    "connect": connect, "minutes": minutes, "two": two, "loss": loss, "cycles": cycles, "flash": flash,
}  # fmt: skip


@contextmanager
def benches(seconds: float | None) -> Iterator[Callable[[], Bench]]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = browser.camera_film(Path(folder) / "face.y4m", 640, 480, FPS, FILM_S, marked=True)
        voice = browser.voice_file(Path(folder) / "voice.wav", marked=True)
        with browser.chromium(playwright, film, voice) as running:
            yield lambda: Bench(running, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=CASES)
    parser.add_argument("--seconds", type=float, help="of minutes (300), two, loss and flash (60)")
    args = parser.parse_args()
    answer: dict[str, object] = {"benchmark": "studio"}
    with benches(args.seconds) as new_bench:
        for name in [args.only] if args.only else CASES:
            bench = new_bench()
            answer[name] = figures = CASES[name](bench) | {"holds": bench.limits.hold}
            show(name, ("asked", "seen", "limit", "holds"), bench.limits.rows)
            if isinstance(taken := figures.get("processes"), dict):
                show(f"{name}: processes", ("process", "cpu", "MB", "threads", "files"),
                     [(each, *figure.values()) for each, figure in taken.items()])  # fmt: skip
    last_line(answer)


if __name__ == "__main__":
    main()
