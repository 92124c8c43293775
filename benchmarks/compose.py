"""What the drawing of a mouth costs as one graph: `python -m benchmarks.compose --size 480p,720p`.

The moving face (moving_face.py) with mouths of its own bank. `opencv` is what the graph does in place of OpenCV: both
warps, colour, pyramid and paste, without splines and outlines, which either way needs. `graph` is export/compose.py on
each provider of ONNX Runtime that is here: the processor, and a GPU with CUDA where there is one. `p50` and `p95` are
ms of one mouth, with the copies to the GPU and back, `cpu` is the processor time of all threads; `off` is the largest
difference in levels, `ssim` the least.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import islice
from time import perf_counter, process_time
from typing import Any

import cv2
import numpy as np

from benchmarks.mouth_pixels import ssim
from benchmarks.moving_face import SIZES, MovingFace, size_of, sizes
from benchmarks.output import last_line, show
from export.compose import graph
from export.compose_feeds import Feeds, Recording, composed
from realtime_dub.blend import colour, pyramid
from realtime_dub.blend.warp import moved_map, sample
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.inference.backends.ort import CPU, OnnxSession, available_providers
from realtime_dub.inference.backends.ort_gpu import CUDA
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank

SEEN = 40  # frames that the bank is made of
COLUMNS = ("way", "p50", "p95", "cpu", "off", "ssim")
Row = dict[str, float]


def mouths(size: str, frames: int) -> Iterator[tuple[Feeds, Image]]:
    """What the graph is given, and what the program makes."""
    face, bank = MovingFace(*size_of(size), 25), Bank()
    tracker = MediaPipeTracker("largest")
    try:
        seen = [tracker.track(frame) for frame in islice(face, SEEN)]
    finally:
        tracker.close()
    for tracked in seen:
        bank.observe(tracked)
    renderer = Recording(bank)
    for place, tracked in enumerate(seen[-frames:]):
        patch = renderer.show(tracked, bank.mouths[place % len(bank.mouths)])
        if patch is not None and (feeds := renderer.feeds(tracked, patch)) is not None:
            yield feeds, composed(tracked, patch)


def by_opencv(feeds: Feeds) -> Image:
    """The same steps as the program takes them."""
    left, top, right, bottom = feeds["window"]
    window = feeds["frame"][top:bottom, left:right]
    x, y, end, low = (int(each) for each in feeds["box"])
    below = window[y:low, x:end]
    region = sample(window, moved_map((x, y, end - x, low - y), _dense(feeds["skin"], (end - x, low - y))))
    x, y, end, low = (int(each) for each in feeds["inner"])
    lips = region[y:low, x:end]
    own = sample(feeds["mouth"], moved_map((0, 0, end - x, low - y), _dense(feeds["lips"], (end - x, low - y))))
    around = colour.rim_shift(lips, own, feeds["rim"] > 127)
    own = colour.add_two(own, around, feeds["tone"], feeds["red"], float(feeds["usual"]))
    region[y:low, x:end] = pyramid.blend(lips, own, feeds["soft"])
    change = cv2.subtract(region, below, dtype=cv2.CV_16S)
    cv2.multiply(change, cv2.cvtColor(feeds["alpha"], cv2.COLOR_GRAY2BGR).astype(np.int16), dst=change, scale=1 / 255)
    return np.asarray(cv2.add(change, below, dtype=cv2.CV_8U), np.uint8)


def _dense(grid: Any, size: tuple[int, int]) -> Any:
    return cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)


def ways() -> dict[str, Callable[[Feeds], Image]]:
    """OpenCV, and the graph on each provider that is here."""
    found: dict[str, Callable[[Feeds], Image]] = {"opencv": by_opencv}
    model = graph()
    here = available_providers()
    for name, providers in {"graph, cpu": [CPU], "graph, cuda": [CUDA, CPU]}.items():
        if providers[0] in here:
            session = OnnxSession(model, name, providers=providers)
            if session.providers[0] == providers[0]:  # there is a GPU, too
                found[name] = lambda feeds, session=session: session.run(feeds)["composed"]  # type: ignore[misc]
    return found


def measured(draw: Callable[[Feeds], Image], given: list[tuple[Feeds, Image]], turns: int) -> Row:
    """One way, over all mouths."""
    made = [draw(feeds) for feeds, _ in given]  # the first call of a size takes longer
    took, busy_s = [], process_time()
    for _ in range(turns):
        for feeds, _ in given:
            began_s = perf_counter()
            draw(feeds)
            took.append(1000 * (perf_counter() - began_s))
    cpu = 1000 * (process_time() - busy_s) / len(took)
    off = max(int(np.abs(each.astype(int) - wanted).max()) for each, (_, wanted) in zip(made, given, strict=True))
    alike = [ssim(a[..., 1].astype(float), b[..., 1].astype(float)) for a, (_, b) in zip(made, given, strict=True)]
    p50, p95 = np.percentile(took, (50, 95))
    times = {"p50": round(float(p50), 2), "p95": round(float(p95), 2), "cpu": round(cpu, 2)}
    return times | {"off": off, "ssim": round(min(alike), 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=sizes, default=["720p"], metavar="SIZE,..", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--frames", type=int, default=20, help=f"at most {SEEN}")
    parser.add_argument("--turns", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    found: dict[str, dict[str, Row]] = {}
    for size in args.size:
        given = list(mouths(size, min(args.frames, SEEN)))
        if not given:
            print(f"{size}: mouths of this size are not drawn by the graph")
            continue
        found[size] = {name: measured(draw, given, args.turns) for name, draw in ways().items()}
        rows = [(name, *row.values()) for name, row in found[size].items()]
        show(f"a mouth on {size}, {len(given)} of {args.frames} frames", COLUMNS, rows)
    last_line({"benchmark": "compose", "frames": args.frames, "turns": args.turns, "sizes": found})


if __name__ == "__main__":
    main()
