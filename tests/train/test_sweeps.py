"""Charts and knees of the sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from benchmarks.charts import Line, chart
from benchmarks.comparison import Score
from benchmarks.sweeps import draw, knee
from realtime_dub.mouth.bundle import Bundle, load_default


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
    bundle = load_default()
    assert draw(tmp_path, {"built-in": bundle}, {"built-in": scores}) == {}
    assert [path.name for path in tmp_path.iterdir()] == ["noise.svg"]
    sooner = Bundle(bundle.folder, bundle.spec.model_copy(update={"look_ahead_ms": 40}))
    assert draw(tmp_path, {"a": bundle, "b": sooner}, {"a": scores, "b": scores}) == {"knee_ms": 40}
    assert len(list(tmp_path.iterdir())) == 3
