"""The scheme of 68 landmarks out of the face mesh, and the lower face out of 20 of them."""

from __future__ import annotations

import numpy as np
import pytest
from faces import tracked_portrait

from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.landmarks import LIPS_INNER, LIPS_OUTER, OPENING
from realtime_dub.face.scheme68 import (
    AROUND,
    BROWS,
    EYES,
    INNER,
    JAW,
    LINES,
    LOWER_OF_UPPER,
    MOUTH,
    NOSE,
    OUTER,
    SCHEME68,
    UPPER,
    openness,
    scheme68,
)
from realtime_dub.face.sparse_lips import LIPS_AT, lower_face

pytestmark = pytest.mark.computes

# What each point becomes in a mirror, as the scheme's own pictures show it.
MIRRORED = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
]


def test_there_are_68_and_no_point_twice() -> None:
    assert len(set(SCHEME68.tolist())) == len(SCHEME68) == 68
    assert (len(AROUND), len(MOUTH)) == (48, 20)
    assert [len(part) for part in (JAW, BROWS, NOSE, EYES, OUTER, INNER)] == [17, 10, 9, 12, 12, 8]


def test_the_table_is_its_own_mirror() -> None:
    points = scheme68(TEMPLATE)[:, :2]
    assert np.allclose(points[MIRRORED] * [-1, 1], points, atol=1e-3)


def test_each_point_lies_where_the_scheme_has_it() -> None:
    """On a photograph: rows run from left to right, the chin is lowest, the eyes are under the brows."""
    face = tracked_portrait().face
    assert face is not None
    x, y = scheme68(face.canonical)[:, :2].T
    assert (np.diff(x[:17]) > 0)[2:14].all()
    assert y[:17].argmax() == 8
    assert (np.diff(x[17:27]) > 0).all()
    assert y[17:27].max() < y[36:48].min()
    assert (np.diff(y[27:31]) > 0).all()
    assert (np.diff(x[31:36]) > 0).all()
    assert x[36] < x[39] < x[42] < x[45]
    assert x[48] < x[60] < x[64] < x[54]
    assert y[50:53].max() < y[61:64].min() < y[65:68].max() < y[56:59].max()


def test_the_mouth_is_the_lips_that_the_mesh_has() -> None:
    assert [int(each) for each in OUTER] == [each for each in LIPS_OUTER.tolist() if each in OUTER]
    assert [int(each) for each in INNER] == [each for each in LIPS_INNER.tolist() if each in INNER]
    pairs = [tuple(MOUTH[[upper, lower]]) for upper, lower in zip(UPPER, LOWER_OF_UPPER, strict=True)]
    assert {tuple(each) for each in OPENING.tolist()} & set(pairs) == {(81, 178), (13, 14), (311, 402)}


def test_every_line_is_drawn_through_points_that_there_are() -> None:
    assert sorted({at for row, _ in LINES for at in row}) == list(range(68))


def test_openness_grows_as_the_lower_lip_goes_down() -> None:
    mouth = scheme68(TEMPLATE)[48:]
    wide = mouth.copy()
    wide[LOWER_OF_UPPER, 1] += 0.25
    assert openness(wide) == pytest.approx(float(openness(mouth)) + 0.25, abs=0.02)


def test_lips_go_where_they_were_said_to_and_the_chin_goes_along() -> None:
    lips = np.zeros((3, 20, 2), np.float32)
    lips[1, LOWER_OF_UPPER, 1] = 0.2
    moved = lower_face(lips)
    assert moved.shape == (3, len(LOWER), 3)
    assert not moved[0].any()
    assert np.array_equal(moved[:, LIPS_AT, :2], lips)
    chin = moved[1, int(np.searchsorted(LOWER, 152)), 1]
    assert 0.03 < chin < 0.3
    assert np.allclose(lower_face(2 * lips), 2 * moved, atol=1e-5)
