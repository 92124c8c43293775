"""What faces and scenes look like by rule: a smile is pleasant, raised brows and an open mouth are excited."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.landmarks import CORNERS
from realtime_dub.voice.hpm.rules import (
    BROWS,
    EMOTIONS,
    INNER_BROWS,
    LIDS,
    LOOK,
    SCALE,
    UNITS,
    action_units,
    face_features,
    look_of,
    scene_features,
)

pytestmark = pytest.mark.computes
UP = np.array([0, -1, 0], np.float32)  # y goes down


def film(**moved: np.ndarray) -> np.ndarray:
    """Faces (100, 478, 3), for the most part at rest, then with some points moved."""
    faces = np.repeat(TEMPLATE[None], 100, 0).astype(np.float32).copy()
    for name, by in moved.items():
        at = {"corners": list(CORNERS), "brows": BROWS, "lids": LIDS[:, 0], "lips": [14, 87, 317, 178, 402]}[name]
        faces[60:, at] += by
    return faces


def felt(faces: np.ndarray) -> dict[str, float]:
    """What is said of the last second, of 1."""
    row = face_features(faces, 25)[80:].mean(0) / SCALE
    return dict(zip(("valence", "arousal", *EMOTIONS, *UNITS), row.tolist(), strict=False))


def test_a_face_at_rest_feels_nothing() -> None:
    found = face_features(film(), 25)
    assert found.shape == (100, 256)
    assert not found.any()


def test_a_smile_is_pleasant_and_drooping_corners_are_not() -> None:
    smile, droop = felt(film(corners=0.1 * UP)), felt(film(corners=-0.08 * UP))
    assert smile["happy"] == pytest.approx(1, abs=0.05)
    assert smile["valence"] > 0.8
    assert abs(smile["arousal"]) < 0.3
    assert droop["15"] > 0.9
    assert droop["valence"] <= 0


def test_surprise_is_excited() -> None:
    found = felt(film(brows=0.2 * UP, lids=0.08 * UP, lips=-0.5 * UP))
    assert found["surprise"] > 0.9
    assert found["arousal"] > 0.8
    assert felt(film(lips=-0.5 * UP))["surprise"] == 0  # an open mouth alone is speech


def test_drawn_brows_and_wide_eyes_are_anger_and_drooping_corners_make_it_sadness() -> None:
    faces = film(lids=0.08 * UP)
    middle = faces[60:, list(INNER_BROWS)].mean(1, keepdims=True)
    faces[60:, list(INNER_BROWS)] += 0.2 * (middle - faces[60:, list(INNER_BROWS)])
    found = felt(faces)
    assert found["angry"] > 0.5
    assert found["arousal"] > 0.5
    faces[60:, list(CORNERS)] -= 0.08 * UP
    assert felt(faces)["valence"] < found["valence"] - 0.3


def test_speech_counts_less_than_what_lasts() -> None:
    still, moving = film(corners=0.1 * UP), film()
    moving[60::6, list(CORNERS)] += 0.1 * UP  # up for a frame, four times a second
    assert felt(moving)["happy"] < 0.3 * felt(still)["happy"]
    assert action_units(still).shape == (100, len(UNITS))


def test_a_scene_is_its_colours_and_brightness() -> None:
    dark, red = np.zeros((36, 64, 3), np.uint8), np.zeros((36, 64, 3), np.uint8)
    red[..., 2] = 200
    noise = np.random.default_rng(0).integers(0, 255, (36, 64, 3), np.uint8)
    looks = [look_of(each) for each in (dark, red, noise)]
    assert all(each.shape == (LOOK,) and (each >= 0).all() and (each <= 1).all() for each in looks)
    assert np.abs(looks[1] - looks[0]).max() > 0.5
    assert looks[2][35:37].min() > 5 * looks[0][35:37].max()  # edges
    still, moving = scene_features(np.stack([looks[0]] * 3)), scene_features(np.stack(looks))
    assert still.shape == (256,)
    assert not still[LOOK:].any()
    assert moving[LOOK : 2 * LOOK].max() > 0.1
    half = look_of(np.concatenate([red, dark], 1))
    assert half[2] > 0.7 > 0.1 > half[8]  # red on the left, none on the right
