"""The still picture and the built-in face."""

from __future__ import annotations

import struct
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import MS
from realtime_dub.sources.demo import DemoSource, motion
from realtime_dub.sources.image import ImageSource

pytestmark = pytest.mark.computes


def corner(width: int = 48, height: int = 32) -> np.ndarray:
    picture = np.full((height, width, 3), 90, np.uint8)
    picture[: height // 2, : width // 3] = (0, 0, 230)
    return picture


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that holds this tag alone."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def test_the_same_array_at_a_constant_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), corner(33, 21))
    source = ImageSource(path, Fraction(30_000, 1001))
    info = source.open()
    frames = [source.read() for _ in range(4)]
    assert (info.width, info.height, info.fps, info.live) == (33, 21, Fraction(30_000, 1001), False)
    assert all(f.image is frames[0].image for f in frames)
    np.testing.assert_array_equal(frames[0].image, corner(33, 21))
    assert [f.pts_ns for f in frames] == [0, 33_366_667, 66_733_333, 100_100_000]
    assert all(a.pts_ns + a.duration_ns == b.pts_ns for a, b in pairwise(frames))
    assert [f.seq for f in frames] == [0, 1, 2, 3]
    source.close()
    with pytest.raises(EndOfStream):
        source.read()


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_turn(tmp_path: Path, orientation: int, turn: int) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(with_orientation(cv2.imencode(".jpg", corner())[1].tobytes(), orientation))
    source = ImageSource(path)
    source.open()
    upright = np.rot90(corner(), turn)
    image = source.read().image
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 6
    assert image.flags.c_contiguous
    assert source.notes == []


@pytest.mark.parametrize("flags", [cv2.IMREAD_GRAYSCALE, cv2.IMREAD_UNCHANGED])
def test_grey_and_sixteen_bit(tmp_path: Path, flags: int) -> None:
    path = tmp_path / "a.png"
    picture = (
        np.full((10, 12), 128, np.uint8) if flags == cv2.IMREAD_GRAYSCALE else np.full((10, 12), 32_896, np.uint16)
    )
    cv2.imwrite(str(path), picture)
    source = ImageSource(path)
    source.open()
    image = source.read().image
    assert (image.shape, image.dtype) == ((10, 12, 3), np.uint8)
    assert np.all(image == 128)


@pytest.mark.parametrize(
    ("content", "says"), [(None, "no such file"), (b"", "empty"), (b"\xff\xd8 not a picture", "it is not a picture")]
)
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes | None, says: str) -> None:
    path = tmp_path / "a.jpg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=says):
        ImageSource(path).open()


def test_truncated_jpeg_is_kept_and_said(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    jpeg = cv2.imencode(".jpg", rng.integers(0, 255, (64, 64, 3), np.uint8))[1].tobytes()
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg[: len(jpeg) // 2])
    source = ImageSource(path)
    source.open()
    assert source.read().image.shape == (64, 64, 3)
    assert "cut short" in source.notes[0]


@pytest.mark.parametrize(("width", "height"), [(640, 480), (64, 64), (641, 361)])
def test_demo_sizes_and_times(width: int, height: int) -> None:
    source = DemoSource(width, height, 25)
    info = source.open()
    frames = [source.read() for _ in range(3)]
    assert (info.width, info.height, info.live) == (width, height, False)
    assert frames[0].image.shape == (height, width, 3)
    assert [f.pts_ns for f in frames] == [0, 40 * MS, 80 * MS]


def test_demo_depends_on_the_number_of_the_frame_alone() -> None:
    one, two = DemoSource(), DemoSource()
    one.open()
    two.open()
    for _ in range(20):
        np.testing.assert_array_equal(one.read().image, two.read().image)


def test_demo_moves_a_little_and_smoothly() -> None:
    places = np.array([motion(k / 25) for k in range(5000)])
    shift = places[:, :2] * 480
    assert 3 < np.ptp(shift[:, 0]) < 12
    assert np.abs(np.diff(shift, axis=0)).max() < 0.5
    assert np.abs(places[:, 2]).max() < 1
    source = DemoSource()
    source.open()
    first, second = source.read().image, source.read().image
    assert 0 < np.abs(first.astype(int) - second).mean() < 4


def test_demo_never_shows_its_edge() -> None:
    """Every corner of the picture lies within the canvas, for ten minutes of motion."""
    for width, height in ((640, 480), (1280, 720), (64, 64), (360, 640)):
        source = DemoSource(width, height)
        source.open()
        corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float).T
        for t in np.arange(0, 600, 0.2):
            inverse = cv2.invertAffineTransform(source._camera(float(t)))
            at = inverse @ corners
            assert at.min() >= 0
            assert at[0].max() <= width + 2 * source._margin - 1
            assert at[1].max() <= height + 2 * source._margin - 1


def test_demo_needs_no_plotting() -> None:
    code = (
        "import sys; from realtime_dub.sources.demo import read_portrait; read_portrait();"
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_demo_shows_one_face_of_a_webcams_size() -> None:
    from mediapipe.python.solutions.face_mesh import FaceMesh

    source = DemoSource()
    source.open()
    with FaceMesh(static_image_mode=True) as mesh:
        found = mesh.process(cv2.cvtColor(source.read().image, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    points = np.array([(p.x, p.y) for p in found[0].landmark])
    assert 0.4 < np.ptp(points[:, 1]) < 0.52
    assert abs(points[:, 0].mean() - 0.5) < 0.05
    assert points[:, 1].max() < 0.85
