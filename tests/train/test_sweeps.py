"""Charts and knees of the sweeps."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.charts import Line, chart
from benchmarks.comparison import ANOTHER, CONDITIONS, Score, compared, exchanged, read, rows, write
from benchmarks.comparison import draw as draw_comparison
from benchmarks.sweeps import draw, knee
from engines.common.grid import Clip
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.inference.bundle import Bundle, load_default


def test_the_knee_is_the_least_that_is_nearly_best() -> None:
    assert knee((0, 40, 80, 160), (0.6, 0.8, 0.875, 0.88)) == 80
    assert knee((0, 40), (0.9, 0.8)) == 0


def test_charts_are_the_same_every_time(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        chart(tmp_path / name, "title", "x", "y", [Line("one", (0, 1), (0.5, 0.7)), Line("two", (0, 1), (0.4, 0.3))])
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "title" in (tmp_path / "a.svg").read_text()


def test_one_look_ahead_is_no_curve(tmp_path: Path) -> None:
    scores = {at: Score(0.9, 0.5) for at in ("clean", "20 dB", "10 dB", "5 dB", "0 dB")}
    bundle = load_default("mouthbank")
    assert draw(tmp_path, {"built-in": bundle}, {"built-in": scores}) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["noise.svg"]
    sooner = Bundle(bundle.folder, bundle.spec.model_copy(update={"look_ahead_ms": 40}), True, b"")
    assert draw(tmp_path, {"a": bundle, "b": sooner}, {"a": scores, "b": scores}) == {"knee_ms": 40}
    assert len(list(tmp_path.iterdir())) == 3


def short_clip(name: str) -> Clip:
    """Half a second of noise and of a mouth that opens and shuts."""
    rng = np.random.default_rng(0)
    motion = np.zeros((12, len(LOWER), 3), np.float32)
    motion[:, :, 1] = 0.1 * np.sin(np.arange(12))[:, None] + rng.normal(0, 0.01, (12, len(LOWER)))
    return Clip(name, (0.1 * rng.standard_normal(8000)).astype(np.float32), motion, 25.0, TEMPLATE, None)


def test_a_net_measured_anew_takes_its_place_beside_those_kept(tmp_path: Path) -> None:
    path, clips = tmp_path / "figures.json", [short_clip("one")]
    old = {name: Score(0.1, 2.0) for name in CONDITIONS}
    write(path, clips, {"gone": old, "shipped": old})
    kept = compared(path, {"shipped": load_default("mouthbank")}, clips)
    assert list(kept) == ["gone", "shipped"]
    assert kept["gone"] == old
    assert kept["shipped"] != old
    assert {name: each.r for name, each in read(path, clips)["shipped"].items()} == {
        name: pytest.approx(each.r, abs=1e-4) for name, each in kept["shipped"].items()
    }
    assert [row[:2] for row in rows(kept)] == [(n, f) for n in ("gone", "shipped") for f in ("r", "distance")]
    draw_comparison(tmp_path, kept)
    assert "gone" in (tmp_path / "baselines.svg").read_text()


def test_another_voice_is_told_of_nets_measured_now(tmp_path: Path) -> None:
    clips = [short_clip("one"), replace(short_clip("two"), audio=np.zeros(8000, np.float32))]
    assert [clip.audio.any() for clip in exchanged(clips)] == [False, True]
    assert [clip.motion is other.motion for clip, other in zip(clips, exchanged(clips), strict=True)] == [True, True]
    assert exchanged(clips[:1]) == []
    kept = {"old": {name: Score(0.1, 2.0) for name in CONDITIONS}, "new": {}}
    kept["new"] = kept["old"] | {ANOTHER: Score(0.3, 1.5)}
    write(tmp_path / "figures.json", clips, kept)
    found = rows(read(tmp_path / "figures.json", clips))
    assert [math.isnan(row[-1]) for row in found[:2]] == [True, True]
    assert [row[-1] for row in found[2:]] == [0.3, 1.5]


def test_figures_of_other_clips_are_not_put_beside(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    write(path, [short_clip("one")], {})
    with pytest.raises(ConfigError, match="other clips"):
        read(path, [short_clip("two")])
    assert json.loads(path.read_text())["clips"] == ["one"]


def test_each_condition_changes_the_sound_its_own_way() -> None:
    clip, rng = short_clip("one"), np.random.default_rng(0)
    changed = {name: change(clip, rng) for name, change in CONDITIONS.items()}
    assert changed["clean"] is clip
    error = {name: np.std(each.audio - clip.audio) for name, each in changed.items() if name.endswith("dB")}
    assert error["0 dB"] == pytest.approx(np.std(clip.audio), rel=0.01)
    assert error["20 dB"] == pytest.approx(0.1 * error["0 dB"], rel=0.01)
    heard = np.abs(np.fft.rfft(changed["telephone"].audio))  # 2 Hz a bin
    assert heard[:120].max() < 1e-3 * heard[200:1600].mean()
    assert heard[1730:].max() < 1e-3 * heard[200:1600].mean()
    assert changed["tract +15 %"].fps == pytest.approx(1.15 * clip.fps)
