"""The browser studio end to end: `python -m benchmarks.studio`, or one case: `--only minutes --seconds 300`.

Every case starts `realtime-dub serve` as a program of its own and visits it with a real Chromium, whose camera shows
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
from benchmarks.visit import Events, Seen, Server, Visit, medians, serving
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
    """Five visits to one server: from the click to the connection, and to the first dubbed picture."""
    with serving() as server:
        visits = []
        for _ in range(5):
            visit = Visit(bench.browser, server.url)
            visits.append(visit.start())
            visit.stop()
            visit.close()
    live, shown = ([each[name] for each in visits] for name in ("live", "shown"))
    bench.limits.most("connected, ms, the slowest of five", max(live), 2_000)
    return {"connected_ms": sorted(live), "first_picture_ms": sorted(shown)}


def minutes(bench: Bench, default_s: float = 300) -> Figures:
    """One session for five minutes."""
    with serving() as server:
        visit = Visit(bench.browser, server.url)
        connected = visit.start()
        seen, taken = watch(bench, server, [visit], bench.seconds or default_s)
        budget_ms = float(visit.view.inner_text("#budget-value").split()[0])
        visit.close()
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
        visits = [Visit(bench.browser, server.url) for _ in range(2)]
        for visit in visits:
            visit.start()
        refusal = refused(bench, server)
        seen, taken = watch(bench, server, visits, bench.seconds or 60)
        for visit in visits:
            visit.close()
    for number, each in enumerate(seen, 1):
        bench.limits.least(f"pictures a second, session {number}", each.fps, 15)
    bench.limits.least("third told that it is full", float("full" in refusal), 1)
    return {"sessions": [delays(each) for each in seen], "refusal": refusal, **taken}


def refused(bench: Bench, server: Server) -> str:
    visit = Visit(bench.browser, server.url)
    visit.view.click("#start")
    visit.view.wait_for_selector("#failure:not([hidden])")
    said = str(visit.view.inner_text("#failure"))
    visit.close()
    return said


def loss(bench: Bench) -> Figures:
    """One session over a network that loses 2 % of the packets and delays each by up to 50 ms, both ways."""
    relay = Relay(LOSS, JITTER_S)
    with serving() as server:
        visit = Visit(bench.browser, server.url, relay)
        visit.start()
        seen, taken = watch(bench, server, [visit], bench.seconds or 60)
        visit.close()
    relay.close()
    figures = delays(seen[0])
    bench.limits.most("longest freeze, ms", seen[0].freeze_ms, 500)
    bench.limits.most("A/V offset, ms, worst median of 10 s", figures["offset_ms"]["worst_10_s"], 60)
    return figures | taken | {"packets": dict(relay.counts)}


def cycles(bench: Bench) -> Figures:
    """Fifty times connect, see a dubbed picture, disconnect: what the server then has more of."""
    with serving() as server:
        visit = Visit(bench.browser, server.url)
        held: list[dict[str, float]] = []
        for _ in range(CYCLES):
            began_s = time.monotonic()
            visit.view.evaluate("() => Object.assign(marks, {clicked: 0, live: 0, shown: 0})")
            visit.start()
            visit.stop()
            visit.view.wait_for_timeout(1000 * max(0.5, began_s + CYCLE_S - time.monotonic()))
            held.append(holds(server))
        visit.close()
    names = {"threads": 0.0, "files": 0.0, "tasks": 0.0, "rss_mb": 20.0}
    early, late = ({name: median(each[name] for each in part) for name in names} for part in (held[10:25], held[-15:]))
    for name, most in names.items():
        bench.limits.most(f"more {name} in cycles 36 to 50 than in 11 to 25", late[name] - early[name], most)
    return {"early": early, "late": late, "rss_mb": [each["rss_mb"] for each in held[::5]]}


def holds(server: Server) -> dict[str, float]:
    """Between two visits."""
    taken = usage.of(server.pid)
    return {"files": taken.files, "rss_mb": taken.rss_mb} | {name: server.metric(name) for name in ("threads", "tasks")}


def watch(bench: Bench, server: Server, visits: list[Visit], seconds: float) -> tuple[list[Seen], Figures]:
    """What the pages see in so many seconds, and what the processes take for it."""
    visits[0].view.wait_for_timeout(1000 * SETTLE_S)
    for visit in visits:
        visit.watch()
    meter, before = bench.processes(server), mouths(server)
    visits[0].view.wait_for_timeout(1000 * seconds)
    taken, after = meter.read(), mouths(server)
    shares = {kind: (after[kind] - before[kind]) / (after["total"] - before["total"]) for kind in after}
    show("mouths", ("kind", "share"), shares.items())
    return [visit.seen() for visit in visits], {"mouths": shares, "processes": dict(taken)}


def mouths(server: Server) -> dict[str, float]:
    """Ticks so far, by what the server made of them."""
    kinds = ("total", "fresh", "reused", "passthrough")
    return {kind: server.metric(f'frames{{kind="{kind}"}}') for kind in kinds}


def delays(seen: Seen) -> Figures:
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
