"""What a bundle tells of its net's motion by most voices."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmarks.media import voice
from engines.mouthbank.usual import OPENINGS, tell, usual_motion
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import SPEC, Bundle, load, load_default, look_aheads
from realtime_dub.mouth.mouthbank.motion import opening
from realtime_dub.mouth.mouthbank.motion_nets import usual_of

VOICE = Path(__file__).parents[2] / "realtime_dub/assets/demo_voice.opus"


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return np.asarray(voice(str(VOICE)), np.float32)


def test_it_is_a_line_of_the_opening(motion: Bundle, sound: np.ndarray) -> None:
    usual = usual_motion(motion, [sound, sound[20_000:]])
    none, one = np.array(usual.line, np.float32)
    assert len(usual.openings) == OPENINGS
    assert opening(none) == pytest.approx(0, abs=1e-3)
    assert opening(one) == pytest.approx(1, abs=1e-3)
    assert 0.1 < usual.openings[-1] < 1
    chin = LOWER.tolist().index(152)
    assert 0.1 < one[chin, 1] < 1.5  # the jaw goes down with the lips


def test_it_is_written_beside_what_the_bundle_says(motion: Bundle, sound: np.ndarray, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(motion.folder, folder)
    before = json.loads((folder / SPEC).read_text())
    before.pop("usual")
    (folder / SPEC).write_text(json.dumps(before))
    assert usual_of(load(folder)) is None
    tell(folder, [sound])
    after = json.loads((folder / SPEC).read_text())
    assert usual_of(load(folder)) == usual_motion(motion, [sound])
    assert {name: value for name, value in after.items() if name != "usual"} == before
    tell(folder, [sound])
    assert json.loads((folder / SPEC).read_text()) == after


def test_every_net_that_comes_with_the_program_tells_it() -> None:
    for ms in look_aheads("mouthbank"):
        usual = usual_of(load_default("mouthbank", ms))
        assert usual is not None
        assert opening(np.array(usual.line[1], np.float32)) == pytest.approx(1, abs=1e-3)
        assert 0.15 < np.quantile(usual.openings, 0.95) < 0.4, ms
