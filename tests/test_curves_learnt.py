"""What lessons are worth against drawn curves: of a voice that tells more than the net makes of it, and of another."""

from __future__ import annotations

import numpy as np
import pytest

from engines.common.grid import Clip
from engines.mouthbank.curves import Recording
from engines.mouthbank.curves_learnt import agreement
from engines.mouthbank.evaluate import Result
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width

pytestmark = pytest.mark.computes

FPS, FRAMES, FEATURES = 30.0, 1800, 8
JAW = "opening: jaw"


def heard(tells: bool) -> tuple[Recording, Result]:
    """A jaw of which the net makes one part, and its features tell the other, or nothing."""
    rng = np.random.default_rng(1)
    features = rng.normal(0, 1, (FRAMES, FEATURES)).astype(np.float32)
    motion = np.zeros((FRAMES, len(LOWER), 3), np.float32)
    motion[:, np.searchsorted(LOWER, 14), 1] = 0.1 * features[:, 0] * mouth_width(TEMPLATE)
    other = features[:, 1] if tells else rng.normal(0, 1, FRAMES)
    curve = (0.3 + 0.05 * features[:, 0] + 0.1 * other).astype(np.float32)
    clip = Clip("one", np.zeros(16, np.float32), motion, FPS, TEMPLATE, None)
    result = Result(clip, motion, np.ones(FRAMES, np.float32), motion, features)
    return Recording("one", clip.audio, FPS, {JAW: curve}, FRAMES), result


@pytest.mark.parametrize("tells", [True, False])
def test_what_a_voice_tells_beside_the_net_is_learnt(tells: bool) -> None:
    recording, result = heard(tells)
    ((alone, with_lessons),) = agreement([recording], [result], JAW, 20.0)
    assert 0.2 < alone < 0.6
    if tells:
        assert with_lessons > 0.85
    else:
        assert with_lessons == pytest.approx(alone, abs=0.05)


def test_a_recording_of_which_nothing_is_left_to_measure_is_left_out() -> None:
    recording, result = heard(tells=True)
    assert agreement([recording], [result], JAW, FRAMES / FPS) == []
