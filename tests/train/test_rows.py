"""The net alone beside ceiling and floors, speaker by speaker, and against drawn curves, with known answers."""

from __future__ import annotations

import json
import math
import sys
import wave as waves
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tiny import filmed, write_track

from engines.common.dataset import Dataset
from engines.common.grid import Clip
from engines.common.metrics import OPENING_AT
from engines.common.people_figures import Rows, of_person, over_people
from engines.mouthbank import by_speaker, curves
from engines.mouthbank.curves import LAYER, NET, RIDGE, SHUFFLED, Recording, agreement, features, regressed, targets_of
from engines.mouthbank.evaluate import Result
from engines.mouthbank.rows import FROZEN, ROWS, TRUTH, gate, handed_back, scores, spoken
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.alignment import LOWER, TEMPLATE

FPS, FRAMES = 25, 50


def opening(seed: int, frames: int = FRAMES) -> np.ndarray:
    """Syllables, no two clips alike."""
    return np.clip(np.convolve(np.random.default_rng(seed).standard_normal(frames), np.ones(4), "same"), 0, None) * 0.1


def opened(curve: np.ndarray) -> np.ndarray:
    """Motion (T, 168, 3) that lets the lower inner lip down."""
    motion = np.zeros((len(curve), len(LOWER), 3), np.float32)
    motion[:, OPENING_AT[:, 1], 1] = curve[:, None]
    return motion


def result(name: str, seed: int, sure: float = 1.0, late: int = 0, scale: float = 1.0) -> Result:
    """A clip and a net that moves as it does, ``late`` frames later, ``scale`` times as far."""
    real, sound = opening(seed), 0.1 * np.random.default_rng(seed).standard_normal(FRAMES * 640)
    clip = Clip(name, sound.astype(np.float32), opened(real), FPS, TEMPLATE, None)
    return Result(clip, opened(scale * np.roll(real, late)), np.full(FRAMES, sure), np.zeros((1, len(LOWER), 3)))


def figures(rows: Rows) -> dict[str, dict[str, float]]:
    return {row: {name: each.mean for name, each in over_people(found).items()} for row, found in rows.items()}


def test_a_perfect_net_is_the_ceiling_and_another_voice_is_not() -> None:
    found = figures(scores([result(f"c{k}", k) for k in range(4)], ["a", "a", "b", "c"]))
    assert list(found) == list(ROWS)
    for row in (NET, TRUTH):
        assert found[row]["r_at_0"] == found[row]["r_lower_lip"] == pytest.approx(1)
        assert found[row]["distance_share"] == 0
    assert found[FROZEN]["r_at_0"] == pytest.approx(0, abs=1e-3)
    assert found[FROZEN]["distance_share"] == pytest.approx(1, abs=1e-4)
    assert abs(found[SHUFFLED]["r_at_0"]) < 0.5
    assert found[SHUFFLED]["distance_share"] > 1


def test_a_late_net_is_told_by_its_lag() -> None:
    found = figures(scores([result(f"c{k}", k, late=2) for k in range(3)], ["a", "b", "c"]))
    assert found[NET]["best_lag"] == 2
    assert found[NET]["r_at_0"] < 0.7 < 0.95 < found[NET]["r_best"]


def test_where_nobody_speaks_the_live_mouth_gives_every_row_the_same() -> None:
    silent = [result(f"c{k}", k, sure=0.0, late=3) for k in range(3)]
    alone, given = (figures(scores(silent, ["a", "b", "c"], hand_back)) for hand_back in (False, True))
    assert alone[NET]["r_at_0"] < 0.7
    assert all(given[row]["r_at_0"] == pytest.approx(1) and given[row]["distance_share"] == 0 for row in ROWS)
    speaking = [result(f"c{k}", k, late=3) for k in range(3)]
    assert figures(scores(speaking, ["a", "b", "c"], True))[NET]["r_at_0"] < 0.9


def test_the_gate_is_that_of_the_program() -> None:
    share = gate(np.array([0.0] * 5 + [1.0] * 10 + [0.0] * 20), FPS)
    assert not share[:5].any()
    assert share[5:8].tolist() == pytest.approx([0.5, 1, 1])
    assert share[15:21].tolist() == pytest.approx([1] * 6)  # pauses inside a sentence stay dubbed
    assert share[-1] == 0
    half = handed_back(np.ones((1, 2, 3)), np.zeros((1, 2, 3)), np.array([0.25]))
    assert (half == 0.25).all()


def test_a_clip_alone_has_no_other_voice_and_a_silent_one_no_speech() -> None:
    one = result("c", 0)
    assert list(scores([one], ["a"])) == [NET, TRUTH, FROZEN]
    silent = Clip("c", np.zeros(FRAMES * 640, np.float32), one.clip.motion, FPS, TEMPLATE, None)
    assert not spoken(silent, FRAMES).any()


def test_a_speaker_in_two_folders_is_one_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filmed(tmp_path / "one", 2)
    write_track(tmp_path / "two", "u0", 7, "test", "p0")
    write_track(tmp_path / "two", "u1", 8, "test", "zoe")
    folders = [argument for name in ("one", "two") for argument in ("--data", str(tmp_path / name))]
    monkeypatch.setattr(sys, "argv", ["by_speaker", *folders, "--hand-back", "--json", str(tmp_path / "f.json")])
    by_speaker.main()
    told = json.loads((tmp_path / "f.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == told
    net = told["rows"]["net"]
    assert (net["clips"], net["people"], list(net["persons"])) == (4, 2, ["p0", "zoe"])
    each = [person["r_at_0"] for person in net["persons"].values()]
    assert net["figures"]["r_at_0"]["mean"] == pytest.approx(np.mean(each), abs=1e-4)
    assert net["figures"]["r_at_0"]["error"] == pytest.approx(abs(each[0] - each[1]) / 2, abs=1e-4)


def test_tracks_of_each_speaker_are_chosen_evenly(tmp_path: Path) -> None:
    entries = Dataset(filmed(tmp_path, 10)).entries  # p0 and p1 have four, p2 two
    assert [entry.track for entry in by_speaker.chosen(entries, [], 2)] == ["t0", "t3", "t4", "t7", "t8", "t9"]
    assert {entry.speaker for entry in by_speaker.chosen(entries, ["p1"], None)} == {"p1"}
    with pytest.raises(ConfigError, match="no tracks of speaker ann; choose of p0, p1, p2"):
        by_speaker.chosen(entries, ["ann"], None)


JAW = "opening: jaw"


def recording(seed: int, loud: bool = True) -> Recording:
    """A noise as loud as the jaw is low, or one that has nothing to do with it."""
    rng, frames = np.random.default_rng(seed), 120
    curve = np.clip(np.convolve(rng.standard_normal(frames), np.ones(5), "same"), 0, None)
    level = np.interp(np.arange(frames * 16_000 // 30) * 30 / 16_000, np.arange(frames), curve if loud else curve[::-1])
    return Recording(
        f"r{seed}", (0.05 * level * rng.standard_normal(len(level))).astype(np.float32), 30.0, {JAW: curve}, frames
    )


def mels(recordings: list[Recording]) -> list[np.ndarray]:
    return [features(each, LogMelSpec()) for each in recordings]


def test_curves_of_one_movement_are_put_together_and_those_that_stand_still_left_out() -> None:
    names = ["mouth_stretch_c", "mouth_lowerLipDepress_l", "mouth_lowerLipDepress_r", "mouth_press_l"]
    moving = np.random.default_rng(0).random((50, 4))
    moving[:, 3] = 0.2
    found = targets_of(moving, names)
    assert list(found) == [JAW, "lower lip: jaw", "lower lip: depressing"]
    np.testing.assert_allclose(found["lower lip: depressing"], moving[:, 1:3].mean(1))


def test_the_regression_has_not_seen_what_it_is_measured_on() -> None:
    alike = [recording(k) for k in range(4)]
    told = [each[JAW] for each in regressed(alike, mels(alike))]
    r = [np.corrcoef(made, each.truth[JAW])[0, 1] for made, each in zip(told, alike, strict=True)]
    assert min(r) > 0.6
    odd = [*alike[:3], recording(9, loud=False)]
    last = regressed(odd, mels(odd))[-1][JAW]
    assert np.corrcoef(last, odd[-1].truth[JAW])[0, 1] < 0.4  # seen, it would have been learnt
    assert regressed(alike[:1], mels(alike[:1])) == [{}]


def test_curves_are_compared_in_step_and_at_one_lag() -> None:
    three = [recording(k) for k in range(3)]
    found = agreement(three, [{JAW: 2 * np.roll(each.truth[JAW], 3) + 1} for each in three])[JAW]
    assert found["lag_ms"] == 100
    assert found["r_best"].mean == pytest.approx(1, abs=0.05)  # type: ignore[attr-defined]
    assert found["r_at_0"].mean < 0.7  # type: ignore[attr-defined]
    assert list(agreement(three, [{}] * 3)) == []


def test_recordings_are_read_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MediaError, match="no recordings in"):
        curves.read(tmp_path)
    for each in (recording(0), recording(1)):
        with waves.open(str(tmp_path / f"{each.name}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes((each.audio * 32767).clip(-32768, 32767).astype("<i2").tobytes())
        np.savez(tmp_path / f"{each.name}.npz", curves=each.truth[JAW][:, None], names=["mouth_stretch_c"], fps=30.0)
    monkeypatch.setattr(sys, "argv", ["curves", "--data", str(tmp_path)])
    curves.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(told["rows"]) == [NET, SHUFFLED, RIDGE, LAYER]
    assert all(told["rows"][row][JAW]["recordings"] == 2 for row in (RIDGE, LAYER))
    assert all(math.isfinite(row[JAW]["r_at_0"]["mean"]) for row in told["rows"].values())


def test_one_persons_figures_are_means_of_the_clips() -> None:
    rows = scores([result("a", 0), result("b", 1, late=5)], ["p", "p"])
    own = [each.figures["r_at_0"] for each in rows[NET]]
    assert of_person(rows[NET])["r_at_0"] == pytest.approx(np.mean(own))
