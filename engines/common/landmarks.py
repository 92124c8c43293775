"""Landmarks and sound of a folder of talking clips, kept as one ``.npz`` per clip.

``python -m engines.common.landmarks --data FOLDER --cache DIR [--workers N]``; what DIR has already is not made again.
A file holds ``lm`` (T, 478, 3) float32 pixels, NaN where no face was found, ``pts`` (T,) float64 seconds, ``audio``
(n,) float32 mono and ``rate``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from engines.common import Array

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg")


def clips_in(folder: Path) -> list[Path]:
    """The video files directly in ``folder``, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)


def extract(clip: Path, out: Path) -> None:
    """Write the landmarks and sound of one clip. The file appears whole or not at all."""
    landmarks, pts = _read_landmarks(clip)
    audio, rate = _read_sound(clip)
    partial = out.with_suffix(".part.npz")
    np.savez(partial, lm=landmarks, pts=pts, audio=audio, rate=rate)
    os.replace(partial, out)


def _read_landmarks(clip: Path) -> tuple[Array, Array]:
    import av

    from realtime_dub.face.models import Mesh

    rows, pts, mesh = [], [], Mesh(1)
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            found = mesh.find(np.asarray(frame.to_ndarray(format="bgr24"), np.uint8))
            rows.append(found[0] if found else np.full((478, 3), np.nan, np.float32))
            pts.append(frame.time)
    mesh.close()
    return np.array(rows, np.float32).reshape(-1, 478, 3), np.array(pts)


def _read_sound(clip: Path) -> tuple[Array, int]:
    import av

    with av.open(str(clip)) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32), 16_000
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=rate)
        blocks = [out for frame in container.decode(audio=0) for out in resampler.resample(frame)]
        blocks += resampler.resample(None)
        sound = np.concatenate([np.zeros(0, np.float32), *(block.to_ndarray()[0] for block in blocks)])
    return sound.astype(np.float32), rate


def extract_all(data: Path, cache: Path, workers: int = 1) -> int:
    """Extract every clip of ``data`` that ``cache`` lacks; returns how many were made."""
    cache.mkdir(parents=True, exist_ok=True)
    missing = [clip for clip in clips_in(data) if not (cache / f"{clip.stem}.npz").exists()]
    outs = [cache / f"{clip.stem}.npz" for clip in missing]
    if not missing:
        return 0
    # Spawned, not forked: a copy of a process that has MediaPipe's threads hangs or dies.
    with ProcessPoolExecutor(max(1, workers), mp_context=multiprocessing.get_context("spawn")) as pool:
        for done, _ in enumerate(pool.map(extract, missing, outs), 1):
            if done % 50 == 0 or done == len(missing):
                print(f"landmarks: {done}/{len(missing)} clips", flush=True)
    return len(missing)


def main() -> None:
    parser = argparse.ArgumentParser(description="Extract face landmarks and sound of a folder of clips.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    extract_all(arguments.data, arguments.cache, arguments.workers)


if __name__ == "__main__":
    main()
