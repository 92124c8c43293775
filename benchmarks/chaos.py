"""What breaks around a session, and how long until its picture is back: `python -m benchmarks.chaos --cases dark-3`.

One person is dubbed; the server is a program of its own, and the line between them a relay over UDP. Each case has its
own session; it disturbs for some seconds, and ends.

| figure | how |
|---|---|
| back_s | from the end of the disturbance until a second begins with nine tenths of the pictures, no hole over 0.3 s |
| meanwhile | pictures that came during the disturbance, of those that the server was asked for |
| gap_s | the longest time without a picture, from the disturbance's beginning on |
| connections, sessions | that the page had, 1 and 1 where it needed no other |
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import signal
import tempfile
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from aiohttp import ClientError, ClientSession, ClientTimeout, FormData

from benchmarks.chaos_visitor import Visitor
from benchmarks.fleet import workers
from benchmarks.output import last_line, show
from benchmarks.relay import Line
from benchmarks.room_peers import HEADERS
from benchmarks.studio_page import Server, serving
from benchmarks.usage import children

LASTS_S = 6.0
SETTLE_S, MOST_BACK_S = 2.0, 40.0
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
Figures = dict[str, Any]
Case = Callable[[Server, Visitor], Awaitable[Figures]]  # what it found besides, once it is over


def on_line(line: Line, seconds: float = LASTS_S) -> Case:
    async def case(server: Server, visitor: Visitor) -> Figures:
        visitor.line = line
        await asyncio.sleep(seconds)
        visitor.line = Line()
        return {}

    return case


async def rebinding(server: Server, visitor: Visitor) -> Figures:
    """A router that forgot the connection: another port, twice."""
    for _ in range(2):
        visitor.person.relay.rebind()
        await asyncio.sleep(0.5)
    return {}


def stall(seconds: float) -> Case:
    """The server's processes get no time, three times."""

    async def case(server: Server, visitor: Visitor) -> Figures:
        for _ in range(3):
            pids = [server.pid, *children(server.pid)]
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(1.0)
        return {}

    return case


async def full_disk(server: Server, visitor: Visitor) -> Figures:
    """No file may grow beyond 200 kB: what a quota does. A recording meets it; the next one is made without it."""
    import resource

    before = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (200_000, before[1]))
    await recording(server, visitor, "start")
    await asyncio.sleep(LASTS_S)
    told = (await recording(server, visitor, "stop"))[1]
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, before)
    began, _ = await recording(server, visitor, "start")
    await asyncio.sleep(2.0)
    ended, _ = await recording(server, visitor, "stop")
    return {"told": str(told)[:200], "the next recording": [began, ended]}


async def recording(server: Server, visitor: Visitor, action: str) -> tuple[int, Any]:
    url = f"{server.url}api/sessions/{visitor.person.id}/recording"
    async with ClientSession(headers=HEADERS) as http, http.post(url, json={"action": action}) as answer:
        return answer.status, await answer.json()


def clock_step(step: str) -> Case:
    """The server's wall clock, by libfaketime: its monotonic one goes on."""

    async def case(server: Server, visitor: Visitor) -> Figures:
        put_off(step)
        await asyncio.sleep(LASTS_S)
        try:
            date = await asyncio.to_thread(its_date, server)
        finally:
            put_off("+0")
        return {"its date": date}

    return case


def put_off(step: str) -> None:
    Path(os.environ["FAKETIME_TIMESTAMP_FILE"]).write_text(step)


def its_date(server: Server) -> str:
    with urlopen(server.url + "healthz", timeout=10) as answer:
        return str(answer.headers["Date"])


async def killed_reader(server: Server, visitor: Visitor) -> Figures:
    """The process that looks at an upload; then one more upload."""
    sending = asyncio.create_task(upload(server, seconds=1_200))
    pid = await found(server, "check_file")
    os.kill(pid, signal.SIGKILL)
    killed_s = time.monotonic()
    refused = await sending
    again = await upload(server, seconds=1)
    return {"answers": [refused, again], "the next file after_s": round(time.monotonic() - killed_s, 2)}


async def upload(server: Server, seconds: float) -> int:
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(np.random.default_rng(1).integers(-9_000, 9_000, int(8_000 * seconds), "<i2").tobytes())
    form = FormData()
    form.add_field("file", sound.getvalue(), filename="a.wav")
    timeout = ClientTimeout(100)
    async with (
        ClientSession(headers=HEADERS, timeout=timeout) as http,
        http.post(f"{server.url}api/uploads", data=form) as answer,
    ):
        return answer.status


async def found(server: Server, name: str) -> int:
    """The newest process of the server's whose command has that in it."""
    ends_s = time.monotonic() + 20
    while time.monotonic() < ends_s:
        for pid in reversed(children(server.pid)):
            if name in command_of(pid):
                return pid
        await asyncio.sleep(0.01)
    raise TimeoutError(f"no process of {name}")


def command_of(pid: int) -> str:
    """Empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


async def killed_worker(server: Server, visitor: Visitor) -> Figures:
    """The one that has the session."""
    number = int(visitor.person.id.partition("-")[0])
    os.kill(workers(server)[number], signal.SIGKILL)
    return {}


async def killed_front(server: Server, visitor: Visitor) -> Figures:
    """Its workers end with it; nothing comes back before somebody starts the server again."""
    left = children(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    while any(map(command_of, left)) and time.monotonic() < killed_s + 20:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    return {"workers": len(left), "gone after_s": round(time.monotonic() - killed_s, 2)}


CASES: dict[str, Case] = {
    "loss-2": on_line(Line(loss=0.02)),
    "loss-10": on_line(Line(loss=0.10)),
    "loss-30": on_line(Line(loss=0.30)),
    "jitter-120": on_line(Line(jitter_s=0.12)),  # out of order, too
    "twice-20": on_line(Line(twice=0.2)),
    "narrow-150": on_line(Line(bits_per_s=150_000), 10.0),
    "dark-1": on_line(Line(loss=1.0), 1.0),
    "dark-3": on_line(Line(loss=1.0), 3.0),
    "dark-10": on_line(Line(loss=1.0), 10.0),
    "rebinding": rebinding,
    "stall-50": stall(0.05),
    "stall-200": stall(0.2),
    "stall-1000": stall(1.0),
    "stall-2000": stall(2.0),
    "full-disk": full_disk,
    "clock-hour": clock_step("+3600"),
    "clock-back": clock_step("-3600"),
    "killed-reader": killed_reader,
    "killed-worker": killed_worker,
    "killed-front": killed_front,
}
ALONE = {"killed-worker": ("--workers", "2"), "killed-front": ("--workers", "2")}  # a server of their own


async def measured(name: str, server: Server, height: int, fps: int) -> Figures:
    async with visiting(server, height, fps) as visitor:
        await steady(visitor, time.monotonic(), fps)
        await asyncio.sleep(SETTLE_S)
        began_s = time.monotonic()
        besides = await CASES[name](server, visitor)
        ended_s = time.monotonic()
        back_s = None if name == "killed-front" else await steady(visitor, ended_s, fps)
        came = [at for at in visitor.picture_s if at >= began_s]
        meanwhile = sum(at < ended_s for at in came) / (fps * (ended_s - began_s))
        return {
            "case": name,
            "lasts_s": round(ended_s - began_s, 1),
            "back_s": None if back_s is None else round(back_s, 2),
            "meanwhile": round(meanwhile, 2),
            "gap_s": round(float(np.max(np.diff([began_s, *came]))), 2) if came else None,
            "connections": visitor.connections,
            "sessions": visitor.sessions,
            **({"besides": besides} if besides else {}),
        }


@contextlib.asynccontextmanager
async def visiting(server: Server, height: int, fps: int) -> AsyncIterator[Visitor]:
    visitor = Visitor(server.url, height, fps)
    try:
        await visitor.open(room="chaos")
        yield visitor
    finally:
        with contextlib.suppress(ClientError, OSError, TimeoutError):
            await visitor.close()


async def steady(visitor: Visitor, since_s: float, fps: float) -> float | None:
    """How long after ``since_s`` a second began with nine tenths of its pictures; None where it never did."""
    while time.monotonic() < since_s + MOST_BACK_S:
        await asyncio.sleep(0.1)
        at = [each for each in visitor.picture_s if each >= since_s]
        for first in at:
            second = [each for each in at if first <= each < first + 1.0]
            if at[-1] >= first + 1.0 and len(second) >= 0.9 * fps and np.max(np.diff(second)) < 0.3:
                return first - since_s
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES), help="of: " + ", ".join(CASES))
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--fps", type=int, default=10)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.cases.split(","):
            with (
                faked(name, Path(folder)),
                serving("--fps", str(args.fps), *ALONE.get(name, ("--workers", "1"))) as server,
            ):
                rows.append(asyncio.run(measured(name, server, args.height, args.fps)))
                print(rows[-1], flush=True)
    names = ("case", "lasts_s", "back_s", "meanwhile", "gap_s", "connections", "sessions")
    show("chaos", names, [tuple(str(row[each]) for each in names) for row in rows])
    last_line({"rows": rows})


@contextlib.contextmanager
def faked(name: str, folder: Path) -> Any:
    """A wall clock that a file puts off, for the cases that do so."""
    if not name.startswith("clock-"):
        yield
        return
    if not FAKETIME.exists():
        raise SystemExit(f"{name} needs libfaketime (apt-get install faketime)")
    offset = folder / "offset"
    offset.write_text("+0")
    changed = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    os.environ.update(changed)
    try:
        yield
    finally:
        for each in changed:
            del os.environ[each]


if __name__ == "__main__":
    main()
