"""Warps, masks, pyramid and composite."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.blend import colour, pyramid
from realtime_dub.blend.composite import Compositor, pose_change, repose
from realtime_dub.blend.masks import around, bounding_box, dilated, feather, lower_face, polygon
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.warp import ThinPlate, identity_map, moved_map, sample, sample_shown
from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.types import Face, Pose, TrackedFrame
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes


def noise_image(height: int = 60, width: int = 80, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_thin_plate_goes_through_its_landmarks() -> None:
    random = np.random.default_rng(1)
    target = random.uniform(0, 100, (30, 2))
    source = target + random.normal(0, 2, (30, 2))
    plate = ThinPlate(target, source, unit=40, stiffness=1e-9)
    assert np.abs(target + plate(target) - source).max() < 1e-3


def test_coarse_field_is_as_good_as_the_dense_one() -> None:
    face = tracked_portrait().face
    assert face is not None
    target = face.points[LIPS, :2].astype(np.float64)
    source = target + np.random.default_rng(2).normal(0, 1.0, (1, 2)) + np.sin(target / 9)
    box = bounding_box(target, 20, 512, 480)
    plate = ThinPlate(target, source, face.pose.scale)
    where = identity_map(box).reshape(-1, 2).astype(np.float64)
    dense = plate(where).reshape(box[3], box[2], 2)
    error = np.abs(plate.field(box, face.pose.scale / 14) - dense)[4:-4, 4:-4]
    assert np.percentile(error, 99) < 0.15


def test_a_warp_by_nothing_changes_no_bit() -> None:
    image = noise_image()
    assert np.array_equal(sample(image, identity_map((5, 7, 40, 30))), image[7:37, 5:45])


@pytest.mark.parametrize("fine", [True, False])
@pytest.mark.parametrize("height", [9, 61, 200])  # rows of which bands are made
def test_what_is_shown_is_sampled_as_the_whole_would_be_and_the_rest_stays(height: int, fine: bool) -> None:
    rng = np.random.default_rng(0)
    image, box = rng.integers(0, 256, (240, 160, 3)).astype(np.uint8), (20, 10, 90, height)
    where = moved_map(box, rng.uniform(-3, 3, (height, 90, 2)).astype(np.float32))
    outline = np.array([[40.0, 12], [90, 14], [70, 10 + height / 2], [66, 6 + height]])
    shown = polygon(outline, box)
    found, whole = sample_shown(image, box, where, shown, fine), sample(image, where, fine)
    assert shown.any()
    assert np.array_equal(found[shown > 0], whole[shown > 0])
    assert np.array_equal(found[:, 75:], image[10 : 10 + height, 95:110])
    nothing = np.zeros_like(shown)
    assert np.array_equal(sample_shown(image, box, where, nothing, fine), image[10 : 10 + height, 20:110])


def test_pyramid_blend_keeps_what_the_mask_says() -> None:
    a, b = noise_image(seed=1), noise_image(seed=2)
    ones, zeros = np.full(a.shape[:2], 255, np.uint8), np.zeros(a.shape[:2], np.uint8)
    assert np.abs(pyramid.blend(a, b, ones).astype(int) - b).max() <= 1
    assert np.array_equal(pyramid.blend(a, b, zeros), a)
    assert pyramid.blend(a[:5, :5], b[:5, :5], ones[:5, :5]).shape == (5, 5, 3)


def test_colour_shift_is_found_and_bounded() -> None:
    a = np.full((20, 20, 3), 100, np.uint8)
    b = colour.add(a, np.array([10, -7, 3], np.float32))
    shift = colour.rim_shift(b, a, np.ones((20, 20), bool))
    assert shift.tolist() == [10, -7, 3]
    assert np.array_equal(colour.add(a, shift), b)
    assert colour.rim_shift(a, a * 0, np.ones((20, 20), bool)).tolist() == [colour.MAX_SHIFT] * 3
    assert colour.rim_shift(a, b, np.zeros((20, 20), bool)).tolist() == [0, 0, 0]
    for count in (1, 2, 7, 40):
        rim = np.arange(400).reshape(20, 20) < count
        noise = np.random.default_rng(count).integers(100, 130, (2, 20, 20, 3)).astype(np.uint8)
        usual = np.median(noise[0][rim].astype(np.float64) - noise[1][rim], axis=0)
        assert colour.rim_shift(noise[0], noise[1], rim).tolist() == usual.tolist()


def test_a_part_of_a_box_is_around_points_and_never_beyond_the_box() -> None:
    points = np.array([[30.0, 40], [50, 44]])
    assert around(points, 3, (0, 0, 100, 100)) == (27, 37, 27, 11)
    assert around(points, 3, (35, 0, 10, 42)) == (35, 37, 10, 5)
    assert min(around(points, 3, (60, 0, 10, 42))[2:]) == 0


def test_dilated_outline_grows_by_the_distance() -> None:
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    ring = np.stack([50 + 20 * np.cos(angle), 50 + 20 * np.sin(angle)], 1)
    for outline in (ring, ring[::-1]):
        assert np.allclose(np.linalg.norm(dilated(outline, 5) - 50, axis=1), 25, atol=0.1)
    area = (polygon(ring, (0, 0, 100, 100)) > 127).sum()
    assert area == pytest.approx(np.pi * 20.5**2, rel=0.02)  # OpenCV fills the edge itself too: half a pixel more


def test_lower_face_holds_the_mouth_and_not_the_eyes() -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    box = (0, 0, tracked.frame.width, tracked.frame.height)
    mask = polygon(lower_face(tracked.face.points, tracked.face.pose.scale), box)
    for index, inside in ((13, True), (152, True), (33, False), (263, False), (1, False), (10, False)):
        x, y = tracked.face.points[index, :2].astype(int)
        assert bool(mask[y, x]) is inside, index


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.9, 3.9])
def test_soft_edges_are_gaussian_to_a_level(sigma: float) -> None:
    mask = cv2.ellipse(np.zeros((60, 90), np.uint8), (40, 28), (22, 14), 20, 0, 360, (255,), -1)
    exact = cv2.GaussianBlur(mask.astype(np.float64), (0, 0), max(0.3, sigma), borderType=cv2.BORDER_CONSTANT)
    assert np.abs(feather(mask, sigma) - exact).max() < 1  # the kernel ends at three sigmas, one for bytes
    assert np.array_equal(feather(mask * 0, sigma), mask * 0)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=40))
def test_the_middle_colour_is_numpys(pixels: list[tuple[int, int, int]]) -> None:
    values = np.array(pixels, np.uint8)
    assert np.array_equal(colour.median(values), np.median(values, axis=0))


def posed_patch(tracked: TrackedFrame, size: int = 60) -> MouthPatch:
    assert tracked.face is not None
    x, y = tracked.face.points[LIPS, :2].mean(0).astype(int) - size // 2
    alpha = feather(
        polygon(
            np.array(
                [[x + 9, y + 9], [x + size - 9, y + 9], [x + size - 9, y + size - 9], [x + 9, y + size - 9]], np.float64
            ),
            (x, y, size, size),
        ),
        2,
    )
    alpha[[0, -1]] = 0
    alpha[:, [0, -1]] = 0
    image = np.full((size, size, 3), (0, 255, 0), np.uint8)
    return MouthPatch(image, alpha, (int(x), int(y), size, size), tracked.face.pose, 0)


def test_composite_touches_only_where_alpha_is() -> None:
    tracked = tracked_portrait()
    patch = posed_patch(tracked)
    before = tracked.frame.image.copy()
    out = Compositor().compose(tracked, patch, 1.0)
    full = np.zeros(before.shape[:2], np.uint8)
    x, y, w, h = patch.box
    full[y : y + h, x : x + w] = patch.alpha
    assert np.array_equal(out[full == 0], before[full == 0])
    assert (out[full == 255] == (0, 255, 0)).all()
    assert np.array_equal(tracked.frame.image, before)


def test_composite_without_face_or_weight_is_the_frame_itself() -> None:
    tracked = tracked_portrait()
    patch = posed_patch(tracked)
    assert Compositor().compose(TrackedFrame(tracked.frame, None), patch, 1.0) is tracked.frame.image
    assert Compositor().compose(tracked, patch, 0.0) is tracked.frame.image


def test_half_weight_is_half_way() -> None:
    tracked = tracked_portrait()
    patch = posed_patch(tracked)
    x, y, w, h = patch.box
    full, half, none = (
        Compositor().compose(tracked, patch, weight)[y : y + h, x : x + w].astype(int) for weight in (1.0, 0.5, 0.0)
    )
    assert np.abs(half - (full + none) / 2).max() <= 1


@settings(max_examples=25)
@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0.8, 1.25))
def test_reposed_patch_follows_the_head(dx: float, dy: float, zoom: float) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    pose = tracked.face.pose
    moved = Pose(pose.rotation, pose.scale * zoom, (pose.shift * zoom + np.array([dx, dy, 0])).astype(np.float32))
    patch = posed_patch(tracked)
    result = repose(patch, moved, 4000, 4000)
    assert result is not None
    matrix = pose_change(pose, moved)
    assert np.allclose(matrix[:, :2], np.eye(2) * zoom, atol=1e-3)
    centre = np.array(patch.box[:2]) + np.array(patch.box[2:]) / 2
    there = np.array(result.box[:2]) + np.array(result.box[2:]) / 2
    assert np.abs(matrix[:, :2] @ centre + matrix[:, 2] - there).max() < 1.5
    assert (result.image[result.alpha > 200] == (0, 255, 0)).all()


def test_patch_that_left_the_frame_is_dropped() -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    pose = tracked.face.pose
    far = Pose(pose.rotation, pose.scale, pose.shift + np.array([5000, 0, 0], np.float32))
    face = Face(tracked.face.points, tracked.face.canonical, far)
    moved = TrackedFrame(tracked.frame, face)
    assert Compositor().compose(moved, posed_patch(tracked), 1.0) is tracked.frame.image
