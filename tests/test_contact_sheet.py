"""The contact sheet: evenly spread moments, drawn side by side."""

from __future__ import annotations

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.contact_sheet import BACKGROUND, GAP, ROW_HEIGHT, ContactSheet
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.types import Face, Pose

pytestmark = pytest.mark.computes

RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)


def plain(color: tuple[int, int, int], width: int = 320, height: int = 240) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def face_at(x: float, y: float, mouth_width: float) -> Face:
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = x, y
    points[61, 0] -= mouth_width / 2
    points[291, 0] += mouth_width / 2
    pose = Pose(np.eye(3, dtype=np.float32), mouth_width, np.zeros(3, np.float32))
    return Face(points, points, pose)


def test_a_row_is_source_mouths_and_result(tmp_path: Path) -> None:
    source, result = plain(RED), plain(BLUE)
    source[150:170, 140:180], result[150:170, 140:180] = GREEN, (255, 255, 255)
    sheet = ContactSheet(tmp_path / "sheet.png")
    sheet.add(source, face_at(160, 160, 40), result, 0)
    assert sheet.write()
    image = cv2.imread(str(tmp_path / "sheet.png"))
    assert image.shape == (ROW_HEIGHT + GAP, 2 * 320 + 2 * ROW_HEIGHT + 3 * GAP, 3)
    middle = ROW_HEIGHT // 2
    mouths = 320 + GAP
    assert tuple(image[100, 300]) == RED
    assert tuple(image[middle, mouths + middle]) == GREEN
    assert tuple(image[middle, mouths + ROW_HEIGHT + GAP + middle]) == (255, 255, 255)
    assert tuple(image[100, -20]) == BLUE


def test_without_a_face_the_mouths_stay_empty(tmp_path: Path) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png")
    sheet.add(plain(RED), None, plain(BLUE), 0)
    sheet.add(plain(RED), face_at(5_000, -3_000, 40), plain(BLUE), 1)
    sheet.write()
    image = cv2.imread(str(tmp_path / "sheet.png"))
    assert (image[:, 330:800] == BACKGROUND).all()


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 1_000), rows=st.integers(1, 12))
def test_moments_are_spread_evenly_in_bounded_memory(count: int, rows: int) -> None:
    sheet = ContactSheet(Path("sheet.png"), rows)
    picture = plain(RED, 4, 4)
    for k in range(count):
        sheet.add(picture, None, picture, k)
        assert len(sheet._kept) < 2 * rows or rows == 1
    kept = [row.seq for row in sheet._kept]
    assert kept[0] == 0
    assert len(kept) >= min(count, rows)
    assert len({after - before for before, after in itertools.pairwise(kept)}) <= 1
    assert count - 1 - kept[-1] < sheet._stride


@pytest.mark.parametrize("size", [(64, 64), (3840, 2160), (1, 900), (1200, 3)])
def test_pictures_of_any_size_fit(tmp_path: Path, size: tuple[int, int]) -> None:
    sheet = ContactSheet(tmp_path / "sheet.png", rows=3)
    for k in range(5):
        sheet.add(plain(RED, *size), face_at(size[0] / 2, size[1] / 2, size[0] / 6), plain(BLUE, *size), k)
    sheet.write()
    image = cv2.imread(str(tmp_path / "sheet.png"))
    assert image.shape[0] == 3 * (ROW_HEIGHT + GAP)


def test_nothing_added_writes_nothing(tmp_path: Path) -> None:
    assert not ContactSheet(tmp_path / "sheet.png").write()
    assert list(tmp_path.iterdir()) == []


def test_targets_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"sheet\.pdf"):
        ContactSheet(tmp_path / "sheet.pdf")
    with pytest.raises(MediaError, match="no folder"):
        ContactSheet(tmp_path / "none" / "sheet.png")
    with pytest.raises(MediaError, match=r"cannot write /proc/sheet\.png"):
        ContactSheet("/proc/sheet.png")
