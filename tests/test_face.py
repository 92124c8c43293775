"""Tracking, choice, pose and smoothing, on a real face."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, TEMPLATE, canonicalise, fit_pose, mouth_width, neutral_shape, project
from realtime_dub.face.landmarks import LIPS, STABLE, mean, mean_lip_opening
from realtime_dub.face.models import Mesh
from realtime_dub.face.smoothing import OneEuro
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import Pose
from realtime_dub.mouth.mouthbank.people import KNOWN, SAME
from tests.faces import frame_of, portrait, tracked_portrait
from tests.sitters import sitter

pytestmark = pytest.mark.computes


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    return cv2.Rodrigues(np.array([pitch, yaw, roll]))[0].astype(np.float32)


@given(st.floats(-0.6, 0.6), st.floats(-0.4, 0.4), st.floats(-0.5, 0.5), st.floats(5, 400), st.floats(-500, 2000))
def test_pose_of_a_posed_template_is_that_pose(yaw: float, pitch: float, roll: float, scale: float, x: float) -> None:
    pose = Pose(rotation(yaw, pitch, roll), scale, np.array([x, 240, 0], np.float32))
    face = canonicalise(project(TEMPLATE, pose))
    assert np.allclose(face.pose.rotation, pose.rotation, atol=2e-3)
    assert face.pose.scale == pytest.approx(scale, rel=1e-3)
    assert np.abs(face.canonical - TEMPLATE).max() < 5e-3


def test_mouth_movement_does_not_move_the_pose() -> None:
    pose = Pose(rotation(0.2, 0.1, 0), 60.0, np.array([320, 200, 0], np.float32))
    points = project(TEMPLATE, pose)
    points[LOWER] += np.array([0, 20, 5], np.float32)
    assert fit_pose(points).scale == pytest.approx(60.0, rel=1e-4)


def test_yaw_is_signed_and_in_degrees() -> None:
    left, right = (Pose(rotation(a, 0, 0), 1, np.zeros(3, np.float32)).yaw_deg for a in (-0.5, 0.5))
    assert abs(left) == pytest.approx(np.degrees(0.5), abs=0.1)
    assert left == pytest.approx(-right)


def test_neutral_ignores_the_open_frames() -> None:
    shut, wide = TEMPLATE.copy(), TEMPLATE.copy()
    wide[LIPS[30:]] += np.array([0, 0.3, 0], np.float32)
    assert np.allclose(neutral_shape(np.stack([shut] * 5 + [wide] * 5)), shut)
    assert mean_lip_opening(wide) > mean_lip_opening(shut) + 0.1
    assert mouth_width(TEMPLATE) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((40, 3), 0), ((7, 20), -1), ((3, 40, 2), 1)])
def test_a_mean_is_numpys_to_the_bit(shape: tuple[int, ...], axis: int, kind: type) -> None:
    for seed in range(50):
        values = (100 * np.random.default_rng(seed).standard_normal(shape)).astype(kind)
        own, usual = mean(values, axis), values.mean(axis)
        assert own.dtype == usual.dtype
        assert own.tobytes() == usual.tobytes()


def test_finds_the_portrait_and_reprojects_it() -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    assert abs(tracked.face.pose.yaw_deg) < 10
    back = project(tracked.face.canonical, tracked.face.pose)
    assert np.abs(back - tracked.face.points).max() < 0.01
    assert np.linalg.norm(tracked.face.canonical[STABLE] - TEMPLATE[STABLE], axis=1).mean() < 0.12


def test_no_face_is_said_and_found_again() -> None:
    tracker = MediaPipeTracker()
    try:
        blank = np.full_like(portrait(), 90)
        assert [tracker.track(frame_of(i, n)).why for n, i in enumerate((blank, portrait(), blank))] == [
            "no face",
            "",
            "no face",
        ]
    finally:
        tracker.close()


def test_mouth_outside_the_picture_is_left_alone() -> None:
    cut = portrait()[:255]  # the picture ends at the lips
    tracker = MediaPipeTracker()
    try:
        assert tracker.track(frame_of(np.ascontiguousarray(cut))).face is None
    finally:
        tracker.close()


@pytest.mark.parametrize(("choice", "side"), [("left", 0), ("right", 1), ("1", 0), ("2", 1), ("largest", 1)])
def test_choice_among_two_faces_is_sticky(choice: str, side: int) -> None:
    big = portrait()
    small = cv2.copyMakeBorder(cv2.resize(big, None, fx=0.7, fy=0.7), 0, 480 - 336, 0, 0, cv2.BORDER_REPLICATE)
    both = np.hstack([small, big])
    tracker = MediaPipeTracker(choice)
    try:
        # MediaPipe may need a frame or two until it has found both.
        seen = [tracker.track(frame_of(both, n)).face for n in range(3)]
        swapped = tracker.track(frame_of(both, 3)).face
    finally:
        tracker.close()
    assert seen[-1] is not None
    assert swapped is not None
    assert (seen[-1].points[:, 0].mean() > small.shape[1]) == bool(side)
    assert abs(swapped.points[:, 0].mean() - seen[-1].points[:, 0].mean()) < 3


def test_the_chosen_face_is_taken_again_after_a_moment_without() -> None:
    big = portrait()
    small = cv2.copyMakeBorder(cv2.resize(big, None, fx=0.7, fy=0.7), 0, 480 - 336, 0, 0, cv2.BORDER_REPLICATE)
    both, alone = np.hstack([small, big]), np.hstack([small, np.full_like(big, 90)])
    tracker = MediaPipeTracker("largest")
    try:
        # Only the small face is there at first; it stays the one when a larger one joins, and after a dark frame.
        pictures = [alone, alone, np.zeros_like(both), both, both, both]
        faces = [tracker.track(frame_of(picture, n)).face for n, picture in enumerate(pictures)]
    finally:
        tracker.close()
    assert faces[2] is None
    assert faces[-1] is not None
    assert faces[-1].points[:, 0].mean() < small.shape[1]


def test_a_large_picture_gives_the_same_face() -> None:
    face, small = tracked_portrait(1920).face, tracked_portrait(480).face
    assert face is not None
    assert small is not None
    assert np.abs(face.points / 4 - small.points)[LIPS].mean() < 1.5


def test_unknown_choice_is_one_line() -> None:
    with pytest.raises(ConfigError, match="cannot choose face 'middle'; use largest"):
        MediaPipeTracker("middle")


def test_one_euro_is_steady_at_rest_and_quick_in_motion() -> None:
    smooth, noise = OneEuro(8.0, 12.0), np.random.default_rng(0)
    still = [smooth(noise.normal(0, 0.001, (10, 3)).astype(np.float32), n * 40_000_000) for n in range(100)]
    assert np.std(still[20:]) < 0.75 * 0.001
    ramp = [smooth(np.full((10, 3), 1.0 * n / 25, np.float32), (100 + n) * 40_000_000) for n in range(50)]
    lag_s = (49 / 25 - ramp[-1].mean()) / 1.0
    assert lag_s < 0.015


def shots_of(images: list[np.ndarray], scene_from: int = 99) -> list[int]:
    tracker = MediaPipeTracker()
    try:
        frames = [replace(frame_of(image, k), scene=int(k >= scene_from)) for k, image in enumerate(images)]
        return [tracker.track(frame).shot for frame in frames]
    finally:
        tracker.close()


def test_a_shot_ends_with_a_cut_a_change_of_format_or_a_lost_face() -> None:
    first, second, nobody = sitter("first"), sitter("second"), np.full_like(sitter("first"), 90)
    assert shots_of([first] * 3 + [second] * 3) == [0, 0, 0, 1, 1, 1]
    assert shots_of([first] * 4, scene_from=2) == [0, 0, 1, 1]
    found = shots_of([first] * 2 + [nobody] * 3 + [first] * 2)
    assert found[1] == 0
    assert found[-1] == 1
    moved = np.roll(np.hstack([first, nobody]), 300, axis=1)
    assert shots_of([np.hstack([first, nobody])] * 2 + [moved] * 2)[-1] > 0


def test_a_shot_goes_on_while_the_person_moves_and_a_lamp_is_dimmed() -> None:
    image = sitter("first")
    moving = [np.roll(image, k, axis=1) for k in range(8)]
    dimmed = [(image * (1 - 0.05 * k)).astype(np.uint8) for k in range(8)]
    assert set(shots_of(moving + moving[::-1] + dimmed + dimmed[::-1])) == {0}


def test_a_face_is_near_to_itself_at_any_size_and_far_from_anothers() -> None:
    tracker = MediaPipeTracker(smooth=False)
    faces = [
        tracker.track(frame_of(image)).face for image in (portrait(480), portrait(240), sitter("second", height=480))
    ]
    tracker.close()
    one, smaller, other = (face.descriptor for face in faces if face is not None and face.descriptor is not None)
    assert np.linalg.norm(one - smaller) < KNOWN
    assert np.linalg.norm(one - other) > SAME


def moved(pixels: int) -> np.ndarray:
    """The portrait, so far to the right."""
    return np.roll(portrait(), pixels, axis=1)


def test_the_mesh_finds_a_face_alike_whether_others_are_searched_for_or_not() -> None:
    searching, following = Mesh(4), Mesh(4)
    try:
        for seq, image in enumerate(moved(3 * seq) for seq in range(6)):
            both = searching.find(image), following.find(image, searches=seq == 0)
            assert [len(each) for each in both] == [1, 1]
            assert np.array_equal(both[0][0], both[1][0])
    finally:
        searching.close()
        following.close()


def test_the_mesh_finds_nobody_new_where_it_does_not_search() -> None:
    mesh = Mesh(4)
    try:
        assert mesh.find(portrait(), searches=False) == []
        assert len(mesh.find(portrait())) == 1
    finally:
        mesh.close()


def test_faces_are_searched_for_only_where_the_one_that_is_followed_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[bool] = []
    find = Mesh.find

    def noticed(self: Mesh, *args: object, searches: bool = True) -> list[np.ndarray]:
        searched.append(searches)
        return find(self, *args, searches=searches)  # type: ignore[arg-type]

    monkeypatch.setattr(Mesh, "find", noticed)
    tracker = MediaPipeTracker(choice="left")
    try:
        for seq, image in enumerate([portrait(), moved(2), moved(4), moved(300), moved(302)]):
            assert tracker.track(frame_of(image, seq)).face is not None
            if seq == 2:
                assert searched[-2:] == [False, False]
                searched.clear()
        assert True in searched  # it is somewhere else than it was
        assert searched[-1] is False  # and is followed there
    finally:
        tracker.close()
