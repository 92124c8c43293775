"""One speaker, many who watch: `python -m benchmarks.viewers --counts 0,1,20,60,100,200`.

The server is a program of its own, in one process; viewers are in two further ones (`benchmarks.crowd`), where one of
each decodes and the others count packets; the speaker is in this one. What the server takes with n viewers is fitted
by a line: what one viewer more takes is forwarding, what the first one takes beside that is encoding, once for all.

| figure | how |
|---|---|
| cores, of clients, of others | processor time of the server's process, the viewers' and of all else here, a second |
| forwarder | of the process that sends to many for it |
| video, audio | whole frames and packets of audio that came, a second and viewer; the least of all viewers |
| lost | packets that did not come, of all viewers |
| decoded, freeze | frames that the whole viewers decoded, a second; the longest time without one |
| marks | of the speaker's picture and sound, that the whole viewers saw and heard, of those that were made |
| published | frames that the speaker's session published, a second: whether the server keeps its rate |
| us per packet | processor time of the server that viewers take, by the packets that they got |
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.crowd import CROWDS, ROOM, SOUND, Asked, Crowd, Decoded, Seen, crowds
from benchmarks.output import last_line, show
from benchmarks.room_peers import Face, Person, Voice
from benchmarks.studio_page import Server, serving
from benchmarks.usage import Meter, children, machine_cpu_s

SETTLE_S = 3.0
Figures = dict[str, Any]


async def measured(server: Server, counts: list[int], seconds: float, face: Face, kbps: int) -> list[Figures]:
    speaker = Person(server.url, (face, Voice(SOUND)))
    await speaker.connect(room=ROOM)
    rows: list[Figures] = []
    try:
        async with asyncio.timeout(60):
            await speaker.got.seen.wait()
        with crowds(server.url, kbps) as made:
            for count in counts:
                shares = [(count + k) // CROWDS for k in reversed(range(CROWDS))]
                await asked(made, shares)
                await asyncio.sleep(SETTLE_S)
                rows.append(await watched(server, speaker, made, seconds))
                print(rows[-1], flush=True)
    finally:
        await speaker.close()
    return rows


async def asked(made: list[Crowd], counts: list[int]) -> Asked:
    """What all light viewers and all whole ones got."""
    asking = (asyncio.to_thread(each.ask, count) for each, count in zip(made, counts, strict=True))
    found = await asyncio.gather(*asking)
    return [seen for light, _ in found for seen in light], [each for _, whole in found for each in whole]


async def watched(server: Server, speaker: Person, made: list[Crowd], seconds: float) -> Figures:
    counts = [each.count for each in made]
    (before, _), shown = await asked(made, counts), published(speaker)
    groups = {"server": [server.pid], "forwarder": forwarders(server.pid), "clients": [each.pid for each in made]}
    began_s, meter, all_s = time.monotonic(), Meter(groups), machine_cpu_s()
    own_s = time.process_time()
    await asyncio.sleep(seconds)
    used, took_s = meter.read(), time.monotonic() - began_s
    all_s, own_s = machine_cpu_s() - all_s, time.process_time() - own_s
    frames_s = (published(speaker) - shown) / took_s
    after, whole = await asked(made, counts)
    cores, forwarder, clients = (used[name]["cpu"] for name in groups)
    return {
        "viewers": sum(counts),
        "cores": round(cores, 3),
        "forwarder": round(forwarder, 3),
        "clients": round(clients, 3),
        "others": round((all_s - own_s) / took_s - cores - forwarder - clients, 2),
        "published_per_s": round(frames_s, 1),
        **light_figures(before, after, time.monotonic() - began_s),
        **whole_figures(whole, time.monotonic() - began_s),
    }


def light_figures(before: list[Seen], after: list[Seen], took_s: float) -> Figures:
    """Of those that count packets."""
    if not after:
        return dict.fromkeys(("video_per_s", "least_video", "audio_per_s", "least_audio", "packets_per_s", "lost"))
    fields = [(each.frames, each.audio, each.packets, each.lost) for each in (*before, *after)]
    gained = np.subtract(fields[len(before) :], fields[: len(before)]) / took_s
    return {
        "video_per_s": round(float(gained[:, 0].mean()), 1),
        "least_video": round(float(gained[:, 0].min()), 1),
        "audio_per_s": round(float(gained[:, 1].mean()), 1),
        "least_audio": round(float(gained[:, 1].min()), 1),
        "packets_per_s": round(float(gained[:, 2].mean()), 1),
        "lost": round(float(gained[:, 3].sum() * took_s)),
    }


def whole_figures(whole: list[Decoded], took_s: float) -> Figures:
    """Of those that decode: the worst of them."""
    if not whole:
        return dict.fromkeys(("decoded_per_s", "freeze_ms", "marks_seen", "marks_heard"))
    return {
        "decoded_per_s": round(min(each.frames for each in whole) / took_s, 1),
        "freeze_ms": round(1000 * max(each.freeze_s for each in whole)),
        "marks_seen": round(min(each.flashes for each in whole) / took_s, 2),
        "marks_heard": round(min(each.tones for each in whole) / took_s * SOUND.period_s / SOUND.on_s, 2),
    }


def forwarders(pid: int) -> list[int]:
    """The processes that send for a server."""
    return [each for each in children(pid) if b"forwarder.process" in Path("/proc", str(each), "cmdline").read_bytes()]


def published(speaker: Person) -> int:
    frames = speaker.got.stats[-1].get("frames", {}) if speaker.got.stats else {}
    return int(frames.get("total", 0))


def priced(rows: list[Figures]) -> None:
    """Add to each what a packet cost the server, by what it took more than without viewers."""
    first = next((row for row in rows if row["viewers"] == 0), None)
    for row in rows:
        row["us_per_packet"] = None
        if first is not None and row["packets_per_s"]:
            packets = row["packets_per_s"] * row["viewers"]
            row["us_per_packet"] = round(1e6 * (row["cores"] + row["forwarder"] - first["cores"]) / packets, 1)


def fitted(rows: list[Figures]) -> Figures:
    """Of those with viewers: cores for one more, and what the first one takes beside."""
    some = [row for row in rows if row["viewers"]]
    if len(some) < 2:
        return {"cores_per_viewer": None, "encoding_cores": None}
    cores = [row["cores"] + row["forwarder"] for row in some]
    slope, at_none = np.polyfit([row["viewers"] for row in some], cores, 1)
    none = next((row["cores"] for row in rows if not row["viewers"]), None)
    encoding = None if none is None else round(float(at_none - none), 3)
    return {"cores_per_viewer": round(float(slope), 4), "encoding_cores": encoding}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="0,1,20,60,100,200")
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--kbps", type=int, default=1_500, help="what light viewers say that their lines can take")
    args = parser.parse_args()
    counts = [int(each) for each in args.counts.split(",")]
    asked_for = ("--workers", "1", "--max-sessions", "1", "--max-viewers", str(max(counts)), "--fps", str(args.fps))
    with serving(*asked_for) as server:
        print(f"server: process {server.pid}", flush=True)
        rows = asyncio.run(measured(server, counts, args.seconds, Face(args.height, args.fps), args.kbps))
    priced(rows)
    found = fitted(rows)
    show("viewers", tuple(rows[0]), [tuple(str(value) for value in row.values()) for row in rows])
    last_line({"rows": rows, **found})


if __name__ == "__main__":
    main()
