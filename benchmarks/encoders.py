"""What encoding costs live: `python -m benchmarks.encoders --size 480p,720p`.

The moving face (moving_face.py), one frame at a time, with libx264's presets and numbers of threads, and with each
encoder in hardware that works here. `p50` and `p95` are what the publisher's thread is held for, `cpu` the processor
time of all threads, ms; `psnr` is that of the brightness, dB.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from time import perf_counter, process_time

import av
import numpy as np
import numpy.typing as npt

from benchmarks.moving_face import SIZES, MovingFace, size_of, sizes
from benchmarks.output import last_line, show
from realtime_dub.media import Frame, Image, OutputFormat, Tick
from realtime_dub.publishers import h264
from realtime_dub.publishers.encoding import VideoEncoder

PRESETS, THREADS = ("ultrafast", "superfast", "veryfast"), (1, 2, 4)
CRF = 23  # as live outputs have it
WARM_UP = 10  # frames
COLUMNS = ("encoder", "p50", "p95", "cpu", "kbit/s", "psnr")

Figures = dict[str, float]


def ways(fmt: OutputFormat) -> Iterator[tuple[str, h264.H264, h264.Options]]:
    """A name, an encoder and its options."""
    for preset in PRESETS:
        wanted = h264.Wanted(CRF, preset, True, fmt.fps, (fmt.width, fmt.height))
        for threads in THREADS:
            yield f"{preset}, {threads} threads", h264.X264, h264.options(h264.X264, wanted) | {"threads": str(threads)}
    wanted = h264.Wanted(CRF, "superfast", True, fmt.fps, (fmt.width, fmt.height))
    for name, why in h264.why_not(h264.HARDWARE, wanted).items():
        if why is None:
            yield name, h264.HARDWARE[name], h264.options(h264.HARDWARE[name], wanted)


def measured(fmt: OutputFormat, frames: list[Frame], encoder: h264.H264, options: h264.Options) -> Figures:
    """One way, over ``frames``."""
    took_ms, stream = [], io.BytesIO()
    with av.open(stream, "w", format="matroska") as container:
        video = VideoEncoder(container, fmt, options, encoder)
        container.start_encoding()
        for frame in frames:
            if frame.seq == WARM_UP:
                busy_s = process_time()
            began_s = perf_counter()
            packets = video.encode(Tick(frame.image, frame.pts_ns, frame.duration_ns, frame.seq, None))
            took_ms.append(1000 * (perf_counter() - began_s))
            container.mux(packets)
        busy_s = process_time() - busy_s
        container.mux(video.flush())
    count = len(frames) - WARM_UP
    p50, p95 = np.percentile(took_ms[WARM_UP:], (50, 95))
    bits = 8 * len(stream.getvalue()) / len(frames) * float(fmt.fps) / 1000
    told = {"p50": p50, "p95": p95, "cpu": 1000 * busy_s / count, "kbit/s": bits, "psnr": psnr(stream, frames)}
    return {name: round(float(value), 2) for name, value in told.items()}


def psnr(stream: io.BytesIO, frames: list[Frame]) -> float:
    """Of the luma, over all frames."""
    stream.seek(0)
    with av.open(stream, "r") as container:
        pairs = zip(container.decode(video=0), frames, strict=True)
        errors = [
            np.square(grey(np.asarray(made.to_ndarray(format="bgr24"), np.uint8)) - grey(frame.image)).mean()
            for made, frame in pairs
        ]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def grey(image: Image) -> npt.NDArray[np.float64]:
    return np.asarray(image @ np.array([0.114, 0.587, 0.299]), np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=sizes, default=["480p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--fps", type=int, default=30)
    args = parser.parse_args()
    found: dict[str, dict[str, Figures]] = {}
    for size in args.size:
        fmt = OutputFormat(*size_of(size), Fraction(args.fps), 0, 0, live=True)
        frames = list(islice(MovingFace(fmt.width, fmt.height, args.fps), args.frames + WARM_UP))
        found[size] = {name: measured(fmt, frames, encoder, options) for name, encoder, options in ways(fmt)}
        show(f"H.264 live, {size}", COLUMNS, [(name, *row.values()) for name, row in found[size].items()])
    last_line({"benchmark": "encoders", "frames": args.frames, "fps": args.fps, "sizes": found})


if __name__ == "__main__":
    main()
