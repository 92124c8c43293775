"""Joins short clips of one person into one recording: ``python -m engines.avatar.join FOLDER -o me.mp4 --minutes 5``.

Black frames are cut, with their sound. Clips that a data set holds out (every 20th by sorted name) are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from engines.common import Array
from engines.common.grid import split
from engines.common.prepare.clip import RATE, read_sound
from engines.common.rates import STEADY_FPS
from realtime_dub.clock import VirtualClock
from realtime_dub.media import NS, Image
from realtime_dub.sources.base import read_all
from realtime_dub.sources.registry import open_video

DARK = 16.0  # levels: a frame below is a gap
EACH = RATE // STEADY_FPS  # samples of a frame


def chosen(folder: Path, seconds: float, each_s: float = 3.0) -> list[Path]:
    """Clips of training, evenly out of all, in the order of their names."""
    paths = {path.stem: path for path in sorted(folder.glob("*.mp4"))}
    names = split(list(paths))["train"]
    count = min(len(names), max(1, round(seconds / each_s)))
    return [paths[names[index]] for index in np.linspace(0, len(names) - 1, count).astype(int)]


def lit(path: Path) -> Iterator[tuple[Image, Array]]:
    """The frames of a clip that are not black, each with its sound (EACH,)."""
    sound = np.concatenate([read_sound(path), np.zeros(RATE, np.float32)])
    video = open_video(str(path), clock=VirtualClock(), live=False)
    video.open()
    try:
        for frame in read_all(video.read):
            start = round(frame.pts_ns * RATE / NS)
            part = sound[start : start + EACH]
            if frame.image.mean() >= DARK and len(part) == EACH:
                yield frame.image, part
    finally:
        video.close()


def join(paths: Sequence[Path], out: Path, crf: int = 12) -> int:
    """Write them one after another at 25 frames a second; how many frames there are."""
    heard: list[Array] = []
    with av.open(str(out), "w") as container:
        video = container.add_stream("libx264", rate=STEADY_FPS, options={"crf": str(crf), "preset": "veryfast"})
        audio = container.add_stream("pcm_s16le" if out.suffix == ".mkv" else "aac", rate=RATE, layout="mono")
        for path in paths:
            for image, part in lit(path):
                if not heard:
                    video.height, video.width = image.shape[:2]
                    video.pix_fmt = "yuv420p"
                heard.append(part)
                container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(video.encode(None))
        _mux_sound(container, audio, np.concatenate(heard))
    return len(heard)


def _mux_sound(container: av.container.OutputContainer, stream: av.AudioStream, sound: Array) -> None:
    pcm = stream.codec_context.name.startswith("pcm")
    samples = np.round(np.clip(sound, -1, 1) * 32767).astype(np.int16) if pcm else sound.astype(np.float32)
    block = av.AudioFrame.from_ndarray(samples[None], format="s16" if pcm else "fltp", layout="mono")
    block.rate, block.time_base, block.pts = RATE, Fraction(1, RATE), 0
    container.mux([*stream.encode(block), *stream.encode(None)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    given = parser.parse_args(arguments)
    frames = join(chosen(given.folder, 60 * given.minutes), given.out)
    print(f"{frames} frames, {frames / STEADY_FPS:.0f} s, in {given.out}")


if __name__ == "__main__":
    main()
