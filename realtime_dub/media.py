"""Frames and blocks of sound as they travel through the pipeline, and the one place where time is converted.

Time is integer nanoseconds throughout. Live, it is the pipeline's clock at the moment of capture; in a file it is media
time from the file's start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

NS = 1_000_000_000
MS = 1_000_000

Image: TypeAlias = npt.NDArray[np.uint8]  # (height, width, 3) BGR, full range
Plane: TypeAlias = npt.NDArray[np.uint8]  # (height, width)
Box: TypeAlias = tuple[int, int, int, int]  # x, y, width, height, pixels
Part: TypeAlias = tuple[slice, slice]  # rows, columns
Colour: TypeAlias = tuple[int, int, int]  # BGR
Samples: TypeAlias = npt.NDArray[np.float32]  # (n, channels), -1..1
Floats: TypeAlias = npt.NDArray[np.float32]
Blendshapes: TypeAlias = Mapping[str, float]  # 0..1 for each name of BLENDSHAPES

BLACK: Colour = (0, 0, 0)
SMALL = 720 * 576  # pixels of a frame, up to which a film's mouths cost more than its decoding and encoding
ALL: Part = slice(None), slice(None)
# ARKit's blendshapes of mouth and jaw, in ARKit's order.
BLENDSHAPES = (
    *("jawForward", "jawLeft", "jawRight", "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker"),
    *("mouthLeft", "mouthRight", "mouthSmileLeft", "mouthSmileRight", "mouthFrownLeft", "mouthFrownRight"),
    *("mouthDimpleLeft", "mouthDimpleRight", "mouthStretchLeft", "mouthStretchRight"),
    *("mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper"),
    *("mouthPressLeft", "mouthPressRight", "mouthLowerDownLeft", "mouthLowerDownRight"),
    *("mouthUpperUpLeft", "mouthUpperUpRight"),
)


def rescale(value: int, numerator: int, denominator: int) -> int:
    """``value * numerator / denominator`` rounded half up, exact for integers of any size and sign."""
    return (2 * value * numerator + denominator) // (2 * denominator)


def ticks_to_ns(ticks: int, time_base: Fraction) -> int:
    """A count in ``time_base`` seconds (a pts, a sample number) as nanoseconds."""
    return rescale(ticks, NS * time_base.numerator, time_base.denominator)


def ns_to_ticks(ns: int, time_base: Fraction) -> int:
    """Nanoseconds as the nearest count of ``time_base`` seconds."""
    return rescale(ns, time_base.denominator, NS * time_base.numerator)


def samples_to_ns(samples: int, rate: int) -> int:
    """How long ``samples`` samples last at ``rate`` per second."""
    return rescale(samples, NS, rate)


def ns_to_samples(ns: int, rate: int) -> int:
    """The number of samples nearest to ``ns``."""
    return rescale(ns, rate, NS)


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """A picture of even width and height as it was coded, in YUV 4:2:0 of 8 bits. Nobody writes into it."""

    planes: tuple[Plane, Plane, Plane]  # luma (height, width), chroma (height / 2, width / 2)
    hd: bool  # the matrix: BT.709, else BT.601
    full_range: bool  # 0..255, else 16..235


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture. ``image`` belongs to the frame: whoever receives it never writes into it."""

    image: Image
    pts_ns: int  # moment of capture
    seq: int  # counts up by one per frame of its source
    duration_ns: int = 0  # how long it is shown, 0 where unknown
    stale: bool = False  # the source lost its device and repeats its last picture
    still: bool = False  # a photograph: its mouth never moves, and silence has no live one to hand back
    # Counts up where the picture came to have another size or shape, as at a cut: what was measured on the pictures
    # before holds no more. A number and no mark, because frames that nobody was in time for are left out.
    scene: int = 0
    coded: Coded | None = None  # the same picture, where it came so and was not changed since

    @property
    def width(self) -> int:
        return int(self.image.shape[1])

    @property
    def height(self) -> int:
        return int(self.image.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class AudioBlock:
    """Consecutive samples. ``pts_ns`` is the moment of capture of the first."""

    samples: Samples
    rate: int
    pts_ns: int
    gap: bool = False  # silence put in for sound that was lost

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def duration_ns(self) -> int:
        return samples_to_ns(len(self.samples), self.rate)

    @property
    def end_ns(self) -> int:
        return self.pts_ns + self.duration_ns


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What a video source gives once it is open."""

    width: int
    height: int
    fps: Fraction  # nominal; a file's frames carry their own pts
    live: bool  # stamped by the clock as it comes, against pulled as fast as wanted
    name: str
    frames: int | None = None  # where known, for a progress bar
    duration_ns: int | None = None
    full_range: bool = False  # the coded picture uses 0..255, kept when a file is written
    hd: bool | None = None  # the matrix to be kept: BT.709 or BT.601; None = as is usual for the size
    rotation: int = 0  # degrees that the source turned its pictures by, already applied


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """What a voice source gives once it is open."""

    rate: int
    channels: int
    live: bool
    name: str
    block_ns: int  # longest time between a sample's capture and its arrival, part of the latency budget
    ends_run: bool = False  # nobody waits for more: a live run ends when it has been heard to its end


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """What every publisher is told before the first tick."""

    width: int
    height: int
    fps: Fraction
    rate: int  # of the sound; 0 = there is none
    channels: int
    live: bool
    full_range: bool = False
    hd: bool | None = None  # see VideoInfo
    badge: str | None = None  # the corner in which dubbed frames have one; None: they have none


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """One instant of the output: a picture and the sound that belongs to it, published together.

    ``pts_ns`` counts from the first tick's 0. ``audio`` covers [pts_ns, pts_ns + duration_ns) and is None when the
    voice has no sound. ``audio.pts_ns`` is on the same time line as ``pts_ns``. ``blendshapes`` are the mouth's, None
    where the engine gave none for this instant. Where a publisher reads no more (``publishers.base.ReadsParts``), of
    ``image`` no more may be set.
    """

    image: Image
    pts_ns: int
    duration_ns: int
    seq: int
    audio: AudioBlock | None
    blendshapes: Blendshapes | None = None
    coded: Coded | None = None  # what the picture was made of: the same but for
    changed: tuple[Box, ...] = ()  # what was drawn there
    dubbed: bool = False  # the picture is not the camera's or the film's own
