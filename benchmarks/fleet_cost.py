"""What a thousand sessions cost: `python -m benchmarks.fleet cost > figures.txt`.

Measured, for each size, with one visitor of a server of one worker: the server's cores, its frames that were late, and
what goes over the line each way. Measured beside it, in this process: VP8 as the studio has it. `--inputs FILE` takes
these figures from the JSON line of a former run.

Reckoned: cores × time ÷ fill × price, and what the server sends × price. Fill is the share of the paid cores that is
used over a day. With a card: the networks leave the processor, and the card is shared by as many as `--card-sessions`
says; no session of this project was measured on one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiortc.codecs.vpx import Vp8Encoder

from benchmarks.output import last_line, show
from benchmarks.room_peers import Face, Person, Sound, Voice
from benchmarks.studio_page import serving
from benchmarks.usage import Meter, children
from realtime_dub.sources.demo import DemoSource

SIZES = {"360p15": (360, 15), "480p25": (480, 25), "720p30": (720, 30)}
SETTLE_S = 5.0
LIVE_S = 30.0
FRAMES = 60  # that are encoded
SESSIONS = 1_000
GB = 1e9
Figures = dict[str, Any]


def measure(height: int, fps: int, seconds: float) -> Figures:
    """One size."""
    size = "720p" if height > 480 else "480p"  # what pages are asked for at most
    asked = ("--workers", "1", "--max-sessions", "1", "--fps", str(fps), "--size", size, "--no-spare")
    with serving(*asked) as server:
        found = asyncio.run(visit(server.url, [server.pid, *children(server.pid)], height, fps, seconds))
    return found | {"encode_cores": round(encoding_s(height) * fps, 3)}


async def visit(url: str, pids: list[int], height: int, fps: int, seconds: float) -> Figures:
    person = Person(url, (Face(height, fps), Voice(Sound(3_200, on_s=3, period_s=4))))
    try:
        await person.connect()
        async with asyncio.timeout(LIVE_S):
            await person.got.seen.wait()
        await asyncio.sleep(SETTLE_S)
        meter, before, frames = Meter({"server": pids}), await bytes_of(person), counted(person)
        await asyncio.sleep(seconds)
        cores, after = meter.read()["server"]["cpu"], await bytes_of(person)
        ticks, late = (new - old for new, old in zip(counted(person), frames, strict=True))
    finally:
        await person.close()
    to_page, from_page = (8 * (new - old) / seconds / 1_000 for new, old in zip(after, before, strict=True))
    return {
        "cores": round(cores, 2),
        "late_percent": round(100 * late / max(1, ticks), 1),
        "sent_kbps": round(to_page),
        "received_kbps": round(from_page),
    }


async def bytes_of(person: Person) -> tuple[int, int]:
    """That came to the page, and that it sent, in all."""
    told = [each for each in (await person.statistics()).values() if each.type == "transport"]
    return sum(each.bytesReceived for each in told), sum(each.bytesSent for each in told)


def counted(person: Person) -> tuple[int, int]:
    frames = person.got.stats[-1]["frames"] if person.got.stats else {}
    return frames.get("total", 0), frames.get("lagged", 0) + frames.get("slow", 0)


def encoding_s(height: int) -> float:
    """Processor time of one frame in VP8."""
    encoder, frames = Vp8Encoder(), list(pictures(height))
    encoder.encode(frames[0])
    began_s = time.process_time()
    for frame in frames:
        encoder.encode(frame)
    return (time.process_time() - began_s) / len(frames)


def pictures(height: int) -> Iterator[av.VideoFrame]:
    source = DemoSource(height * 16 // 9 & ~1, height, 30)
    source.open()
    with contextlib.closing(source):
        for number in range(FRAMES):
            image = np.asarray(source.read().image)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            yield frame


def reckon(found: Figures, args: argparse.Namespace) -> Figures:
    """Of one size: what SESSIONS cost, in the currency of the prices."""
    hours = SESSIONS * args.minutes / 60
    cores = found["cores"] * hours / args.fill
    with_card = max(0.0, found["cores"] - args.network_cores) * hours / args.fill
    card = hours / args.card_sessions / args.fill * args.card_hour
    sent = found["sent_kbps"] * 1_000 / 8 * hours * 3_600 / GB * args.gigabyte
    return {
        "processor": round(cores * args.core_hour, 2),
        "encoder": round(found["encode_cores"] * hours / args.fill * args.core_hour, 2),
        "network": round(sent, 2),
        "in all": round(cores * args.core_hour + sent, 2),
        "in all, with a card": round(with_card * args.core_hour + card + sent, 2),
    }


def add_to(commands: Any) -> None:
    parser = commands.add_parser("cost", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=15, help="each size is measured for")
    parser.add_argument("--inputs", type=Path, help="figures of a former run, instead")
    parser.add_argument("--minutes", type=float, default=20, help="a session lasts")
    parser.add_argument("--fill", type=float, default=0.5, help="share of the paid cores that is used")
    parser.add_argument("--core-hour", type=float, default=0.04, help="price")
    parser.add_argument("--gigabyte", type=float, default=0.05, help="price of what is sent")
    parser.add_argument("--card-hour", type=float, default=0.80, help="price")
    parser.add_argument("--card-sessions", type=int, default=16, help="that share a card")
    parser.add_argument("--network-cores", type=float, default=0.05, help="of a session, that a card takes over")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    found = json.loads(args.inputs.read_text())["measured"] if args.inputs else {}
    for name, (height, fps) in SIZES.items():
        if name not in found:
            found[name] = measure(height, fps, args.seconds)
    reckoned = {name: reckon(each, args) for name, each in found.items()}
    for title, figures in (("one session", found), (f"{SESSIONS} sessions of {args.minutes:g} minutes", reckoned)):
        rows = [(name, *each.values()) for name, each in figures.items()]
        show(title, ("size", *next(iter(figures.values()))), rows)
    asked = {name: value for name, value in vars(args).items() if name not in ("run", "inputs", "what")}
    last_line({"prices": asked, "measured": found, "reckoned": reckoned})
