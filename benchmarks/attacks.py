"""A neighbour's picture while somebody attacks the server: `python -m benchmarks.attacks`, or `--only silent headers`.

`realtime-dub serve` is a program of its own, and so is each attack, which has what processor time the others leave, as
if it came from elsewhere. The neighbour sends a face and a voice; what comes back to him is counted alone, then under
attack. Each attack has a server of its own, which is asked to end while it goes on. More attacks: one function each in
a table such as `attacks_http.ATTACKS`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import IO, Any

from aiohttp import ClientError, ClientSession, ClientTimeout
from av import VideoFrame

from benchmarks import attack_rtc, attack_uploads, attacks_http, usage
from benchmarks.attacks_http import Target
from benchmarks.neighbour import Neighbour, face
from benchmarks.output import last_line, show
from benchmarks.studio_page import PROGRAM

LONGEST_S = 3_600.0  # that an attack is asked for: it is killed when it has been measured
TOKEN = "a-token-of-the-benchmark"
SETTLE_S, ALONE_S, CALM_S = 6.0, 10.0, 8.0
GONE_S = 75.0  # for the sessions of an attacker who was killed to be given up: ICE asks for 30 s, then 20 pass
FPS_LEAST, POINTS_MOST, MB_MOST, STOP_MOST_S = 24.0, 5.0, 50.0, 5.0
BUDGET_MS = 400  # room for two programs beside the server on two cores
COLUMNS = ("attack", "fps alone", "fps", "fresh % alone", "fresh %", "cores", "MB more", "threads more",
           "slowest answer s", "unanswered", "stop s", "log kB", "holds")  # fmt: skip
Figures = dict[str, Any]


def of_seconds(attack: Callable[[str, str, float], Awaitable[Any]]) -> Callable[[Target], Awaitable[Any]]:
    return lambda target: attack(target.url, target.token, LONGEST_S)


ATTACKS: dict[str, Callable[[Target], Awaitable[Any]]] = {
    **attacks_http.ATTACKS,
    **{
        name: of_seconds(each) for table in (attack_rtc.ATTACKS, attack_uploads.ATTACKS) for name, each in table.items()
    },
}


@contextmanager
def server() -> Iterator[tuple[subprocess.Popen[str], str, IO[str]]]:
    """A program, its address without the token, and what it says on standard error."""
    with tempfile.TemporaryFile("w+") as said:
        command = [*PROGRAM, "serve", "--port", "0", "--token", TOKEN, "--max-sessions", "4", "--size", "480p"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert process.stdout is not None
            yield process, process.stdout.readline().partition("?")[0].strip().rstrip("/"), said
        finally:
            process.kill()
            process.wait()


@contextmanager
def attacked(name: str, url: str) -> Iterator[None]:
    """An attack as a program."""
    command = [sys.executable, "-m", "benchmarks.attacks", "--attack", name, "--url", url]
    process = subprocess.Popen(command, preexec_fn=lambda: os.nice(19) and None)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def measure(name: str, seconds: float, frames: list[VideoFrame]) -> Figures:
    with server() as (process, url, said):
        neighbour = Neighbour(url, TOKEN, frames)
        await neighbour.connect(budget_ms=BUDGET_MS)
        await asyncio.sleep(SETTLE_S)
        alone = await neighbour.watch(ALONE_S)
        before, began_s = usage.with_children(process.pid), time.monotonic()
        with attacked(name, url):
            await asyncio.sleep(1)  # until it has begun
            async with asked(url) as answers:
                under = await neighbour.watch(seconds)
            cores = (usage.with_children(process.pid).cpu_s - before.cpu_s) / (time.monotonic() - began_s)
        await asyncio.sleep(CALM_S)
        after = await calm(process.pid, before)
        with attacked(name, url):
            await asyncio.sleep(2)
            stop_s = await stopped(process)
        await neighbour.close()
        said.seek(0)
        log = said.read()
    figures = {"fps_alone": alone[0], "fps": under[0], "fresh_alone": alone[1], "fresh": under[1],
               "cores": cores, "mb_more": after.rss_mb - before.rss_mb, "threads_more": after.threads - before.threads,
               "slowest_answer_s": max(answers, default=0.0), "unanswered": answers.count(float("inf")),
               "stop_s": stop_s, "log_kb": len(log) / 1000, "told": TOKEN in log or "127.0.0." in log}  # fmt: skip
    return figures | {"holds": holds(figures)}


def holds(figures: Figures) -> bool:
    return bool(
        figures["fps"] >= FPS_LEAST
        and figures["fresh"] >= figures["fresh_alone"] - POINTS_MOST
        and figures["mb_more"] <= MB_MOST
        and figures["stop_s"] <= STOP_MOST_S
        and not figures["told"]
    )


async def calm(pid: int, before: usage.Usage) -> usage.Usage:
    """What the server has once the attacker's sessions have ended, as their threads tell."""
    until_s = time.monotonic() + GONE_S
    while usage.with_children(pid).threads > before.threads + 4 and time.monotonic() < until_s:  # noqa: ASYNC110  (of a process)
        await asyncio.sleep(1)
    await asyncio.sleep(2)
    return usage.with_children(pid)


@asynccontextmanager
async def asked(url: str) -> AsyncIterator[list[float]]:
    """Twice a second somebody asks for the server's health: how long each answer took, infinite where none came."""
    took_s: list[float] = []

    async def ask() -> None:
        while True:
            began_s = time.monotonic()
            try:
                async with ClientSession(timeout=ClientTimeout(5)) as http, http.get(f"{url}/healthz") as answer:
                    took_s.append(time.monotonic() - began_s if answer.status == 200 else float("inf"))
            except (ClientError, TimeoutError, OSError):
                took_s.append(float("inf"))
            await asyncio.sleep(0.5)

    asking = asyncio.create_task(ask())
    try:
        yield took_s
    finally:
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


async def stopped(process: subprocess.Popen[str]) -> float:
    """How long it takes to end after SIGTERM."""
    process.send_signal(signal.SIGTERM)
    began_s = time.monotonic()
    with contextlib.suppress(subprocess.TimeoutExpired):
        await asyncio.to_thread(process.wait, 30)
    return time.monotonic() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=ATTACKS)
    parser.add_argument("--seconds", type=float, default=30, help="of each attack")
    parser.add_argument("--attack", choices=ATTACKS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.attack:
        asyncio.run(ATTACKS[args.attack](Target(args.url, TOKEN)))  # type: ignore[arg-type]
        return
    frames, answer = face(), {}
    for name in args.only or ATTACKS:
        answer[name] = asyncio.run(measure(name, args.seconds, frames))
        print(name, answer[name], file=sys.stderr)
    show("attacks", COLUMNS, [(name, *(value for key, value in figures.items() if key != "told"))
                              for name, figures in answer.items()])  # fmt: skip
    last_line({"benchmark": "attacks", "seconds": args.seconds, **answer})


if __name__ == "__main__":
    main()
