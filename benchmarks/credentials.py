"""How long it takes to sign a film and to look at it, and what the program's start costs without either.

    python -m benchmarks.credentials [--seconds 60] [--width 1280 --height 720]

Prints a table, and JSON on the last line. Times are the processor's, all threads together, and the clock's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np

from benchmarks.output import last_line, show
from realtime_dub.media import NS, OutputFormat, Tick
from realtime_dub.publishers.muxer import MuxPublisher
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.signers import signer
from realtime_dub.trust.signing import sign_file
from realtime_dub.trust.statement import Statement

FPS = 25
NOISE = 24  # grey levels
KINDS = ("clock", "processor")


def film(path: Path, seconds: float, width: int, height: int) -> Path:
    """Noise, as many bytes as a camera's picture has, dubbed from end to end."""
    rng = np.random.default_rng(1)
    noise = [rng.integers(100, 100 + NOISE, (height, width, 3), np.uint8) for _ in range(8)]
    publisher = MuxPublisher(path, preset="ultrafast")
    publisher.open(OutputFormat(width, height, Fraction(FPS), 0, 0, True))
    for k in range(round(seconds * FPS)):
        publisher.publish(Tick(noise[k * 5 % 8], k * NS // FPS, NS // FPS, k, None, dubbed=True))
    publisher.close()
    return path


def took(work: Callable[[], object]) -> dict[str, float]:
    """Seconds."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return {"clock": time.perf_counter() - clock, "processor": time.process_time() - processor}


def start(module: str) -> dict[str, float]:
    """What importing ``module`` costs a new process."""
    return took(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    given = parser.parse_args()
    rows: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = film(Path(folder) / "film.mp4", given.seconds, given.width, given.height)
        size_mb = path.stat().st_size / 1e6
        rows["who signs, loaded"] = took(lambda: signer(SigningOptions()))
        rows["sign"] = took(lambda: sign_file(path, Statement(dubbed=((0, NS),)), signer(SigningOptions())))
        rows["look at it"] = took(lambda: inspect(path))
        beside = film(Path(folder) / "film.mkv", given.seconds, given.width, given.height)
        rows["sign, credentials beside"] = took(lambda: sign_file(beside, Statement(), signer(SigningOptions())))
        rows["copy it"] = took(lambda: Path(folder, "copy").write_bytes(path.read_bytes()))
    rows["start of the command line"] = {"clock": min(start("realtime_dub.cli")["clock"] for _ in range(5))}
    title = f"{given.seconds:g} s of {given.width}x{given.height}, {size_mb:.1f} MB"
    show(title, ("s", *KINDS), ((name, *(each.get(kind, "") for kind in KINDS)) for name, each in rows.items()))
    last_line({"mb": size_mb, **rows})


if __name__ == "__main__":
    main()
