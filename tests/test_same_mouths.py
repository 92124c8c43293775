"""The comparison of two films' mouths, on films whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.moving_face import film
from benchmarks.same_mouths import alike, mouths

pytestmark = pytest.mark.computes


def test_a_film_has_its_own_mouths_and_another_moment_has_others(tmp_path: Path) -> None:
    one = film(tmp_path / "one.mp4", 320, 240, 10, seconds=0.4)
    pairs = list(mouths(one, one))
    assert len(pairs) == 4
    assert all(alike(pair) == pytest.approx(1) for pair in pairs)
    assert all(alike((mouth, np.roll(mouth, 3, 1))) < 0.9 for mouth, _ in pairs)
