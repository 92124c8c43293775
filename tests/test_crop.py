"""Crops of a face for networks that paint them, and the way back."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from faces import portrait

from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.crops import patch_of
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.crop import Alignment, crop_of
from realtime_dub.face.landmarks import CORNERS
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Frame

pytestmark = pytest.mark.computes

ALIGNMENTS: tuple[Alignment, ...] = ("box", "template", "pose")


@pytest.fixture(scope="module")
def person() -> TrackedFrame:
    tracker = MediaPipeTracker()
    found = tracker.track(Frame(portrait(), 0, 0))
    tracker.close()
    assert found.face is not None
    return found


def turned(tracked: TrackedFrame, degrees: float, scale: float) -> TrackedFrame:
    """The same person, head and picture turned and scaled."""
    assert tracked.face is not None
    height, width = tracked.frame.image.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    image = np.asarray(cv2.warpAffine(tracked.frame.image, matrix, (width, height)), np.uint8)
    points = tracked.face.points.copy()
    points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    points[:, 2] *= scale
    return replace(tracked, frame=Frame(image, 0, 0), face=canonicalise(points.astype(np.float32)))


@pytest.mark.parametrize("alignment", ALIGNMENTS)
@pytest.mark.parametrize("size", [96, 256])
def test_a_crop_that_is_laid_back_changes_next_to_nothing(
    person: TrackedFrame, alignment: Alignment, size: int
) -> None:
    assert person.face is not None
    crop = crop_of(person.face, size, alignment)
    patch = patch_of(person, crop, crop.take(person.frame.image), 0)
    assert patch is not None
    out = Compositor().compose(person, patch, 1.0).astype(int)
    difference = np.abs(out - person.frame.image)
    assert patch.alpha.max() == 255
    x, y, width, height = patch.box
    lost = difference[y : y + height, x : x + width].mean()  # levels, by making it smaller
    assert lost < (2 if size > 200 else 4)
    outside = np.ones(difference.shape[:2], bool)
    outside[y : y + height, x : x + width] = patch.alpha == 0
    assert not difference[outside].any()


@pytest.mark.parametrize("soft", [0.03, 0.08, 0.16])
@pytest.mark.parametrize("scale", [0.15, 0.5, 1.0])
def test_the_soft_edge_ends_inside_a_box_that_is_no_larger_than_it_needs(
    person: TrackedFrame, soft: float, scale: float
) -> None:
    small = turned(person, 0, scale)
    assert small.face is not None
    crop = crop_of(small.face, 96)
    patch = patch_of(small, crop, crop.take(small.frame.image), 0, soft)
    assert patch is not None
    rows, columns = (np.flatnonzero(patch.alpha.any(axis)) for axis in (1, 0))
    around = rows[0], patch.box[3] - 1 - rows[-1], columns[0], patch.box[2] - 1 - columns[-1]
    assert min(around) >= 2  # nothing is cut off: the outermost ring is emptied in any case
    assert max(around) <= 2 * soft * small.face.pose.scale + 6


@pytest.mark.parametrize("alignment", ["template", "pose"])
def test_an_aligned_crop_stands_upright_however_the_head_is_turned(person: TrackedFrame, alignment: Alignment) -> None:
    """Mouth and eyes lie in the same places, and the pictures look alike."""
    straight, tilted = person, turned(person, 25, 0.8)
    assert straight.face is not None
    assert tilted.face is not None
    crops = [crop_of(each.face, 128, alignment) for each in (straight, tilted)]
    images = [crop.take(each.frame.image).astype(int) for crop, each in zip(crops, (straight, tilted), strict=True)]
    for crop, each in zip(crops, (straight, tilted), strict=True):
        corners = each.face.points[list(CORNERS), :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
        assert abs(corners[0, 1] - corners[1, 1]) < 3
    assert np.abs(images[0] - images[1])[16:-16, 16:-16].mean() < 6


def test_a_crop_by_the_pose_says_nothing_of_the_mouth(person: TrackedFrame) -> None:
    """Whatever mouth and chin do, it stays where it is; by the template it does not."""
    assert person.face is not None
    points = person.face.points.copy()
    points[[*CORNERS, 17, 152], 1] += 8
    other = canonicalise(points)
    still, moved = (
        np.abs(crop_of(person.face, 96, alignment).matrix - crop_of(other, 96, alignment).matrix).max()
        for alignment in ("pose", "template")
    )
    assert still < 1e-6 < 0.1 < moved


def test_a_box_crop_holds_the_face_and_its_margins(person: TrackedFrame) -> None:
    assert person.face is not None
    crop = crop_of(person.face, 101, "box", (0.1, 0.2, 0.0, 0.3))
    points = person.face.points[:468, :2] @ crop.matrix[:, :2].T + crop.matrix[:, 2]
    low, high = points.min(0) / 100, points.max(0) / 100
    assert low == pytest.approx([0, 0.1 / 1.3], abs=0.01)
    assert high == pytest.approx([1 / 1.3, 1.1 / 1.3], abs=0.01)


def test_a_face_at_the_border_or_without_one(person: TrackedFrame) -> None:
    assert person.face is not None
    away = person.face.points + np.array([-5000, 0, 0], np.float32)
    gone = replace(person, face=canonicalise(away))
    assert gone.face is not None
    crop = crop_of(gone.face, 96)
    assert crop.take(person.frame.image).shape == (96, 96, 3)
    assert patch_of(gone, crop, crop.take(person.frame.image), 0) is None
    assert patch_of(replace(person, face=None), crop, crop.take(person.frame.image), 0) is None
