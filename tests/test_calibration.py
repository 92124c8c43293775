"""Proofs: lips in the bank put right by how they are found once they are drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_dub.face.landmarks import LIPS
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.mouth.mouthbank.bank import Bank, Mouth
from realtime_dub.mouth.mouthbank.calibration import SHOTS, CalibrationFrames, calibrate, corrected
from realtime_dub.mouth.mouthbank.cavity import max_lip_opening
from tests.faces import tracked_portrait
from tests.test_mouthbank_drawing import drawn, read

pytestmark = pytest.mark.computes


def open_mouth() -> TrackedFrame:
    """The portrait with the mouth open."""
    closed = Bank()
    closed.observe(tracked_portrait())
    return read(drawn(closed, 0.2))


def misread(mouth: Mouth, by: float) -> Mouth:
    """``mouth`` as if its lower lip had been found higher by ``by`` mouth widths."""
    lower = np.isin(np.arange(len(LIPS)), [*range(11, 20), *range(31, 40)])
    shape, lips = mouth.shape.copy(), mouth.lips.copy()
    unit = np.ptp(lips[:20, 0]) / np.ptp(shape[:20, 0])
    shape[lower, 1] -= by
    lips[lower, 1] -= by * unit
    return replace(mouth, shape=shape, lips=lips, max_lip_opening=max_lip_opening(shape))


def test_a_misread_mouth_is_put_right_and_a_true_one_stays() -> None:
    bank, opened = Bank(), open_mouth()
    pictures = [tracked_portrait(), opened]
    for tracked in pictures:
        bank.observe(tracked)
    assert len(bank.mouths) == 2
    true = [mouth.max_lip_opening for mouth in bank.mouths]
    bank.mouths[1] = misread(bank.mouths[1], 0.08)
    wrong = bank.copy()
    tracker = MediaPipeTracker()
    try:
        calibrate(bank, pictures, tracker)
    finally:
        tracker.close()
    assert wrong.mouths[1].max_lip_opening == pytest.approx(true[1] - 0.08, abs=0.01)  # what others hold is not touched
    assert bank.mouths[1].max_lip_opening == pytest.approx(true[1], abs=0.035)
    assert bank.mouths[0].max_lip_opening == pytest.approx(true[0], abs=0.03)
    # The same as seen in the crop: its lips are where they were before they were misread.
    assert np.abs(bank.mouths[1].lips - misread(wrong.mouths[1], -0.08).lips).mean() < 3


def test_lips_move_in_the_crop_as_they_do_in_the_face() -> None:
    rng = np.random.default_rng(1)
    shape, moved = rng.normal(0, 0.3, (40, 3)).astype(np.float32), rng.normal(0, 0.02, (40, 3)).astype(np.float32)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]]) * 70

    def in_crop(lips: np.ndarray) -> np.ndarray:
        return (lips[:, :2] @ turn.T + (90, 60)).astype(np.float32)

    moved -= moved.mean(0)
    mouth = Mouth(
        np.zeros((120, 180, 3), np.uint8), in_crop(shape), shape, np.zeros(2, np.float32), 1.0, max_lip_opening(shape)
    )
    found = corrected(mouth, shape + moved)
    assert np.allclose(found.lips, in_crop(shape + moved), atol=0.01)
    assert np.allclose(found.shape[:, :2], (shape + moved)[:, :2], atol=1e-6)
    assert np.array_equal(found.shape[:, 2], shape[:, 2])
    assert found.max_lip_opening == pytest.approx(max_lip_opening(found.shape))
    elsewhere = corrected(mouth, shape + moved + np.float32(0.1))  # the mouth as a whole stays where it was
    assert np.allclose(elsewhere.lips, found.lips, atol=0.01)


def test_pictures_are_kept_of_the_longest_shots() -> None:
    pictures, tracked = CalibrationFrames(), tracked_portrait()
    lengths = {0: 30, 1: 1, 2: 40, 3: 2, 4: 1, 5: 20, 6: 1}
    for shot, length in lengths.items():
        for _ in range(length):
            pictures.show(replace(tracked, shot=shot))
    kept = [each.shot for each in pictures.chosen()]
    assert {0, 2, 5} <= set(kept)
    assert max(kept.count(shot) for shot in kept) == 6
    assert len(set(kept)) <= SHOTS + 1


@pytest.mark.parametrize(("shown", "chosen"), [(0, 0), (1, 1), (6, 6), (13, 6), (200, 6)])
def test_pictures_are_few_and_spread_over_all(shown: int, chosen: int) -> None:
    pictures, tracked = CalibrationFrames(), tracked_portrait()
    for seq in range(shown):
        pictures.show(replace(tracked, frame=replace(tracked.frame, seq=seq)))
        pictures.show(replace(tracked, face=None))
        assert len(pictures._of_shot[0]._kept) <= 12
    places = [each.frame.seq for each in pictures.chosen()]
    assert len(places) == chosen
    assert places == sorted(set(places))
    if shown > 100:
        steps = np.diff([0, *places, shown])
        assert steps.max() <= shown / 3
