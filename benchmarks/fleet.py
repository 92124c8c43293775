"""What the end of a worker costs, and how many people a machine holds: `python -m benchmarks.fleet --help`.

`kills`: a server with several workers; people who send 360p at 15 frames a second and record. A worker is killed with
signal 9 under load, again and again, the visitors' ones in turn.

| figure | how |
|---|---|
| back | from the kill to the next dubbed picture of each page whose worker it was |
| others | frames published late (lagged), ticks without a mouth in time (slow), the longest gap between pictures |
| recordings | each that was running at the kill is fetched from the server afterwards and decoded to its end |
| banks | pages of which the server says a second after their return that it knows the person |

With `--no-spare` there is none that has loaded beforehand; else each kill waits for one.

`knee`: 1, 2, ... people on that machine for a time each, with each number of workers; the late share and the processor
time of each. The knee is the most people of whose frames less than 2 % are late.

`simulate` (`benchmarks.fleet_simulation`): ten thousand sessions of a day, by the placement that a fleet has.
`cost` (`benchmarks.fleet_cost`): what a thousand sessions cost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import signal
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import av
import numpy as np
from aiohttp import ClientError, ClientSession

from benchmarks import fleet_cost, fleet_simulation
from benchmarks.output import last_line, show
from benchmarks.returning import Page
from benchmarks.room_peers import HEADERS, Face, Person, Sound, Voice
from benchmarks.studio_page import Server, serving
from benchmarks.usage import Meter, children

SETTLE_S = 4.0
BACK_MOST_S = 30.0
SPARE_MOST_S = 90.0
LATE_PERCENT = 2.0  # more than that is beyond the knee
Figures = dict[str, Any]


def page(server: Server, height: int, fps: int) -> Page:
    sound = Sound(3_200, on_s=3, period_s=4)
    return Page(server.url, lambda url: Person(url, (Face(height, fps), Voice(sound))))


def workers(server: Server) -> dict[int, int]:
    """Their pids by number, as each one's descriptors tell: the socket it answers at bears its number."""
    found = {}
    for pid in children(server.pid):
        with contextlib.suppress(OSError):
            if "web.workers." in Path(f"/proc/{pid}/cmdline").read_text():
                found[pid] = number_of(pid)
    return {number: pid for pid, number in found.items() if number is not None}


def number_of(pid: int) -> int | None:
    mine = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and f"socket:[{fields[6]}]" in mine and fields[7].rpartition("/")[2].isdecimal():
            return int(fields[7].rpartition("/")[2])
    return None


async def kills(server: Server, count: int, people: int, times: int, height: int, fps: int, spare: bool) -> Figures:
    pages = [page(server, height, fps) for _ in range(people)]
    found: list[Figures] = []
    try:
        await until(lambda: all_ready(server, count), BACK_MOST_S)
        for number, each in enumerate(pages):
            await each.open(room=f"room{number}")
            await until(lambda each=each: each.live, BACK_MOST_S)
        for number in range(times):
            await spread(pages, count)
            if spare:
                await until(lambda: server.metric("spare_workers") == 1, SPARE_MOST_S)
            await asyncio.sleep(SETTLE_S)
            found.append(await kill(server, pages, pages[number % people]))
            print(found[-1], flush=True)
    finally:
        await asyncio.gather(*(each.close() for each in pages))
    return summary(found)


async def spread(pages: list[Page], count: int) -> None:
    """Over all workers: who came back to the one that was left leaves it for the one that was started anew."""
    for each in pages:
        most = -(-len(pages) // count)
        if sum(other.worker == each.worker for other in pages) > most:
            await each.open_anew()
            await until(lambda each=each: each.live, BACK_MOST_S)


async def kill(server: Server, pages: list[Page], victim: Page) -> Figures:
    hit = [each for each in pages if each.worker == victim.worker]
    others = [each for each in pages if each not in hit]
    recordings = [id for each in hit if (id := await record(server, each)) is not None]
    await asyncio.sleep(3.0)
    before = {each.id: counted(each) for each in others}
    pids = workers(server)
    killed_s = time.monotonic()
    os.kill(pids[victim.worker], signal.SIGKILL)
    returns = [len(each.back_s) for each in hit]
    await until(lambda: all(len(p.back_s) > n and p.live for p, n in zip(hit, returns, strict=True)), BACK_MOST_S)
    back_s = [next(at_s for at_s in pictures(each) if at_s > killed_s + 0.5) - killed_s for each in hit]
    after = {each.id: counted(each) for each in others}
    gaps_s = [gap(each, killed_s - 1.0, killed_s + max(back_s)) for each in others]
    ticks, lagged, slow = (sum(after[id][n] - before[id][n] for id in before) for n in range(3))
    await asyncio.sleep(1.0)
    banks = [await knows(server, each) for each in hit]
    await until(lambda: all_ready(server, len(pids)), BACK_MOST_S)
    frames = [await frames_of(server, id) for id in recordings]
    return {
        "back_s": [round(each, 2) for each in back_s],
        "others_lagged_percent": percent(lagged, ticks),
        "others_slow_percent": percent(slow, ticks),
        "others_gap_s": [round(each, 2) for each in gaps_s],
        "recorded_frames": frames,
        "banks": banks,
    }


def all_ready(server: Server, count: int) -> bool:
    """Each worker tells of itself: whoever comes now has all of them to choose from."""
    with urlopen(server.url + "metrics", timeout=10) as answer:
        text = answer.read().decode()
    return all(f'realtime_dub_sessions{{worker="{number}"}}' in text for number in range(count))


def pictures(each: Page) -> list[float]:
    return each.picture_s + [at_s for at_s, _, _ in each.person.got.corners]


def gap(each: Page, since_s: float, until_s: float) -> float:
    at_s = [at for at in pictures(each) if since_s <= at <= until_s]
    return float(np.max(np.diff(at_s))) if len(at_s) > 1 else until_s - since_s


def counted(each: Page) -> tuple[int, int, int]:
    """Ticks of its pipeline, how many of them were late, and how many had no mouth in time."""
    frames = each.person.got.stats[-1].get("frames", {}) if each.person.got.stats else {}
    return frames.get("total", 0), frames.get("lagged", 0), frames.get("slow", 0)


async def record(server: Server, each: Page) -> str | None:
    url = f"{server.url}api/sessions/{each.id}/recording"
    async with ClientSession(headers=HEADERS) as http, http.post(url, json={"action": "start"}) as answer:
        return str((await answer.json())["id"]) if answer.status == 200 else None


async def knows(server: Server, each: Page) -> bool:
    url = f"{server.url}api/sessions/{each.id}/bank"
    async with ClientSession(headers=HEADERS) as http, http.get(url) as answer:
        return answer.status == 200


async def frames_of(server: Server, recording: str) -> int:
    """That can be decoded; 0 where it cannot be played."""
    ends_s = time.monotonic() + BACK_MOST_S
    async with ClientSession(headers=HEADERS) as http:
        while time.monotonic() < ends_s:
            with contextlib.suppress(ClientError):
                async with http.get(f"{server.url}api/recordings/{recording}") as answer:
                    if answer.status == 200:
                        return await asyncio.to_thread(decoded, await answer.read())
            await asyncio.sleep(0.5)
    return 0


def decoded(film: bytes) -> int:
    try:
        with av.open(io.BytesIO(film), "r") as opened:
            return sum(isinstance(frame, av.VideoFrame) for frame in opened.decode(video=0))
    except av.FFmpegError:
        return 0


def summary(found: list[Figures]) -> Figures:
    back_s = [each for one in found for each in one["back_s"]]
    frames = [each for one in found for each in one["recorded_frames"]]
    return {
        "kills": len(found),
        "returns": len(back_s),
        "back_s": {"p50": round(float(np.median(back_s)), 2), "max": max(back_s)},
        "others_lagged_percent": spread_of([one["others_lagged_percent"] for one in found]),
        "others_slow_percent": spread_of([one["others_slow_percent"] for one in found]),
        "others_gap_s": max((each for one in found for each in one["others_gap_s"]), default=None),
        "recordings": len(frames),
        "unplayable": frames.count(0),
        "banks": sum(each for one in found for each in one["banks"]),
    }


def percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def spread_of(values: list[float | None]) -> Figures | None:
    there = [each for each in values if each is not None]
    return {"mean": round(float(np.mean(there)), 2), "max": max(there)} if there else None


async def knee(server: Server, most: int, seconds: float, height: int, fps: int) -> Figures:
    pages: list[Page] = []
    rows = []
    try:
        for number in range(most):
            pages.append(page(server, height, fps))
            await pages[-1].open(room=f"room{number}")
            await until(lambda: pages[-1].live, BACK_MOST_S)
            await asyncio.sleep(SETTLE_S)
            before, meter = [counted(each) for each in pages], Meter({"server": [server.pid, *children(server.pid)]})
            await asyncio.sleep(seconds)
            gained = [np.subtract(counted(each), begun) for each, begun in zip(pages, before, strict=True)]
            ticks, lagged, slow = (int(each) for each in np.sum(gained, axis=0))
            cores = meter.read()["server"]["cpu"]
            shares = {"lagged_percent": percent(lagged, ticks), "slow_percent": percent(slow, ticks)}
            rows.append({"people": number + 1, **shares, "cores": round(cores, 2)})
            print(rows[-1], flush=True)
    finally:
        await asyncio.gather(*(each.close() for each in pages))
    return {"knee": rows}


async def until(so: Any, seconds: float) -> None:
    ends_s = time.monotonic() + seconds
    while not so():
        if time.monotonic() > ends_s:
            raise TimeoutError("it never came true")
        await asyncio.sleep(0.02)


def knees(args: argparse.Namespace) -> Figures:
    """For each number of workers: its rows, and the most people that it holds."""
    found: Figures = {}
    for count in args.workers:
        with serving(*asked(args, count)) as server:
            rows = asyncio.run(knee(server, args.people, args.seconds, args.height, args.fps))["knee"]
        held = [row["people"] for row in rows if max(row["lagged_percent"], row["slow_percent"]) < LATE_PERCENT]
        found[str(count)] = {"rows": rows, "holds": max(held, default=0)}
    return found


def asked(args: argparse.Namespace, count: int) -> tuple[str, ...]:
    spare = "--spare" if args.spare else "--no-spare"
    return "--workers", str(count), "--max-sessions", str(args.people), "--fps", str(args.fps), spare


def asked_for(args: argparse.Namespace) -> Figures:
    return {name: value for name, value in vars(args).items() if name != "run"}


def run_kills(args: argparse.Namespace) -> None:
    count, size = max(args.workers), (args.height, args.fps)
    with serving(*asked(args, count)) as server:
        found = asyncio.run(kills(server, count, args.people, args.times, *size, args.spare))
    show("kills", ("what", "found"), [(name, str(value)) for name, value in found.items()])
    last_line({**asked_for(args), **found})


def run_knee(args: argparse.Namespace) -> None:
    found = knees(args)
    rows = [(int(count), *row.values()) for count, told in found.items() for row in told["rows"]]
    show("knee", ("workers", "people", "lagged, %", "slow, %", "cores"), rows)
    show("knee", ("workers", "people held"), [(int(count), told["holds"]) for count, told in found.items()])
    last_line({**asked_for(args), **found})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="what", required=True)
    for name, run in (("kills", run_kills), ("knee", run_knee)):
        command = commands.add_parser(name)
        command.add_argument("--people", type=int, default=2, help="knee: at most")
        command.add_argument("--workers", type=int, nargs="+", default=[2])
        command.add_argument("--times", type=int, default=10)
        command.add_argument("--seconds", type=float, default=30)
        command.add_argument("--height", type=int, default=360)
        command.add_argument("--fps", type=int, default=15)
        command.add_argument("--spare", action=argparse.BooleanOptionalAction, default=True)
        command.set_defaults(run=run)
    for module in (fleet_simulation, fleet_cost):
        module.add_to(commands)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
