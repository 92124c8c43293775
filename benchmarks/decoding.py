"""What it costs to decode visitors' tracks in processes of their own: `python -m benchmarks.decoding --rounds 5`.

A moving face (moving_face.py), coded as browsers do, and a tone in Opus; each coded frame is decoded within and apart,
by turns, once every 33 ms (20 for audio), as it comes live.

| figure | how |
|---|---|
| within, apart | processor time of a frame, ms, of this thread and of the decoder's process together: the median |
| here | of it, in the process that asks |
| later p50, p95 | by the clock, apart less within, ms: what a picture comes later by |
| memory | MB that one decoder's process has to itself |
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
from aiortc.jitterbuffer import JitterFrame

from benchmarks.moving_face import SIZES, MovingFace
from benchmarks.output import last_line, percentiles, show
from benchmarks.usage import children, of
from realtime_dub.web.rtc.apart.decoders import ApartDecoders
from realtime_dub.web.rtc.decoding import Decoder, Within

FRAMES = 60  # of each round
BIT_RATES = {"480p": 1_000_000, "720p": 2_000_000}
ENCODERS = {"VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "-6", "lag-in-frames": "0"}),
            "H264": ("libx264", {"tune": "zerolatency", "preset": "veryfast"})}  # fmt: skip
COLUMNS = ("what", "within", "apart", "here", "later p50", "later p95", "memory")


def pictures(codec: str, size: str) -> list[bytes]:
    encoder: Any = av.CodecContext.create(ENCODERS[codec][0], "w")
    encoder.width, encoder.height = SIZES[size]
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 30), Fraction(30)
    encoder.bit_rate, encoder.options = BIT_RATES[size], ENCODERS[codec][1]
    found: list[bytes] = []
    for k, shown in enumerate(MovingFace(*SIZES[size], 30).frame(number) for number in range(FRAMES)):
        image = av.VideoFrame.from_ndarray(shown.image, format="bgr24").reformat(format="yuv420p")
        image.pts, image.time_base = k, Fraction(1, 30)
        found += [bytes(packet) for packet in encoder.encode(image)]
    return found


def sounds() -> list[bytes]:
    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "stereo", "s16"
    found: list[bytes] = []
    for k in range(FRAMES):
        tone = (8_000 * np.sin(np.arange(1_920) * 0.05 * (1 + k % 7))).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None], "s16", "stereo")
        frame.sample_rate, frame.pts = 48_000, k * 960
        found += [bytes(packet) for packet in encoder.encode(frame)]
    return found


def taken(decoder: Decoder, data: bytes, number: int) -> tuple[float, float, float]:
    """ms of this thread, of the decoder's process, and by the clock."""
    began_s, busy_s = time.perf_counter(), time.thread_time()
    decoder.decode(JitterFrame(data, number * 3_000))
    return tuple(1_000 * each for each in (time.thread_time() - busy_s, decoder.spent_s, time.perf_counter() - began_s))  # type: ignore[return-value]


def by_turns(within: Decoder, apart: Decoder, coded: list[bytes], rounds: int, step_s: float) -> Iterator[Any]:
    """Of each coded frame what it took within and apart, first the one, then the other."""
    due_s = time.monotonic()
    for number in range(rounds * len(coded)):
        data = coded[number % len(coded)]
        order = (within, apart) if number % 2 else (apart, within)
        took = {each: taken(each, data, number) for each in order}
        yield took[within], took[apart]
        due_s += step_s
        time.sleep(max(0.0, due_s - time.monotonic()))


def own_mb(pid: int) -> float:
    """What it shares with nobody; its pictures are shared."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1_000


def row(name: str, codec: str, coded: list[bytes], rounds: int, decoders: ApartDecoders, pid: int) -> dict[str, Any]:
    about = SimpleNamespace(name=codec)
    within, apart = Within().make(about, lambda: 1 << 30), decoders.make(about, lambda: 1 << 30)
    took = list(by_turns(within, apart, coded, rounds, 0.02 if codec == "opus" else 1 / 30))
    later = percentiles(far[2] - near[2] for near, far in took)
    figures = {
        "what": name,
        "within": percentiles(near[0] for near, _ in took)["p50"],
        "apart": percentiles(far[0] + far[1] for _, far in took)["p50"],
        "here": percentiles(far[0] for _, far in took)["p50"],
        "later p50": later["p50"],
        "later p95": later["p95"],
        "memory": own_mb(children(pid)[-1]),
    }
    apart.close()
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of two seconds each")
    rounds = parser.parse_args().rounds
    decoders = ApartDecoders()
    decoders.start()
    assert decoders._process is not None
    pid = decoders._process.pid
    try:
        rows = [
            row(f"{codec} {size}", codec, pictures(codec, size), rounds, decoders, pid)
            for codec in ENCODERS
            for size in BIT_RATES
        ]
        rows.append(row("Opus", "opus", sounds(), rounds, decoders, pid))
        shared = of(pid).rss_mb
    finally:
        decoders.close()
    title = f"{rounds * FRAMES} frames each; the process that decoders come from has {shared:.0f} MB"
    show(title, COLUMNS, [tuple(each[name] for name in COLUMNS) for each in rows])
    last_line({"rows": rows, "shared_mb": shared})


if __name__ == "__main__":
    main()
