"""One speaker, many who watch: `python -m benchmarks.viewers --counts 0,1,5,10,20`.

The server is a program of its own, in one process; viewers are aiortc's peers in two further processes, which take
packets and decode none; the speaker is in this one. What the server takes with n viewers is fitted by a line: what one
viewer more takes is forwarding, what the first one takes beside that is encoding, once for all.

| figure | how |
|---|---|
| cores | processor time of the server's process per second |
| video, audio | whole frames that came, a second and viewer |
| published | pictures that the speaker's session published, a second: whether the server keeps its rate |
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from benchmarks.output import last_line, show
from benchmarks.room_peers import HEADERS, Face, Person, Sound, Voice
from benchmarks.studio_page import Server, serving
from benchmarks.usage import Meter

ROOM = "hall"
SETTLE_S = 3.0
AT_ONCE = 4  # handshakes
CROWDS = 2
FROM_ONE = 20  # of an address: a server lets so many come at once, and then one in two seconds
Figures = dict[str, Any]


class Sink:
    """In the place of a decoder's queue: what would be decoded is counted."""

    def __init__(self) -> None:
        self.count = 0
        self._over = threading.Event()

    def put(self, task: Any) -> None:
        if task is None:
            self._over.set()
        self.count += 1

    def get(self) -> None:
        """For the decoder's thread, which ends then."""
        self._over.wait()


class Watcher:
    """A viewer that takes packets and decodes none."""

    def __init__(self, url: str) -> None:
        self._url, self.sinks = url, (Sink(), Sink())
        self._pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._pc.createDataChannel("control")
        for kind, sink in zip(("video", "audio"), self.sinks, strict=True):
            receiver = self._pc.addTransceiver(kind, "recvonly").receiver
            name = "_RTCRtpReceiver__decoder_queue"
            assert hasattr(receiver, name)
            setattr(receiver, name, sink)

    async def connect(self, http: ClientSession) -> None:
        await self._pc.setLocalDescription(await self._pc.createOffer())
        body = {"sdp": self._pc.localDescription.sdp, "type": "offer", "options": {"room": ROOM, "role": "viewer"}}
        async with http.post(f"{self._url}api/sessions", json=body) as answer:
            told = await answer.json()
            if answer.status == 429:
                await asyncio.sleep(2.0)
                return await self.connect(http)
            if answer.status != 201:
                raise RuntimeError(told["error"]["what"])
        await self._pc.setRemoteDescription(RTCSessionDescription(told["sdp"], "answer"))
        return None

    @property
    def frames(self) -> tuple[int, int]:
        """Frames of video and audio that were whole."""
        return self.sinks[0].count, self.sinks[1].count


class Crowd:
    """Viewers in a process of their own."""

    def __init__(self, number: int, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._asked, theirs = context.Pipe()
        self._process = context.Process(target=crowd, args=(theirs, number, url), daemon=True)
        self._process.start()
        self.count = 0

    def ask(self, count: int) -> list[tuple[int, int]]:
        """From now on there are so many: frames of video and audio that each got so far. Blocking."""
        self._asked.send(count)
        self.count = count
        found: list[tuple[int, int]] = self._asked.recv()
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.join()


def crowd(asked: Connection, number: int, url: str) -> None:
    async def run() -> None:
        watchers: list[Watcher] = []
        while True:
            count = await asyncio.to_thread(asked.recv)
            while len(watchers) < count:
                more = [Watcher(url) for _ in range(min(AT_ONCE, count - len(watchers)))]
                async with asking(100 * number + len(watchers) // FROM_ONE) as http:
                    await asyncio.gather(*(each.connect(http) for each in more))
                watchers += more
                await asyncio.sleep(0.3)
            asked.send([each.frames for each in watchers])

    asyncio.run(run())


@contextmanager
def crowds(url: str) -> Iterator[list[Crowd]]:
    made = [Crowd(number, url) for number in range(CROWDS)]
    try:
        yield made
    finally:
        for each in made:
            each.close()


async def measured(server: Server, counts: list[int], seconds: float, height: int, fps: int) -> list[Figures]:
    speaker = Person(server.url, (Face(height, fps), Voice(Sound(400, 3_200, on_s=3, period_s=4))))
    await speaker.connect(room=ROOM)
    rows = []
    try:
        async with asyncio.timeout(60):
            await speaker.got.seen.wait()
        with crowds(server.url) as made:
            for count in counts:
                shares = [(count + k) // CROWDS for k in range(CROWDS)]
                await frames_of(made, shares)
                await asyncio.sleep(SETTLE_S)
                rows.append(await watched(server, speaker, made, seconds))
                print(rows[-1], flush=True)
    finally:
        await speaker.close()
    return rows


async def frames_of(made: list[Crowd], counts: list[int]) -> list[tuple[int, int]]:
    asking = (asyncio.to_thread(each.ask, count) for each, count in zip(made, counts, strict=True))
    return [frames for found in await asyncio.gather(*asking) for frames in found]


def asking(number: int) -> ClientSession:
    """From an address of this machine's own, of which loopback has many."""
    connector = TCPConnector(local_addr=(f"127.0.0.{2 + number}", 0))
    return ClientSession(headers=HEADERS, timeout=ClientTimeout(60), connector=connector)


async def watched(server: Server, speaker: Person, made: list[Crowd], seconds: float) -> Figures:
    counts = [each.count for each in made]
    before, shown = await frames_of(made, counts), published(speaker)
    began_s, meter = time.monotonic(), Meter({"server": [server.pid]})
    await asyncio.sleep(seconds)
    took_s, cores = time.monotonic() - began_s, meter.read()["server"]["cpu"]
    gained = np.subtract(await frames_of(made, counts), before)
    video, audio = gained.mean(axis=0) / took_s if len(gained) else (0.0, 0.0)
    return {
        "viewers": sum(counts),
        "cores": round(cores, 3),
        "published_per_s": round((published(speaker) - shown) / took_s, 1),
        "video_per_s": round(float(video), 1),
        "audio_per_s": round(float(audio), 1),
        "least_video_per_s": round(float(gained[:, 0].min()) / took_s, 1) if len(gained) else None,
    }


def published(speaker: Person) -> int:
    frames = speaker.got.stats[-1].get("frames", {}) if speaker.got.stats else {}
    return int(frames.get("total", 0))


def fitted(rows: list[Figures]) -> Figures:
    """Of those with viewers: cores for one more, and what the first one takes beside."""
    some = [row for row in rows if row["viewers"]]
    slope, at_none = np.polyfit([row["viewers"] for row in some], [row["cores"] for row in some], 1)
    none = next((row["cores"] for row in rows if not row["viewers"]), None)
    encoding = None if none is None else round(float(at_none - none), 3)
    return {"cores_per_viewer": round(float(slope), 4), "encoding_cores": encoding}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="0,1,5,10,20")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--fps", type=int, default=15)
    args = parser.parse_args()
    counts = [int(each) for each in args.counts.split(",")]
    asked = ("--workers", "1", "--max-sessions", "1", "--max-viewers", str(max(counts)), "--fps", str(args.fps))
    with serving(*asked) as server:
        rows = asyncio.run(measured(server, counts, args.seconds, args.height, args.fps))
    found = fitted(rows)
    show("viewers", tuple(rows[0]), [tuple(str(value) for value in row.values()) for row in rows])
    last_line({"rows": rows, **found})


if __name__ == "__main__":
    main()
