"""Faces painted for the quality benchmark: hard ones, alike every time, and only where hair grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.hard_faces import FACES, painted, write_lossless
from benchmarks.media import frames
from realtime_dub.blend.masks import dilated, lower_face, polygon
from realtime_dub.face.landmarks import LIPS_INNER, NOSE_BASE
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes


@pytest.mark.parametrize("name", ["moustache", "beard", "plain-lips"])
def test_paint_stays_on_the_lower_face_and_is_alike_every_time(name: str) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    before = tracked.frame.image
    first, second = painted([before], name)[0], painted([before], name)[0]
    assert np.array_equal(first, second)
    unit = tracked.face.pose.scale
    outline = dilated(lower_face(tracked.face.points, unit), 0.3 * unit)
    inside = polygon(outline, (0, 0, before.shape[1], before.shape[0])) > 0
    assert np.array_equal(first[~inside], before[~inside])
    assert (first[inside] != before[inside]).any(-1).sum() > 100


def test_a_moustache_is_dark_and_hangs_under_the_nose() -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    x, y = (0.35 * tracked.face.points[NOSE_BASE] + 0.65 * tracked.face.points[LIPS_INNER[5]])[:2].astype(int)
    spot = (slice(y - 2, y + 3), slice(x - 12, x + 13))
    after = painted([tracked.frame.image], "moustache")[0]
    assert after[spot].mean() < 0.6 * tracked.frame.image[spot].mean()


def test_a_small_picture_is_half_as_large_and_a_dark_one_is_dark() -> None:
    image = tracked_portrait().frame.image
    small, dark = (painted([image], name)[0] for name in ("small", "dark"))
    assert small.shape[0] == image.shape[0] // 4 * 2
    assert dark.mean() < 0.4 * image.mean()
    assert set(FACES) >= {"moustache", "beard", "plain-lips", "small", "dark", "hard"}


def test_painted_clips_read_back_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(3)]
    path = write_lossless(images, tmp_path / "painted.mkv")
    read = [frame.image for frame in frames(str(path))]
    assert len(read) == 3
    assert all(np.array_equal(a, b) for a, b in zip(read, images, strict=True))
