"""Faces that are small in the picture: an inset on slides, somebody at the far end of a room."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import pytest

from realtime_dub.face.areas import area_of
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.search import EVERY_NS, TILES_A_FRAME, FaceSearch, apart, close_up, tiles
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Image
from tests.faces import frame_of, portrait, tracked_portrait

pytestmark = pytest.mark.computes

Place = tuple[float, float, float]  # x, y of the face's middle and its height, in heights of the picture


def slide(*places: Place, width: int = 1920, height: int = 1080) -> Image:
    """Lines of text, and the portrait in each of these places."""
    image = np.full((height, width, 3), 245, np.uint8)
    for line in range(8):
        at = (width // 24, height * (line + 1) // 9)
        cv2.putText(image, "What was said, and by whom", at, cv2.FONT_HERSHEY_SIMPLEX, height / 700, (40, 40, 40), 2)
    for place in places:
        put(image, *place)
    return image


def put(image: Image, x: float, y: float, tall: float) -> None:
    """Paste the portrait so that its face is ``tall`` heights of the picture high."""
    face, height = tracked_portrait(960).face, image.shape[0]
    assert face is not None
    area = area_of(face.points)
    scale = tall * height / area.height
    small = cv2.resize(portrait(960), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    left, top = (round(to * height - scale * at) for to, at in zip((x, y), area.middle, strict=True))
    low, high = (max(0, -top), max(0, -left)), (height - top, image.shape[1] - left)
    part = small[low[0] : high[0], low[1] : high[1]]
    image[top + low[0] :, left + low[1] :][: part.shape[0], : part.shape[1]] = part


def tracked(pictures: Iterable[Image], choice: str = "largest", at_once: bool = True) -> Iterator[TrackedFrame]:
    tracker = MediaPipeTracker(choice, at_once=at_once)
    try:
        for seq, picture in enumerate(pictures):
            yield tracker.track(frame_of(picture, seq))
    finally:
        tracker.close()


def middle(seen: TrackedFrame) -> tuple[float, float]:
    """Where the face is, in heights of the picture."""
    assert seen.face is not None, seen.why
    x, y = area_of(seen.face.points).middle
    return x / seen.frame.height, y / seen.frame.height


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720)])
@pytest.mark.parametrize("tall", [0.05, 0.1, 0.15, 0.2])
def test_an_inset_on_a_slide_is_found_at_once_and_its_lips_are_where_they_are(
    size: tuple[int, int], tall: float
) -> None:
    width, height = size
    large = tracked_portrait(960).face
    assert large is not None
    picture = slide((1.6, 0.85, tall), width=width, height=height)
    seen = list(tracked([picture] * 3))
    assert all(each.face is not None for each in seen)
    face = seen[-1].face
    assert face is not None
    area = area_of(large.points)
    expected = (large.points[LIPS, :2] - area.middle) * (tall * height / area.height) + (1.6 * height, 0.85 * height)
    off = np.linalg.norm(face.points[LIPS, :2] - expected, axis=1).mean() / face.pose.scale
    assert off < 0.05 + 0.7 / face.pose.scale  # the picture was put there to the pixel


def test_live_a_search_takes_little_of_each_picture_and_is_done_within_a_second() -> None:
    picture = slide((1.6, 0.85, 0.08))
    seen = list(tracked([picture] * 12, at_once=False))
    assert seen[-1].face is not None
    search = FaceSearch(at_once=False)
    looked: list[int] = []
    inside = search._in
    search._in = lambda tile, image: looked.append(len(looked)) or inside(tile, image)  # type: ignore[method-assign]
    found = []
    for number in range(25):
        before = len(looked)
        found.append(search.search(picture, number * EVERY_NS // 25))
        assert len(looked) - before <= TILES_A_FRAME
    search.close()
    assert len(looked) == len(tiles(1920, 1080)) <= 16
    assert found[0] is None
    assert found[-1]


@pytest.mark.parametrize(("choice", "x"), [("left", 0.3), ("2", 0.9), ("right", 1.5), ("largest", 0.9)])
@pytest.mark.parametrize("at_once", [True, False])
def test_choice_among_small_faces(choice: str, x: float, at_once: bool) -> None:
    picture = slide((0.3, 0.8, 0.09), (0.9, 0.3, 0.12), (1.5, 0.7, 0.1))
    seen = list(tracked([picture] * (3 if at_once else 18), choice, at_once))
    assert middle(seen[-1]) == pytest.approx(middle(seen[-2]), abs=0.01)
    assert middle(seen[-1])[0] == pytest.approx(x, abs=0.03)


def test_a_small_face_can_be_chosen_beside_a_large_one() -> None:
    picture = slide((0.5, 0.5, 0.4), (1.6, 0.8, 0.1))
    for choice, x in (("largest", 0.5), ("right", 1.6), ("2", 1.6), ("1", 0.5)):
        *_, last = tracked([picture] * 3, choice)
        assert middle(last)[0] == pytest.approx(x, abs=0.05)


def test_a_face_that_walks_away_and_comes_back_is_followed() -> None:
    talls = np.concatenate([np.geomspace(0.45, 0.08, 35), np.geomspace(0.08, 0.5, 35)])
    xs = 0.9 + 0.3 * np.sin(np.arange(70) / 14)
    pictures = (slide((x, 0.5, tall), width=960, height=540) for x, tall in zip(xs, talls, strict=True))
    seen = list(tracked(pictures))
    assert sum(each.face is None for each in seen) <= 2
    off = [abs(middle(each)[0] - x) / tall for each, x, tall in zip(seen, xs, talls, strict=True) if each.face]
    assert max(off) < 0.15


def test_a_small_face_gives_way_to_somebody_before_the_camera_and_to_no_other_small_one() -> None:
    alone, other = slide((1.6, 0.8, 0.1)), slide((1.6, 0.8, 0.1), (0.4, 0.3, 0.14))
    near = slide((1.6, 0.8, 0.1), (0.6, 0.5, 0.5))
    seen = list(tracked([alone] * 3 + [other] * 28 + [near] * 27))
    assert middle(seen[30])[0] == pytest.approx(1.6, abs=0.03)
    assert middle(seen[-1])[0] == pytest.approx(0.6, abs=0.05)


def test_lines_of_text_are_no_faces() -> None:
    assert all(each.face is None for each in tracked([slide(width=1280, height=720)] * 2))


def test_tiles_cover_the_picture_and_a_small_picture_has_none() -> None:
    covered = np.zeros((720, 1280), np.uint8)
    for tile in tiles(1280, 720):
        tile.of(covered)[:] = 1
    assert covered.all()
    assert not tiles(320, 180)


def test_a_close_up_stays_inside_and_follows_what_moves() -> None:
    image = np.zeros((720, 1280, 3), np.uint8)
    face = area_of(np.array([[[1200.0, 20, 0]], [[1260.0, 90, 0]]], np.float32).reshape(2, 3))
    near = close_up(face, image)
    assert near.of(image).shape[:2] == (near.height, near.width)
    assert close_up(face, image, near) == near
    assert apart([face, near]) == [near] or apart([face, near]) == [near, face]
