"""What is only declared is refused before it is allocated, and what is larger than wanted is made smaller early."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import hostile_files
import numpy as np
import pytest
from heif_files import heic
from PIL import Image as Pil
from test_video_kinds import corners

from realtime_dub.sources.stills import read_still

pytestmark = pytest.mark.computes

MEASURE = """
import resource, sys
import cv2, av, PIL.Image
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import MediaError
from realtime_dub.sources.registry import open_video
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_video(sys.argv[1], clock=VirtualClock(), live=False).open()
except MediaError as error:
    print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
ENOUGH = 64


@pytest.mark.skipif(sys.platform == "win32", reason="no getrusage")
def test_a_moving_picture_too_large_is_refused_before_ffmpeg_decodes_it(tmp_path: Path) -> None:
    path = tmp_path / "moves.png"
    path.write_bytes(hostile_files.moving_png(12_000, 8_000))
    asked = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=True)
    said, grown_mb = asked.stdout.splitlines()
    assert "more than 67 million pixels" in said
    assert int(grown_mb) < 100  # 290 where it is decoded


def packed(picture: Pil.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def photograph() -> Pil.Image:
    return Pil.fromarray(np.ascontiguousarray(corners(960, 640)[..., ::-1]))


def turned(way: int) -> Pil.Exif:
    exif = Pil.Exif()
    exif[274] = way
    return exif


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (packed(photograph(), "JPEG", quality=95), (96, 64)),
        (packed(photograph(), "JPEG", quality=95, exif=turned(6)), (64, 96)),
        (packed(photograph(), "PNG"), (96, 64)),
        (packed(photograph().quantize(16), "PNG"), (96, 64)),
        (packed(photograph().convert("1", dither=Pil.Dither.NONE), "TIFF"), (96, 64)),
        (packed(photograph().convert("RGBA"), "WEBP", lossless=True), (96, 64)),
    ],
)
def test_a_large_picture_is_made_smaller_while_it_is_read(data: bytes, shape: tuple[int, int]) -> None:
    whole, _ = read_still(data, "it")
    image, _ = read_still(data, "it", enough=ENOUGH)
    assert image.shape[0] / image.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.04)
    assert image.shape[0] / image.shape[1] == pytest.approx(whole.shape[0] / whole.shape[1], rel=0.04)
    assert ENOUGH <= max(image.shape[:2]) < max(whole.shape[:2]) // 4
    for y in (0.1, 0.9):
        for x in (0.1, 0.9):  # each corner has its colour, where it was
            there = [each[int(y * each.shape[0]), int(x * each.shape[1])].astype(int) for each in (whole, image)]
            assert np.abs(there[0] - there[1]).max() < 12


def test_the_tiles_of_a_telephone_are_made_smaller_before_they_are_put_together() -> None:
    whole = corners(480, 720)
    tiles = [whole[y : y + 240, x : x + 240] for y in (0, 240) for x in (0, 240, 480)]
    data = heic([np.ascontiguousarray(each) for each in tiles], grid=(2, 3), size=(720, 480), turns=((b"irot", 1),))
    image, _ = read_still(data, "it", enough=150)
    assert image.shape == (180, 120, 3)
    small = np.rot90(whole)[2::4, 2::4]
    assert np.abs(image.astype(int) - small).mean() < 6


def test_a_small_picture_stays_as_it_is() -> None:
    data = packed(photograph(), "PNG")
    assert np.array_equal(read_still(data, "it")[0], read_still(data, "it", enough=2_000)[0])


@pytest.mark.parametrize("make", [hostile_files.jpeg, hostile_files.png])
def test_of_a_few_bytes_that_say_they_are_large_little_is_made(make, tmp_path: Path) -> None:
    image, _ = read_still(make(8_000, 6_000), "it", enough=1_280)
    assert 1_280 <= image.shape[1] < 2_560
    assert image.shape[1] * 3 // 4 == pytest.approx(image.shape[0], abs=2)
