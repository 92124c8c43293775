"""A large mouth is drawn at a bounded size and looks as one drawn at full size; a small one is the same to the bit."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from realtime_dub.blend.composite import Compositor, paste
from realtime_dub.blend.masks import lower_face, polygon, within
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.blend.working import WorkingCopy
from realtime_dub.face.models import reduction
from realtime_dub.face.types import TrackedFrame
from realtime_dub.fitting import shrunk
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.render import WORK_PX, Renderer
from tests.faces import frame_of, jaw_drop, read, tracked_portrait
from tests.likeness import ssim, ssim_map

pytestmark = pytest.mark.computes


def bank_of(tracked: TrackedFrame) -> Bank:
    """The portrait's, and its mouth opened by half: what it draws is then a mouth of the bank."""
    bank = Bank()
    bank.observe(tracked)
    return bank


def grainy(tracked: TrackedFrame) -> TrackedFrame:
    """The same with detail down to the pixel, as a camera has."""
    noise = np.random.default_rng(0).normal(0, 4, tracked.frame.image.shape)
    image = np.clip(tracked.frame.image + noise, 0, 255).astype(np.uint8)
    return TrackedFrame(frame_of(image), tracked.face)


def drawn(tracked: TrackedFrame, bank: Bank, amount: float, work_px: float) -> tuple[Image, MouthPatch]:
    renderer = Renderer(bank)
    renderer.work_px = work_px
    patch = renderer.render(tracked, jaw_drop(amount), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0), patch


@pytest.fixture(params=[0.0, 0.12, 0.25])
def amount(request: pytest.FixtureRequest) -> float:
    return request.param


def test_a_webcams_mouth_is_the_same_to_the_bit(amount: float) -> None:
    tracked = tracked_portrait(480)
    bank = bank_of(tracked)
    bounded, whole = (drawn(tracked, bank, amount, px)[0] for px in (WORK_PX["high"], np.inf))
    assert np.array_equal(bounded, whole)


@pytest.mark.parametrize("height", [1080, 2160])
def test_a_large_mouth_looks_the_same(height: int, amount: float) -> None:
    tracked = grainy(tracked_portrait(height))
    bank = bank_of(tracked)
    (bounded, patch), (whole, _) = (drawn(tracked, bank, amount, px) for px in (WORK_PX["high"], np.inf))
    x, y, width, height = patch.box
    part = slice(y, y + height), slice(x, x + width)
    assert ssim(bounded[part], whole[part]) >= 0.98


def test_an_enrolled_mouth_looks_the_same_at_a_bounded_size() -> None:
    tracked = tracked_portrait(1080)
    bank = bank_of(tracked)
    open_image, _ = drawn(tracked, bank, 0.22, np.inf)
    bank.observe(read(open_image))
    assert len(bank.mouths) == 2
    (bounded, patch), (whole, _) = (drawn(tracked, bank, 0.2, px) for px in (WORK_PX["high"], np.inf))
    x, y, width, height = patch.box
    part = slice(y, y + height), slice(x, x + width)
    assert ssim(bounded[part], whole[part]) >= 0.98
    assert ssim_map(bounded[part], whole[part]).min() > 0.5  # nowhere something quite else


@pytest.mark.parametrize("quality", ["low", "medium", "high"])
def test_nothing_outside_the_lower_face_changes_at_any_quality(quality: str) -> None:
    tracked = tracked_portrait(1080)
    assert tracked.face is not None
    after, patch = drawn(tracked, bank_of(tracked), 0.2, WORK_PX[quality])
    outline = lower_face(tracked.face.points, tracked.face.pose.scale)
    inside = polygon(outline, (0, 0, tracked.frame.width, tracked.frame.height)) > 0
    assert np.array_equal(after[~inside], tracked.frame.image[~inside])
    assert not patch.alpha[[0, -1]].any()
    assert not patch.alpha[:, [0, -1]].any()


def test_low_quality_is_softer_and_still_the_same_mouth() -> None:
    tracked = tracked_portrait(1080)
    (soft, patch), (whole, _) = (drawn(tracked, bank_of(tracked), 0.2, px) for px in (WORK_PX["low"], np.inf))
    x, y, width, height = patch.box
    part = slice(y, y + height), slice(x, x + width)
    assert ssim(soft[part], whole[part]) > 0.95


def test_skin_keeps_its_detail_and_only_what_is_drawn_is_worked_on_small() -> None:
    image = np.random.default_rng(1).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    before, part = image.copy(), (130, 240, 60, 40)
    working = WorkingCopy.of(image, (100, 200, 120, 90), part, 2.0)
    assert working.image.shape == (20, 30, 3)
    assert np.allclose(working.points(np.array([[130, 240, 7]], np.float32)), [[-0.25, -0.25, 7]])
    nothing = np.zeros((20, 30), np.uint8)
    working.lay_back(nothing)
    assert np.array_equal(image, before)
    working.image[5:15, 5:25] = 90
    drawn_there = nothing.copy()
    drawn_there[3:17, 3:27] = 255
    working.lay_back(drawn_there)
    assert np.abs(image[52:68, 44:76].astype(int) - 90).max() < 12
    outside = np.ones(image.shape[:2], bool)
    outside[40:80, 30:90] = False
    assert np.array_equal(image[outside], before[outside])


def test_a_part_that_is_not_shrunk_is_no_copy() -> None:
    image = np.zeros((50, 50, 3), np.uint8)
    working = WorkingCopy.of(image, (0, 0, 50, 50), (10, 10, 20, 20), 1.0)
    working.image[:] = 9
    working.lay_back(np.full((20, 20), 255, np.uint8))
    assert image.sum() == 9 * 3 * 400
    assert working.box == (10, 10, 20, 20)


def test_pasting_rounds_to_the_nearest_level_at_every_alpha_and_difference() -> None:
    alpha, level = (each.astype(np.uint8) for each in np.mgrid[:256, :256])
    for below in (0, 1, 127, 254, 255):
        out = np.full((256, 256, 3), below, np.uint8)
        patch = MouthPatch(cv2.merge([level] * 3), alpha, (0, 0, 256, 256), None, 0)  # type: ignore[arg-type]
        paste(out, patch, 1.0)
        exact = below + np.rint(alpha.astype(np.float64) * (level.astype(int) - below) / 255)
        assert np.array_equal(out[..., 0], exact.astype(np.uint8))


def test_a_smaller_picture_is_smooth_and_in_place() -> None:
    ramp = np.broadcast_to(np.arange(240, dtype=np.uint8)[None, :, None], (135, 240, 3)).copy()
    small = shrunk(ramp, (80, 45))
    assert small.shape == (45, 80, 3)
    assert np.abs(small[20, 2:-2, 0] - (np.arange(80) * 3 + 1)[2:-2]).max() <= 1
    noise = np.random.default_rng(2).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    assert shrunk(noise, (50, 50)).std() < noise.std() / 4
    assert shrunk(noise, (400, 400)) is noise


def test_the_tracker_looks_at_a_copy_of_bounded_size_that_a_small_face_makes_larger() -> None:
    assert [reduction(side) for side in (320, 640, 1280, 1919, 1920, 3840)] == [1, 1, 1, 1919 / 1280, 2, 4]
    assert reduction(3840, 1060) == 4
    assert reduction(3840, 400) == 3
    assert reduction(1920, 160) == 1.5  # as large a picture as is ever looked at
    assert reduction(640, 60) == 1


def test_a_box_within_another() -> None:
    assert within((0, 0, 10, 10), (5, 6, 20, 20)) == (5, 6, 5, 4)
    assert within((0, 0, 4, 4), (5, 6, 20, 20))[2:] == (0, 0)
