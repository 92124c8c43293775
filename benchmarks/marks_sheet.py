"""What marks look like.

`python -m benchmarks.marks_sheet CLIP --sheet docs/marks.png --spectrum docs/marks-flicker.svg`

The sheet has a frame without and with the mark, and what the mark adds, eight times as strong, at 200 %. The spectrum
says how much the brightness of places of 8 by 8 pixels changes at each frequency: in the film, in the marked film, and
by the mark alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from benchmarks.charts import Line, chart
from benchmarks.marks import PAYLOAD
from benchmarks.output import last_line
from realtime_dub.media import NS, Image
from realtime_dub.trust.marks.picture import PictureMarker

FPS, SECONDS, SPOT = 25, 6, 8
SHOWN = 40  # the frame of the sheet
STRONGER = 8
PART = np.s_[20:200, 40:250]  # of a frame of 360 by 288


def read(clip: Path) -> list[Image]:
    """Six seconds: to the end and back again."""
    with av.open(str(clip)) as container:
        there = [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]
    film = [*there, *there[-2:0:-1]] * SECONDS
    return film[: FPS * SECONDS]


def marked(film: list[Image]) -> list[Image]:
    marker, out = PictureMarker(PAYLOAD), []
    for n, image in enumerate(film):
        marker.begin(n * NS // FPS, image)
        out.append(marker.image(image))
    return out


def sheet(plain: Image, changed: Image) -> Image:
    """A part of both side by side, twice as large."""
    plain, changed = plain[PART], changed[PART]
    difference = (changed.astype(np.int16) - plain) * STRONGER + 128
    whole = np.concatenate([plain, changed, np.clip(difference, 0, 255).astype(np.uint8)], 1)
    return np.asarray(cv2.resize(whole, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST), np.uint8)


def spectrum(film: Any) -> Any:
    """Root mean square over places, levels, at each frequency up to half the frame rate."""
    height, width = (side // SPOT * SPOT for side in film[0].shape[:2])
    shape = height // SPOT, SPOT, width // SPOT, SPOT
    spots = np.array([each[:height, :width, 1].astype(np.float32).reshape(shape).mean((1, 3)) for each in film])
    spots = (spots - spots.mean(0)) * np.hanning(len(spots))[:, None, None]
    parts = np.abs(np.fft.rfft(spots, axis=0)) * 4 / len(spots) / np.sqrt(2)
    return np.sqrt((parts**2).mean((1, 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Show what marks look like.")
    parser.add_argument("clip", type=Path)
    parser.add_argument("--sheet", type=Path, required=True)
    parser.add_argument("--spectrum", type=Path, required=True)
    arguments = parser.parse_args()
    film = read(arguments.clip)
    out = marked(film)
    cv2.imwrite(str(arguments.sheet), sheet(film[SHOWN], out[SHOWN]))
    alone = [b.astype(np.int16) - a for a, b in zip(film, out, strict=True)]
    told = {"the film": spectrum(film), "marked": spectrum(out), "the mark alone": spectrum(alone)}
    hertz = tuple(np.fft.rfftfreq(len(film), 1 / FPS)[1:])
    lines = [Line(name, hertz, tuple(map(float, curve[1:]))) for name, curve in told.items()]
    chart(arguments.spectrum, "Brightness over time, places of 8 x 8 pixels", "Hz", "levels", lines)
    last_line({name: float(np.sqrt((curve[1:] ** 2).sum())) for name, curve in told.items()})


if __name__ == "__main__":
    main()
