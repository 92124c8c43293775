"""A room with a speaker, one interpreter and two viewers, at real time: `python -m benchmarks.rooms --seconds 180`.

The server is a program of its own; the four people are aiortc's peers in this one (room_peers.py), so they take a part
of the same machine. The speaker sends 640x360 at 15 frames a second. The interpreter speaks Spanish, four seconds of
every eight. Both viewers watch the Spanish channel, one with the original under the dub at 30 %, the other without.

| figure | how |
|---|---|
| floor to interpreter | from a mark that the speaker says to its decoding at the interpreter's; less aiortc's buffer |
| interpreter to viewers | the same, of the interpreter's marks; asked for: the budget and 120 ms |
| mouths | share of fresh ones in the Spanish channel's pipeline, as the server counts them |
| viewers' A/V offset | the mark in the speaker's video against the one in the interpreter's voice, by when they left |
| original | the strength of the speaker's tone at the viewers', while the interpreter is silent, and while not |

A browser plays video and audio by when they left the server. Plus: the audio is later.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from typing import Any

import numpy as np

from benchmarks.output import last_line, show
from benchmarks.room_peers import Face, Floats, Got, Person, Sound, Voice, flashes, left_ns, marks
from benchmarks.studio_page import Server, serving
from benchmarks.usage import Meter

SPEAKER = Sound(3_200, 7_600, speech=False)  # whole waves in a window, above what is said
INTERPRETER = Sound(5_200, 6_400, on_s=4, period_s=8)
BUFFER_MS = 80.0  # aiortc's receiver gives a packet out when the fourth after it has come
SETTLE_S = 8.0  # after the channel is dubbed, until it is measured
HALL = {"room": "hall"}
Figures = dict[str, Any]


async def measured(
    server: Server, seconds: float, height: int, fps: int, engine: str | None, budget_ms: float | None
) -> Figures:
    url = server.url
    speaker = Person(url, (Face(height, fps), Voice(SPEAKER)))
    interpreter = Person(url, (Voice(INTERPRETER),), (SPEAKER.mark_hz,))
    tones = (SPEAKER.tone_hz, SPEAKER.mark_hz, INTERPRETER.tone_hz, INTERPRETER.mark_hz)
    viewers = {under: Person(url, (), tones) for under in (0.3, 0.0)}
    people = (speaker, interpreter, *viewers.values())
    try:
        asked = {"engine": engine, "budget_ms": budget_ms}
        chosen = {name: value for name, value in asked.items() if value is not None}
        await speaker.connect(**HALL, languages=["es"], consent=True, **chosen)
        await interpreter.connect(**HALL, role="interpreter", channel="es")
        for under, viewer in viewers.items():
            await viewer.connect(**HALL, role="viewer", channel="es", under=under)
        await until_dubbed(viewers[0.3])
        await asyncio.sleep(SETTLE_S)
        begun = dubs_of(speaker)
        for each in people:
            each.got.corners.clear()
            each.got.tones.clear()
        meter = Meter({"server": [server.pid]})
        await asyncio.sleep(seconds)
        return figures(speaker, interpreter, viewers, begun) | {"server_cores": meter.read()["server"]["cpu"]}
    finally:
        await asyncio.gather(*(each.close() for each in people))


async def until_dubbed(viewer: Person) -> None:
    async with asyncio.timeout(60):
        while not (viewer.got.stats and viewer.got.stats[-1].get("room", {}).get("dubbed")):
            viewer.got.news.clear()
            await viewer.got.news.wait()


def dubs_of(speaker: Person) -> dict[str, int]:
    """Counts of the Spanish channel's ticks so far."""
    told = speaker.got.stats[-1].get("dubs", {}).get("es", {}) if speaker.got.stats else {}
    return dict(told.get("frames", {}))


def figures(speaker: Person, interpreter: Person, viewers: dict[float, Person], before: dict[str, int]) -> Figures:
    after = dubs_of(speaker)
    ticks = after.get("total", 0) - before.get("total", 0)
    fresh = after.get("fresh", 0) - before.get("fresh", 0)
    floor_ms = [1000 * (at_s % 1.0) for at_s, _ in marks(interpreter.got, SPEAKER.mark_hz, 0.1)]
    seen = {under: viewer.got for under, viewer in viewers.items()}
    return {
        "floor_ms": spread(floor_ms),
        "floor_less_buffer_ms": spread([each - BUFFER_MS for each in floor_ms]),
        "seen": {
            f"{under:.0%}": {"flashes": len(flashes(got)), "marks": len(marks(got, INTERPRETER.mark_hz, 0.1))}
            for under, got in seen.items()
        },
        "voice_less_buffer_ms": {f"{under:.0%}": spread(voice_ms(got)) for under, got in seen.items()},
        "ticks": ticks,
        "fresh_percent": round(100 * fresh / ticks, 2) if ticks else None,
        "av_offset_ms": {f"{under:.0%}": spread(offsets_ms(got)) for under, got in seen.items()},
        "frames_per_s": {f"{under:.0%}": frame_rate(got) for under, got in seen.items()},
        "original": {f"{under:.0%}": original(got) for under, got in seen.items()},
        "pipelines": len(speaker.got.stats[-1].get("dubs", {})) if speaker.got.stats else 0,
    }


def voice_ms(got: Got) -> list[float]:
    """From each mark of the interpreter's to its decoding at a viewer's, less the buffer; less than a second."""
    return [1000 * (at_s % 1.0) - BUFFER_MS for at_s, _ in marks(got, INTERPRETER.mark_hz, 0.1)]


def offsets_ms(got: Got) -> list[float]:
    """Of each mark of the interpreter's the nearest of the video, both by when they left."""
    flashed = [at for _, pts in flashes(got) if (at := left_ns(got, "video", pts)) is not None]
    said = [at for _, pts in marks(got, INTERPRETER.mark_hz, 0.1) if (at := left_ns(got, "audio", pts)) is not None]
    return [min((at - flash for flash in flashed), key=abs) / 1e6 for at in said] if flashed else []


def frame_rate(got: Got) -> float:
    spans = [at_s for at_s, _, _ in got.corners]
    return round((len(spans) - 1) / (spans[-1] - spans[0]), 2) if len(spans) > 1 else 0.0


def original(got: Got) -> Figures:
    """How strong the speaker's tone is, in dB of full scale, and by how much it is lower under the interpreter."""
    here, there = (np.concatenate([each[2][hz] for each in got.tones]) if got.tones else np.zeros(1)
                   for hz in (SPEAKER.tone_hz, INTERPRETER.tone_hz))  # fmt: skip
    near = np.convolve(there > 0.02, np.ones(400), "same") > 0  # half a second before and after a word
    speaks = np.convolve(there > 0.02, np.ones(40), "same") > 20
    alone_db, under_db = decibels(here[~near]), decibels(here[speaks])
    down = None if alone_db is None or under_db is None else round(alone_db - under_db, 1)
    return {"alone_db": alone_db, "under_voice_db": under_db, "ducked_by_db": down}


def decibels(amplitudes: Floats) -> float | None:
    median = float(np.median(amplitudes)) if len(amplitudes) else 0.0
    return round(20 * math.log10(median), 1) if median > 1e-6 else None


def spread(values: list[float]) -> Figures:
    if not values:
        return {"n": 0}
    low, median, high = np.percentile(values, (5, 50, 95))
    return {"n": len(values), "p5": round(float(low), 1), "p50": round(float(median), 1), "p95": round(float(high), 1)}


def rows(found: Figures) -> list[tuple[str, str, str]]:
    """(what, asked for, found)."""
    floor, less = found["floor_ms"], found["floor_less_buffer_ms"]
    told = [
        ("floor to interpreter, ms", "150 and network buffers", f"{less.get('p50')} and {BUFFER_MS:g} ({floor})"),
        ("fresh mouths, %", "95", str(found["fresh_percent"])),
    ]
    for under in found["av_offset_ms"]:
        told.append(
            (f"interpreter to viewers at {under}, ms", "budget + 120", str(found["voice_less_buffer_ms"][under]))
        )
        told.append((f"A/V offset at {under}, ms", "40 at the median", str(found["av_offset_ms"][under])))
        told.append((f"frames a second at {under}", "15", str(found["frames_per_s"][under])))
        told.append((f"original at {under}", "heard, 18 dB lower", str(found["original"][under])))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--height", type=int, default=360)
    parser.add_argument("--fps", type=int, default=15)
    parser.add_argument("--engine")
    parser.add_argument("--budget", type=float, help="ms; the studio's own choice if left out")
    args = parser.parse_args()
    asked = ("--max-sessions", "1", "--max-channels", "1", "--fps", str(args.fps))
    with serving(*asked) as server:
        found = asyncio.run(measured(server, args.seconds, args.height, args.fps, args.engine, args.budget))
    show("a room", ("what", "asked for", "found"), rows(found))
    last_line({"seconds": args.seconds, "budget_ms": args.budget, "height": args.height, "fps": args.fps, **found})


if __name__ == "__main__":
    main()
