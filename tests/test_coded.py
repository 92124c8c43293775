"""A picture that came in YUV 4:2:0 leaves in it: only what was drawn is converted, and every colour is kept."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from realtime_dub.blend.composite import Compositor, Reads, box_on
from realtime_dub.blend.patch import MouthPatch, WholeFrame
from realtime_dub.face.types import Face, Pose, TrackedFrame
from realtime_dub.media import ALL, Coded, Frame, Image, OutputFormat, Tick
from realtime_dub.pipeline.coded import taken_over
from realtime_dub.pipeline.marking import Marks
from realtime_dub.publishers.encoding import VideoEncoder, _rows
from realtime_dub.publishers.muxer import MuxPublisher
from realtime_dub.sources.video_file import VideoFileSource
from realtime_dub.trust.marks.payload import Payload
from tests.media_files import grid, output_format, picture, publish, ticks

pytestmark = pytest.mark.computes

SIZES = [(160, 120), (1280, 720)]  # BT.601, BT.709


def film(path: Path, size: tuple[int, int], full_range: bool = False) -> Path:
    fmt = output_format(*size, full_range=full_range, rate=0)
    publish(MuxPublisher(path, crf=0), fmt, ticks(fmt, grid(3, Fraction(25)), pictures=soft))
    return path


def soft(fmt: OutputFormat, k: int) -> Image:
    """Colours without edges, far from what YUV cannot hold."""
    y, x = np.mgrid[0 : fmt.height, 0 : fmt.width] / 40
    waves = [100 + 30 * np.sin(x + k), 110 + 30 * np.cos(y + 1), 120 + 30 * np.sin(x + y)]
    return np.stack(waves, axis=-1).astype(np.uint8)


def first_frame(path: Path) -> Frame:
    source = VideoFileSource(path)
    source.open()
    try:
        return source.read()
    finally:
        source.close()


def planes(given: Tick, size: tuple[int, int], full_range: bool = False) -> list[np.ndarray]:
    """What the encoder is given for a tick."""
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        encoder = VideoEncoder(container, output_format(*size, full_range=full_range), {})
        container.start_encoding()
        return [_rows(plane).astype(int) for plane in encoder._frame_of(given).planes]


def tick(frame: Frame, **changes: object) -> Tick:
    return replace(Tick(frame.image, 0, 40_000_000, 0, None, coded=frame.coded), **changes)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("full_range", [False, True])
def test_a_picture_that_was_not_changed_leaves_as_it_came(
    tmp_path: Path, size: tuple[int, int], full_range: bool
) -> None:
    frame = first_frame(film(tmp_path / "film.mp4", size, full_range))
    assert frame.coded is not None
    assert (frame.coded.hd, frame.coded.full_range) == (size[0] >= 1280, full_range)
    kept, made = (planes(each, size, full_range) for each in (tick(frame), tick(frame, coded=None)))
    for there, source, converted in zip(kept, frame.coded.planes, made, strict=True):
        assert np.array_equal(there, source)
        assert np.abs(there - converted).max() <= 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("box", [(40, 30, 60, 50), (41, 31, 33, 27), (0, 0, 21, 17), (101, 83, 59, 37)])
def test_only_what_was_drawn_is_converted_exact_to_a_level(
    tmp_path: Path, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    frame = first_frame(film(tmp_path / "film.mp4", size))
    assert frame.coded is not None
    x, y, width, height = box
    image = frame.image.copy()
    image[y : y + height, x : x + width] = np.random.default_rng(0).integers(0, 256, (height, width, 3))
    kept, made = (
        planes(each, size) for each in (tick(frame, image=image, changed=(box,)), tick(frame, image=image, coded=None))
    )
    for there, source, converted, step in zip(kept, frame.coded.planes, made, (1, 2, 2), strict=True):
        inside = np.zeros(there.shape, bool)
        inside[y // step : -(-(y + height) // step), x // step : -(-(x + width) // step)] = True
        assert np.abs(there - converted)[inside].max() <= 1
        outside = ~np.pad(inside, 1)[:-2, :-2] & ~np.pad(inside, 1)[2:, 2:] & ~inside
        assert np.array_equal(there[outside], source[outside])


@pytest.mark.parametrize("other", [{"hd": True}, {"full_range": True}, {"planes": 0}])
def test_what_is_coded_otherwise_is_converted(tmp_path: Path, other: dict[str, object]) -> None:
    frame = first_frame(film(tmp_path / "film.mp4", (160, 120)))
    assert frame.coded is not None
    if "planes" in other:
        other = {"planes": tuple(plane[: plane.shape[0] // 2] for plane in frame.coded.planes)}
    kept, made = (planes(tick(frame, coded=coded), (160, 120)) for coded in (replace(frame.coded, **other), None))
    assert all(np.array_equal(a, b) for a, b in zip(kept, made, strict=True))


def test_a_picture_that_is_seen_otherwise_than_it_is_coded_has_none(tmp_path: Path) -> None:
    odd = output_format(161, 120, rate=0)
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 25, width=160, height=120, options={"crf": "0"})
        stream.pix_fmt = "yuv444p"
        for k in range(3):
            shot = av.VideoFrame.from_ndarray(picture(replace(odd, width=160), k), "bgr24")
            container.mux(stream.encode(shot.reformat(format="yuv444p")))
        container.mux(stream.encode(None))
    assert first_frame(path).coded is None


def tracked(coded: Coded | None) -> TrackedFrame:
    pose = Pose(np.eye(3, dtype=np.float32), 20.0, np.array([80, 60, 0], np.float32))
    points = np.zeros((478, 3), np.float32)
    return TrackedFrame(Frame(np.zeros((120, 160, 3), np.uint8), 0, 0, coded=coded), Face(points, points, pose))


def test_what_an_encoder_may_take_over() -> None:
    coded = Coded(tuple(np.zeros((2, 2), np.uint8) for _ in range(3)), False, False)  # type: ignore[arg-type]
    seen = tracked(coded)
    assert seen.face is not None
    alpha = np.full((20, 30), 255, np.uint8)
    patch = MouthPatch(np.full((20, 30, 3), 9, np.uint8), alpha, (50, 40, 30, 20), seen.face.pose, 0)
    drawn = Compositor().compose(seen, patch, 1.0)
    assert taken_over(seen, seen.frame.image, None, coded) == (coded, ())
    assert taken_over(seen, drawn, patch, coded) == (coded, ((50, 40, 30, 20),))
    assert taken_over(seen, drawn, WholeFrame(drawn, 0), coded) == (None, ())
    assert taken_over(seen, drawn, None, coded) == (None, ())
    assert taken_over(seen, drawn, patch, None) == (None, ())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("also", [None, (0, 0, 30, 14), (90, 70, 30, 20)])
def test_of_an_image_no_more_is_set_than_an_encoder_reads(
    tmp_path: Path, size: tuple[int, int], also: tuple[int, int, int, int] | None
) -> None:
    """A mouth, and a badge far from it and in it, marked: the encoder is given the same as of a whole image."""
    frame = first_frame(film(tmp_path / "film.mp4", size))
    assert frame.coded is not None
    points = np.zeros((478, 3), np.float32)
    pose = Pose(np.eye(3, dtype=np.float32), 20.0, np.array([80, 60, 0], np.float32))
    seen = TrackedFrame(frame, Face(points, points, pose))
    box = (81, 61, 33, 27)
    patch = MouthPatch(np.full((27, 33, 3), 9, np.uint8), np.full((27, 33), 255, np.uint8), box, pose, 0)
    with av.open(io.BytesIO(), "w", format="mp4") as container:
        beside = VideoEncoder(container, output_format(*size, rate=0), {}).reads_beside(frame.coded)
    assert beside is not None
    reads, given = Reads(beside, also), []
    for some in (None, reads):
        marks = Marks(Payload(7))
        marks.frame(replace(frame), frame.image.copy(), patch)  # what all of an image is needed for
        image = Compositor().compose(seen, patch, 1.0, some)
        if some is not None:
            far = np.ones(image.shape[:2], bool)
            for part in some.parts(box):
                far[part] = False
            assert far.any()
            image[far] = np.random.default_rng(0).integers(0, 256, (int(far.sum()), 3), np.uint8)
        image, coded = marks.frame(frame, image, patch, (ALL,) if some is None else some.parts(box))
        if also is not None:
            image[also[1] : also[1] + also[3], also[0] : also[0] + also[2]] //= 2
        changed = (box,) if also is None else (box, also)
        given.append(planes(Tick(image, 0, 40_000_000, 0, None, coded=coded, changed=changed), size))
    assert all(np.array_equal(whole, part) for whole, part in zip(*given, strict=True))


def test_parts_that_are_read_have_no_pixel_twice() -> None:
    for also in [(0, 0, 30, 14), (90, 70, 30, 20), (60, 50, 15, 9), (118, 40, 20, 90)]:
        times = np.zeros((160, 200), int)
        for part in Reads(10, also).parts((81, 61, 33, 27)):
            times[part] += 1
        assert times.max() == 1
        for x, y, width, height in ((81, 61, 33, 27), also):
            assert times[y : y + height, x : x + width].all()


def test_a_patch_that_is_carried_over_changes_no_more_than_its_box() -> None:
    seen = tracked(None)
    assert seen.face is not None
    before = replace(seen.face.pose, scale=22.0, shift=np.array([72, 66, 0], np.float32))
    patch = MouthPatch(np.full((20, 30, 3), 9, np.uint8), np.full((20, 30), 255, np.uint8), (50, 40, 30, 20), before, 0)
    x, y, width, height = box_on(seen, patch)
    drawn = Compositor().compose(seen, patch, 1.0)
    assert drawn.any()
    drawn[y : y + height, x : x + width] = 0
    assert not drawn.any()


AT_THE_EDGE = """
import ctypes, io, mmap, sys
import av, numpy as np
from realtime_dub.media import Tick
from realtime_dub.publishers.encoding import VideoEncoder
from tests.media_files import output_format

height, width = int(sys.argv[1]), int(sys.argv[2])
size, page = height * width * 3, mmap.PAGESIZE
there = -(-size // page) * page
memory = np.frombuffer(mmap.mmap(-1, there + page), np.uint8)
protect = ctypes.CDLL(None).mprotect
protect.argtypes = ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
assert protect(memory.ctypes.data + there, page, 0) == 0
image = memory[there - size : there].reshape(height, width, 3)
with av.open(io.BytesIO(), "w", format="mp4") as container:
    encoder = VideoEncoder(container, output_format(width, height), {})
    container.start_encoding()
    encoder._frame_of(Tick(image, 0, 40_000_000, 0, None))
"""


@pytest.mark.parametrize(("height", "width"), [(240, 426), (96, 96), (50, 94), (481, 641)])
def test_nothing_is_read_behind_a_picture_where_memory_ends(height: int, width: int) -> None:
    """swscale reads beyond pictures whose width is no multiple of 16: bytes that are somebody else's, or nobody's."""
    command = [sys.executable, "-c", AT_THE_EDGE, str(height), str(width)]
    assert subprocess.run(command, cwd=Path(__file__).parents[1], check=False).returncode == 0
