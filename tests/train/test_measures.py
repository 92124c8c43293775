"""What nets learn to move by: from closed lips in one measure, and in step with drawn curves."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines.common.augment import mild  # noqa: E402
from engines.common.grid import Clip  # noqa: E402
from engines.common.metrics import openings  # noqa: E402
from engines.common.speakers import in_one_measure  # noqa: E402
from engines.mouthbank.curve_rows import CurveRows  # noqa: E402
from engines.mouthbank.data import make_basis  # noqa: E402
from realtime_dub.audio.frontends.logmel import LogMelSpec  # noqa: E402
from realtime_dub.errors import ConfigError  # noqa: E402
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width  # noqa: E402

LIP = np.isin(LOWER, [14, 87, 317, 178, 402, 17])
FACE = TEMPLATE / mouth_width(TEMPLATE)
RNG = np.random.default_rng(5)


def speaker(name: str, rests: float, far: float) -> list[Clip]:
    """Clips of somebody whose lips rest ``rests`` apart, meet, and open by ``far``, in mouth widths."""
    clips = []
    for index in range(2):
        opened = (far * np.clip(np.sin(np.arange(200) / 5 + index), 0, 1)).astype(np.float32)
        motion = np.zeros((200, len(LOWER), 3), np.float32)
        motion[:, LIP, 1] = opened[:, None] - rests
        neutral = FACE.copy()
        neutral[LOWER[LIP], 1] += rests
        clips.append(Clip(f"{name}{index}", np.zeros(128_000, np.float32), motion, 25.0, neutral, None, speaker=name))
    return clips


def test_everybody_moves_from_closed_lips_as_far_as_the_one_in_the_middle() -> None:
    people = {"a": (0.0, 0.2), "b": (0.12, 0.3), "c": (0.05, 0.4)}
    clips = in_one_measure([clip for name, (rests, far) in people.items() for clip in speaker(name, rests, far)])
    found = {clip.name: openings(clip.motion, FACE) for clip in clips}
    for opened in found.values():
        assert np.quantile(opened, 0.05) == pytest.approx(np.quantile(found["a0"], 0.05), abs=0.01)
        assert np.quantile(opened, 0.95) == pytest.approx(np.quantile(found["a0"], 0.95), abs=0.02)
    for clip in clips:  # shut is no motion, for those too who rest with their lips apart
        assert np.abs(clip.motion[openings(clip.motion, FACE).argmin()]).max() < 0.01


def recordings(folder: Path, names: tuple[str, ...]) -> Path:
    for index, name in enumerate(names):
        jaw = np.clip(np.sin(np.arange(300) / (4 + index)), 0, 1)
        loud = np.interp(np.arange(160_000) / 16_000, np.arange(300) / 30, jaw)
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes((3000 * loud * RNG.standard_normal(160_000)).astype("<i2").tobytes())
        np.savez(folder / f"{name}.npz", curves=jaw[:, None], names=["mouth_stretch_c"], fps=30.0)
    return folder


def rows_of(folder: Path, kept_out: tuple[str, ...] = ()) -> CurveRows:
    motion = RNG.normal(0, 0.01, (500, len(LOWER), 3)).astype(np.float32)
    motion[:, LIP, 1] += RNG.uniform(0, 0.3, (500, 1))
    return CurveRows(folder, kept_out, make_basis(motion, 3), LogMelSpec(), (4, 400), 1, mild)


def test_a_mouth_that_goes_with_the_curve_costs_nothing_however_far_it_opens(tmp_path: Path) -> None:
    rows = rows_of(recordings(tmp_path, ("one", "two")))
    mel, curves = rows.draw(np.random.default_rng(0))
    assert mel.shape == (4, 400, 80)
    assert curves.shape == (4, 200, 2)
    loud = mel.mean(2)[:, ::2].numpy()
    r = [np.corrcoef(heard, drawn)[0, 1] for heard, drawn in zip(loud, curves[..., 0].numpy(), strict=True)]
    assert np.mean(r) > 0.5  # sound and curve are of one moment
    open_by = torch.pinverse(rows._measures)[0]
    for far in (1.0, 3.0):
        with_it = far * curves[..., :1] * open_by
        late = torch.cat([torch.zeros(4, 4, 3), with_it], 1)
        assert float(rows.loss([with_it, late], [0, 4], curves)["curves"]) < 0.2
        assert float(rows.loss([late], [0], curves)["curves"]) > float(rows.loss([late], [4], curves)["curves"]) + 0.1
        assert float(rows.loss([-with_it], [0], curves)["curves"]) > 1.7
    still = torch.zeros(4, 200, 3, requires_grad=True)
    rows.loss([still], [0], curves)["curves"].backward()
    assert still.grad is not None
    assert torch.isfinite(still.grad).all()


def test_recordings_to_measure_by_are_not_learnt(tmp_path: Path) -> None:
    folder = recordings(tmp_path, ("one", "two"))
    assert len(rows_of(folder, ("two",))._rows) == 1
    with pytest.raises(ConfigError, match="no recording left in"):
        rows_of(folder, ("one", "two"))
