"""What a camera's format costs, from its bytes to what an output takes: `python -m benchmarks.camera_formats`.

The moving face with a little noise, in the formats of cameras. `bgr` is the way through BGR alone, as OpenCV converts;
`yuv` keeps the planes (sources/camera_formats.py). `source` is what the camera's thread does, `file` and `camera` what
an H.264 encoder and a virtual camera do before they encode or send, with a mouth drawn. Processor time of a frame, ms.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from fractions import Fraction
from time import process_time
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.moving_face import SIZES, MovingFace, size_of, sizes
from benchmarks.output import last_line, show
from realtime_dub.i420 import planes_of
from realtime_dub.media import Box, Image, OutputFormat, Plane, Tick
from realtime_dub.publishers.encoding import VideoEncoder
from realtime_dub.sources.camera_formats import Unpack, unpacker

FORMATS = ("MJPG", "YUYV", "NV12")
QUALITY, NOISE = 85, 3.0  # of JPEG; levels
COLUMNS = ("format", "way", "source", "file", "camera")
TURNS = 5  # of both ways, so that whatever else the machine does meets both alike
Row = dict[str, float]


def coded(name: str, image: Image) -> Plane:
    """A picture as the camera sends it, in the shape that OpenCV gives it."""
    if name == "MJPG":
        half = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
        options = [cv2.IMWRITE_JPEG_QUALITY, QUALITY, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, half]
        return np.asarray(cv2.imencode(".jpg", image, options)[1], np.uint8).reshape(1, -1)
    pixels = {"YUYV": "yuyv422", "NV12": "nv12"}[name]
    return np.asarray(av.VideoFrame.from_ndarray(image, "bgr24").reformat(format=pixels).to_ndarray(), np.uint8)


def by_opencv(name: str) -> Unpack:
    """As its own capture converts."""
    if name == "MJPG":
        return lambda raw: (np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR), np.uint8), None)
    code = {"YUYV": cv2.COLOR_YUV2BGR_YUYV, "NV12": cv2.COLOR_YUV2BGR_NV12}[name]
    return lambda raw: (np.asarray(cv2.cvtColor(raw, code), np.uint8), None)


def measured(name: str, image: Image, calls: int) -> dict[str, Row]:
    """Both ways, by turns."""
    raw, fmt = coded(name, image), OutputFormat(image.shape[1], image.shape[0], Fraction(30), 0, 0, live=True, hd=False)
    keeps = unpacker(float(cv2.VideoWriter.fourcc(*name)))
    assert keeps is not None, "a format of RAW, or JPEG"
    took: dict[str, dict[str, list[float]]] = {}
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, fmt, {})
        container.start_encoding()
        for _ in range(TURNS):
            for way, unpack in (("bgr", by_opencv(name)), ("yuv", keeps)):
                parts = _parts(unpack, raw, encoder)
                for part, work in parts.items():
                    took.setdefault(way, {}).setdefault(part, []).extend(_timed(work, calls // TURNS))
    return {way: {part: round(float(np.median(all_)), 2) for part, all_ in row.items()} for way, row in took.items()}


def _parts(unpack: Unpack, raw: Plane, encoder: VideoEncoder) -> dict[str, Callable[[], Any]]:
    unpacked = unpack(raw)
    assert unpacked is not None, "it was made in this format"
    image, planes = unpacked
    tick = Tick(image, 0, 1, 0, None, None, planes, (mouth_of(image),) if planes is not None else ())
    return {
        "source": lambda: unpack(raw),
        "file": lambda: encoder._frame_of(tick),
        "camera": lambda: planes_of(tick),
    }


def mouth_of(image: Image) -> Box:
    """A box as large as a patch on a face of half the frame's height."""
    height, width = image.shape[:2]
    return width // 2 - height // 6, height // 2, height // 3, height // 4


def _timed(work: Callable[[], Any], calls: int) -> list[float]:
    work()
    took = []
    for _ in range(calls):
        began_s = process_time()
        work()
        took.append(1000 * (process_time() - began_s))
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=sizes, default=["480p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--frames", type=int, default=50)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for size in args.size:
        frame = MovingFace(*size_of(size), 30).frame(7)
        noise = np.random.default_rng(0).normal(0, NOISE, frame.image.shape)
        image = np.clip(frame.image + noise, 0, 255).astype(np.uint8)
        found[size] = {name: measured(name, image, args.frames) for name in FORMATS}
        rows = [(name, way, *row.values()) for name, ways in found[size].items() for way, row in ways.items()]
        show(f"a camera's frame, {size}", COLUMNS, rows)
    last_line({"benchmark": "camera_formats", "frames": args.frames, "sizes": found})


if __name__ == "__main__":
    main()
