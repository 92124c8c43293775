"""benchmarks/quality.py from videos to figures, on talkers written here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from talkers import write_talker

from benchmarks import quality, scores
from benchmarks.rendered_sweep import Point, noises, over_look_ahead, over_noise

pytestmark = pytest.mark.computes


@pytest.mark.slow
def test_every_noise_is_measured_and_told_by_gender_and_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for index, name in enumerate(("a_1.mp4", "b_1.mp4")):
        write_talker(clips / name, 1.2, seed=index)
    (clips / "people.tsv").write_text("speaker\tgender\tlanguage\na\twoman\tEnglish\nb\tman\tEnglish\n")
    given = ["--data", str(clips), "--noise-db", "clean,0", "--look-ahead", "80", "--rows", "dubbed"]
    monkeypatch.setattr(sys, "argv", ["quality", *given, "--json", str(tmp_path / "q.json"), "--charts", str(tmp_path)])
    quality.main()
    clean, noisy = json.loads((tmp_path / "q.json").read_text())["sweep"]
    assert (clean["noise_db"], noisy["noise_db"]) == (None, 0)
    assert clean["gender"]["woman"]["distance"] == pytest.approx(clean["speakers"]["a"]["distance"])
    assert set(clean["language"]) == {"English"}
    assert clean["each"]["a_1"] != noisy["each"]["a_1"]
    assert clean["outside_pixels"] == noisy["outside_pixels"] == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["clips"] == 2
    assert [path.name for path in tmp_path.glob("*.svg")] == ["rendered-noise.svg"]


def test_ceiling_and_floor_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_talker(tmp_path / "a_1.mp4", 1.2)
    given = ["--data", str(tmp_path), "--rows", "truth,frozen,shuffled", "--json", str(tmp_path / "q.json")]
    monkeypatch.setattr(sys, "argv", ["quality", *given])
    quality.main()
    rows = json.loads((tmp_path / "q.json").read_text())["rows"]
    assert list(rows) == ["truth", "frozen"]  # there is no other voice
    truth, frozen = (row["persons"]["a"] for row in rows.values())
    assert truth["r_at_0"] > 0.8 > frozen["r_at_0"] + 0.2
    assert truth["distance_share"] < frozen["distance_share"] == pytest.approx(1, abs=0.3)
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (last["engine"], last["rows"]["frozen"]["r_at_0"]) == ("true-motion", frozen["r_at_0"])
    assert last["r_of_clips"] == pytest.approx(truth["r_at_0"])


def test_groups_are_the_summary_of_their_own_clips() -> None:
    curve = np.sin(np.arange(30)).astype(np.float32)
    each = [
        scores.Score(f"{name}_1", name, curve, curve, {"r_at_0": r, "outside_pixels": 1.0})
        for name, r in (("a", 0.5), ("b", 0.7), ("c", 0.9))
    ]
    people = {"a": {"gender": "woman", "language": ""}, "c": {"gender": "woman", "language": "Welsh"}}
    found = scores.by_group(each, people)
    assert found["gender"]["woman"]["r_of_clips"] == pytest.approx(0.7)
    assert found["gender"]["woman"]["outside_pixels"] == 2
    assert list(found["gender"]) == ["woman"]
    assert list(found["language"]) == ["Welsh"]


def test_curves_of_a_sweep_have_the_order_asked_for() -> None:
    assert noises("clean,20,0.5") == [None, 20, 0.5]
    points = [
        Point(noise, ahead, {"r_of_clips": float(ahead), "distance_share": 0.5})
        for ahead in (0, 80)
        for noise in (None, 5)
    ]
    lines = over_noise(points)
    assert [(line.name, line.x) for line in lines[:2]] == [
        ("r, 0 ms", ("clean", "5 dB")),
        ("distance, 0 ms", ("clean", "5 dB")),
    ]
    assert [(line.name, line.y) for line in over_look_ahead(points)][2] == ("r, 5 dB", (0, 80))
