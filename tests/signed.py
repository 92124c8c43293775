"""Films to be signed and what reads them, for the tests of content credentials."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import wave
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import c2pa
import cv2
import numpy as np
from aiohttp import web
from media_files import clicks, grid, output_format, ticks
from patience import PATIENCE_S

from realtime_dub.media import NS
from realtime_dub.publishers.muxer import MuxPublisher
from realtime_dub.trust.intervals import Film
from realtime_dub.trust.kinds import OPAQUE, kind_of_file, sidecar_of
from realtime_dub.trust.statement import Statement
from realtime_dub.trust.tag import Tag

SHA = "0123456789abcdef" * 4
DUBBED = ((10, 25), (40, 50))  # frames of write_dub, at 25 a second
SECONDS = [(0.4, 1.0), (1.6, 2.0)]
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


def write_dub(path: Path, frames: int = 50, tag: Tag | None = None) -> Film:
    """A small film, of which the frames of DUBBED are said to be changed."""
    fmt = output_format()
    publisher = MuxPublisher(path)
    publisher.say(tag or Tag(bundle="mouthbank-motion 9.9.9", sha256=SHA))
    publisher.open(fmt)
    for tick in ticks(fmt, grid(frames, fmt.fps), clicks(frames / 25, fmt.rate, 1, [0.1])):
        publisher.publish(replace(tick, dubbed=any(first <= tick.seq < end for first, end in DUBBED)))
    publisher.close()
    assert publisher.film is not None
    return publisher.film


def statement_of(film: Film) -> Statement:
    return Statement("film", "mouthbank", "mouthbank-motion 9.9.9", SHA, "own", film.dubbed, film.duration_ns)


def png() -> bytes:
    return cv2.imencode(".png", np.full((40, 60, 3), 99, np.uint8))[1].tobytes()


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((40, 60, 3), 99, np.uint8))[1].tobytes()


def wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(32_000))
    return out.getvalue()


def by_c2pa(path: Path) -> dict:
    """What c2pa's own reader says, with nothing of ours between."""
    kind = kind_of_file(path)
    beside = sidecar_of(path).read_bytes() if kind == OPAQUE else None
    with path.open("rb") as file, c2pa.Reader(kind, file, beside) as reader:
        return json.loads(reader.json())


def actions(found: dict) -> list[dict]:
    active = found["manifests"][found["active_manifest"]]
    (assertion,) = [each for each in active["assertions"] if each["label"].startswith("c2pa.actions")]
    return assertion["data"]["actions"]


def changed(found: dict) -> list[tuple[float, float]]:
    """When, as the manifest has it, seconds."""
    times = [change["region"][0]["time"] for change in actions(found)[-1].get("changes", ())]
    return [(float(time["start"]), float(time["end"])) for time in times]


def seconds_of(film: Film) -> list[tuple[float, float]]:
    return [(start / NS, end / NS) for start, end in film.dubbed]


@contextmanager
def server(routes: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]]) -> Iterator[str]:
    """A server of aiohttp on a thread of its own; its address."""
    loop, ready, at = asyncio.new_event_loop(), threading.Event(), [0]

    async def start() -> web.AppRunner:
        app = web.Application()
        app.add_routes([web.route("*", path, handler) for path, handler in routes.items()])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        at[0] = runner.addresses[0][1]
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, name="server")
    thread.start()
    assert ready.wait(PATIENCE_S)
    try:
        yield f"http://127.0.0.1:{at[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
