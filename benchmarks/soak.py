"""One server for hours, with visitors who stay, come and go: `python -m benchmarks.soak --hours 2 --plot soak.svg`.

Every few seconds it is noted what the server's processes take (memory, descriptors, threads), how many tasks its loops
have, and of the visitor who stays the delay, the offset between mouth and voice, and ticks that were late. Others come
for a while and leave, one of them without a word.

| figure | how |
|---|---|
| growth | the least of the last quarter less that of the second one: both with fewest visitors, after the warm-up |
| offset | the server's: of a fresh mouth's voice, in pauses of the picture, against the audio that leaves with it |
| fresh | ticks of the visitor with a mouth of their own, of all ticks |
| lost | times that the visitor who stays lost the connection and came back |
| unsaid | ticks of the visitor that were older than the budget and not counted lagged: ticks less those of all kinds |

Real hours alone show a leak that is slow. What is only arithmetic, 72 hours of it, is computed by tests/test_days.py.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from benchmarks.charts import Line, panels
from benchmarks.output import last_line, show
from benchmarks.room_peers import Face, Person, Sound, Voice
from benchmarks.studio_page import Server, serving
from benchmarks.usage import children, of

Row = dict[str, float]
NAMES = ("rss_mb", "files", "threads", "tasks", "delay_ms", "offset_ms", "late_percent", "fresh_percent")
GROWS = ("rss_mb", "files", "threads", "tasks")


class Marks:
    """What was noted, also in a table on disk as it comes: a run of hours that ends early has not been for nothing."""

    def __init__(self, path: Path | None) -> None:
        self.rows: list[Row] = []
        self._path = path

    def add(self, row: Row) -> None:
        first = not self.rows
        self.rows.append(row)
        if self._path is None:
            return
        with self._path.open("w" if first else "a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if first:
                writer.writeheader()
            writer.writerow(row)


def person(url: str, height: int, fps: int) -> Person:
    return Person(url, (Face(height, fps), Voice(Sound(3_200, on_s=3, period_s=4))))


async def soak(server: Server, hours: float, every_s: float, height: int, fps: int, marks: Marks) -> None:
    stays, lost = person(server.url, height, fps), 0
    await stays.connect(room="stays")
    others = asyncio.create_task(come_and_go(server, height, fps))
    began_s = time.monotonic()
    try:
        while (at_s := time.monotonic() - began_s) < 3600 * hours:
            await asyncio.sleep(every_s)
            if stays.ended:  # a page would come back by itself
                lost, before = lost + 1, stays
                stays = person(server.url, height, fps)
                await asyncio.gather(before.close(), stays.open({"room": "stays"}, before.id))
            took = await asyncio.to_thread(taken, server)
            marks.add({"hours": at_s / 3600, **took, **told(stays), "lost": lost})
            stays.got.corners.clear()
            stays.got.tones.clear()
            del stays.got.stats[:-1]
    finally:
        others.cancel()
        await asyncio.gather(others, return_exceptions=True)
        await stays.close()


async def come_and_go(server: Server, height: int, fps: int) -> None:
    """One at a time, each for twenty seconds to a minute: one that speaks, one that watches, and so on."""
    dice, number = random.Random(11), 0
    while True:
        number += 1
        guest = Person(server.url, ()) if number % 2 else person(server.url, height, fps)
        options = {"room": "stays", "role": "viewer"} if number % 2 else {"room": f"guest{number}"}
        try:
            await guest.connect(**options)
            await asyncio.sleep(dice.uniform(20, 60))
        except RuntimeError:  # no seat: the one before is still being missed
            await asyncio.sleep(5)
        finally:
            await guest.close()
        await asyncio.sleep(dice.uniform(2, 10))


def taken(server: Server) -> Row:
    """By all processes of the server together."""
    usage = [of(pid) for pid in (server.pid, *children(server.pid)) if Path(f"/proc/{pid}").exists()]
    with urlopen(server.url + "metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    tasks = sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("realtime_dub_tasks"))
    return {
        "rss_mb": sum(each.rss_mb for each in usage),
        "files": sum(each.files for each in usage),
        "threads": sum(each.threads for each in usage),
        "tasks": tasks,
    }


def told(stays: Person) -> Row:
    stats = stays.got.stats[-1] if stays.got.stats else {}
    frames = stats.get("frames", {})
    total = frames.get("total", 0)
    late = sum(frames.get(kind, 0) for kind in ("lagged", "slow"))
    seen = sum(frames.get(kind, 0) for kind in ("fresh", "reused", "passthrough"))
    return {
        "delay_ms": stats.get("latency_ms", {}).get("p50", 0.0),
        "offset_ms": stats.get("av_offset_ms", 0.0),
        "late_percent": 100 * late / total if total else 0.0,
        "fresh_percent": 100 * frames.get("fresh", 0) / total if total else 0.0,
        "unsaid": max(0, total - seen),
    }


def summary(rows: list[Row]) -> dict[str, Any]:
    quarter = max(1, len(rows) // 4)
    first, last = rows[quarter : 2 * quarter] or rows[:1], rows[-quarter:]
    found: dict[str, Any] = {"marks": len(rows), "hours": round(rows[-1]["hours"], 2)}
    for name in GROWS:
        at, end = (min(row[name] for row in part) for part in (first, last))
        found[name] = {"at": round(at, 1), "growth": round(end - at, 1)}
    offsets = [row["offset_ms"] for row in rows]
    found["offset_ms"] = {"min": round(min(offsets), 1), "max": round(max(offsets), 1)}
    found["delay_ms"] = round(median(rows, "delay_ms"), 1)
    found["late_percent"] = round(rows[-1]["late_percent"], 2)
    found["fresh_percent"] = round(rows[-1]["fresh_percent"], 2)
    found["unsaid"], found["lost"] = max(row["unsaid"] for row in rows), rows[-1]["lost"]
    return found


def median(rows: list[Row], name: str) -> float:
    return float(np.median([row[name] for row in rows]))


def draw(path: Path, rows: list[Row]) -> None:
    """A panel for each figure, over the hours."""
    hours = tuple(row["hours"] for row in rows)
    panels(path, "hours", [Line(name, hours, tuple(row[name] for row in rows)) for name in NAMES])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between two marks")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--log", type=Path, help="where what the server says is kept")
    args = parser.parse_args()
    marks = Marks(args.csv)
    asked = ("--workers", str(args.workers), "--max-sessions", "2", "--fps", str(args.fps))
    with serving(*asked, log=args.log) as server:
        try:
            asyncio.run(soak(server, args.hours, args.every, args.height, args.fps, marks))
        except KeyboardInterrupt:
            print("stopped; what was measured until now:")
    if args.plot is not None:
        draw(args.plot, marks.rows)
    found = summary(marks.rows)
    show("soak", ("what", "found"), [(name, json.dumps(value)) for name, value in found.items()])
    last_line(found)


if __name__ == "__main__":
    main()
