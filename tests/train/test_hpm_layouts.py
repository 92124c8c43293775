"""HPMDubbing learns from the folders that its authors publish, at other rates, and with emotions that have names."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from published_sets import FRAMES, LIPS, SAID, write_grid, write_set
from stage_runs import execute
from tiny import filmed, work

from engines.common import train_engine
from engines.common.dataset import Dataset
from engines.common.distributed import DistributedContext
from engines.common.engine import Work
from engines.common.runs import launch
from engines.hpm import data, published, stage
from engines.hpm.engine import LAYOUTS
from engines.hpm.layers import Widening, factors
from engines.hpm.losses import MOOD, losses
from engines.hpm.moods import moods_of
from engines.hpm.network import Hpm
from engines.hpm.shapes import EMOTIONS, SMALL, VECTOR
from engines.hpm.sound import FILMS_SOUND, LECTURES_SOUND, Sound
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.griffin_lim import griffin_lim
from realtime_dub.voice.hpm.speaking import MelMaker, Seen, in_mood
from realtime_dub.voice.hpm.vocoders import Arithmetic

pytestmark = pytest.mark.computes
TINY = replace(SMALL, text_layers=1, lip_layers=1, decoder_layers=1, inner=16, prosody=16, postnet=16)


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(stage.PROFILES, "small", TINY)
    torch.set_num_threads(1)


def trained(out: Path, folder: Path, layout: str | None, more: str = "") -> MelMaker:
    """Two steps, and the bundle that comes of them."""
    config = out.with_suffix(".toml")
    config.write_text(f"[speech]\nplan = {{ steps = 2, check_every = 1 }}\nengine = {{ batch = 2{more} }}\n")
    settled, todo = train_engine.resolve("hpm", [folder], out, config, layout=layout)
    launch(settled, out, todo, 1, gpus=False)
    return MelMaker(load(out / "speech" / "bundle"))


@pytest.mark.parametrize("layout", ["v2c", "chem"])
def test_a_published_folder_is_learnt_from_and_makes_a_bundle(tmp_path: Path, layout: str) -> None:
    maker = trained(tmp_path / "run", write_set(tmp_path / "data", layout), layout)
    rows = [json.loads(line) for line in (tmp_path / "run" / "speech" / "log.jsonl").read_text().splitlines()]
    assert rows[0]["clips"] == {"train": 3, "validation": 2}
    assert {"mel", "guided", "emotion", "mcd"} <= set(rows[1])
    spec = maker.spec
    rates = (spec.rate, spec.window, spec.hop, spec.frame_rate, maker.played_rate)
    assert rates == ((22_050, 880, 220, 25, 22_000) if layout == "v2c" else (16_000, 640, 160, 25, 16_000))
    assert [each.name for each in spec.moods] == (["happy", "sad"] if layout == "v2c" else [])
    assert (rows[1]["emotion"] > 0.01) == (layout == "v2c")
    assert spec.speakers == 2
    assert spec.training_data[0].name.startswith(published.LAYOUTS[layout].corpus)
    lips = np.random.default_rng(0).normal(0, 1, (7, 512)).astype(np.float32)
    mel = maker.mel(maker.numbers([*SAID]), Seen(lips, maker.usual))
    assert mel.shape == (28, 80)
    assert len(Arithmetic(griffin_lim, spec).sound(mel)) == 28 * spec.hop
    assert LAYOUTS["grid"] is Dataset


def test_what_is_in_a_published_folder_is_read(tmp_path: Path) -> None:
    root = write_set(tmp_path, "v2c")
    write_grid(root, "ann0", "c0")
    (root / "emos").mkdir()
    np.save(root / "emos" / "ann0-emo-c0.npy", np.full(VECTOR, 0.5))
    found = published.PublishedSet(published.LAYOUTS["v2c"], root).read("train", FILMS_SOUND)
    assert [(clip.name, clip.speaker, clip.emotion, len(clip.lips)) for clip in found] == [
        ("c0", "ann0", 3, FRAMES),
        ("c1", "ann1", 5, FRAMES + 1),
        ("c2", "ann0", 3, FRAMES + 2),
    ]
    mel = np.load(root / "mel" / "ann1-mel-c1.npy")
    assert np.array_equal(found[1].mel, mel)
    assert [published.PHONEMES[number] for number in found[0].phonemes] == [*SAID]
    assert found[1].places.tolist() == [*np.repeat(np.arange(9), 8), *[-1] * 12]
    # Of a TextGrid what lies before the first phoneme is left out; 22 050 Hz in hops of 220 are 100.2 a second.
    assert np.abs(np.bincount(found[0].places[found[0].places >= 0]) - 8).max() <= 1
    assert found[0].places[0] == 0
    assert (~found[1].spoken[32:40]).all()  # sp
    assert found[1].spoken[:32].all()
    assert (found[0].scene == 0.5).all()
    assert np.array_equal(found[1].scene, found[1].voice)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no list": (lambda root: (root / "val.txt").unlink(), "cannot read .*val.txt: no such file.*as HPMDubbing"),
    "a line": (lambda root: (root / "train.txt").write_text("c0|ann0\n"), "cannot read line 1 of .*train.txt"),
    "a path": (
        lambda root: (root / "train.txt").write_text("../c0|ann0|{HH}|hello\n"),
        "cannot read line 1 of .*; give names, not paths",
    ),
    "a phoneme": (
        lambda root: (root / "train.txt").write_text("c0|ann0|{HH XX}|hello\n"),
        "cannot use the phonemes in .*'XX' of c0; write ARPAbet",
    ),
    "no mel": (lambda root: (root / "mel" / "ann0-mel-c2.npy").unlink(), "cannot read .*ann0-mel-c2.npy: no such file"),
    "no lips": (lambda root: (root / LIPS["v2c"] / "ann0-face-c2.npy").unlink(), "cannot read .*face-c2.npy: no such"),
    "a mel of other bands": (
        lambda root: np.save(root / "mel" / "ann0-mel-c0.npy", np.zeros((80, 40))),
        r"cannot use .*c0.npy: \(80, 40\); make it \(n, 80\)",
    ),
    "too short a mel": (
        lambda root: np.save(root / "mel" / "ann0-mel-c0.npy", np.zeros((20, 80))),
        "20 mel frames for 20 of the lips; make 4 for each",
    ),
    "numbers that are none": (
        lambda root: np.save(root / "spk2" / "ann0-spk-c0.npy", np.full(VECTOR, np.nan)),
        "it has numbers that are none",
    ),
    "no array": (lambda root: (root / "pitch" / "ann0-pitch-c0.npy").write_text("1 2 3"), "it is no array of numbers"),
    "a short face": (
        lambda root: np.save(root / "VA_feature" / "ann0-feature-c0.npy", np.zeros((9, VECTOR))),
        "feature-c0.npy: 9 rows; make 20 of them",
    ),
    "other durations": (
        lambda root: np.save(root / "duration" / "ann0-duration-c0.npy", np.ones(4)),
        "4 durations; make one for each of the 9 phonemes of c0",
    ),
    "no emotions": (lambda root: (root / "emotions.json").unlink(), "emotions.json is missing"),
    "an emotion": (
        lambda root: (root / "emotions.json").write_text('{"c0": 8}'),
        "give each clip one of angry, disgust",
    ),
    "a clip without an emotion": (lambda root: (root / "emotions.json").write_text("{}"), "no emotion of c0 in"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_missing_is_one_line(tmp_path: Path, case: str) -> None:
    change, told = CHANGES[case]
    root = write_set(tmp_path, "v2c")
    change(root)
    with pytest.raises(ConfigError, match=told) as found:
        stage.HpmEngine(stage.Settings(), Work(LAYOUTS["v2c"](root), DistributedContext(), 1, tmp_path, {}))
    assert "\n" not in str(found.value)


def test_a_layout_that_is_none_ends_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for engine, told in (("hpm", "choose one of grid, v2c, chem"), ("vocoder", "leave it out")):
        assert execute(monkeypatch, "train-engine", engine, "--data", tmp_path, "--layout", "lrs2") == 2
        assert told in capsys.readouterr().err
    options = "--data", tmp_path, "--layout", "chem", "--out", tmp_path / "run"
    assert execute(monkeypatch, "train-engine", "hpm", *options) == 2
    assert "train.txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sound", "per_frame", "played"),
    [
        (FILMS_SOUND, 4, 22_000),
        (LECTURES_SOUND, 4, 16_000),
        (Sound(fps=50), 2, 16_000),
        (Sound(fps=20), 5, 16_000),
        (Sound(rate=24_000, window=960, hop=200, fps=30), 4, 24_000),
        (Sound(fps=100), 1, 16_000),
    ],
)
def test_prepared_tracks_are_read_at_other_rates_in_step(
    tmp_path: Path, sound: Sound, per_frame: int, played: int
) -> None:
    dataset = Dataset(filmed(tmp_path, 3, 1, phones=True))
    usual, clip = (data.read_clips(dataset, "train", data.Reading(each))[0] for each in (Sound(), sound))
    assert (sound.per_frame, sound.played_rate, clip.per_frame) == (per_frame, played, per_frame)
    assert len(clip.lips) == int(len(usual.lips) * sound.fps / 25)
    assert len(clip.mel) == len(clip.pitch) == len(clip.energy) == len(clip.places) == per_frame * len(clip.lips)
    at = np.minimum(np.round(np.arange(len(clip.mel)) * sound.hop / played * 100).astype(int), len(usual.mel) - 1)
    assert (clip.places == usual.places[at]).mean() > 0.98
    inside = slice(5, -5)
    assert np.corrcoef(clip.energy[inside], usual.energy[at][inside])[0, 1] > 0.97
    openings = np.interp(np.arange(len(clip.lips)) / sound.fps, np.arange(len(usual.lips)) / 25, usual.lips[:, 120])
    assert np.abs(clip.lips[:, 120] - openings)[:-5].max() < 0.5 * usual.lips[:, 120].std() + 0.05


def test_a_network_for_22_khz_is_trained_from_prepared_tracks(tmp_path: Path) -> None:
    more = ", sound = { rate = 22050, window = 880, hop = 220 }"
    maker = trained(tmp_path / "run", filmed(tmp_path / "data", 4, 1, phones=True), None, more)
    assert (maker.spec.rate, maker.spec.hop, maker.per_frame, maker.played_rate) == (22_050, 220, 4, 22_000)


def test_a_network_for_50_frames_a_second_is_trained_from_prepared_tracks(tmp_path: Path) -> None:
    maker = trained(tmp_path / "run", filmed(tmp_path / "data", 4, 1, phones=True), None, ", sound = { fps = 50 }")
    assert (maker.spec.frame_rate, maker.per_frame, maker.spec.most_frames) == (50, 2, 1_500)
    assert maker.trial().shape == (8, 80)


@pytest.mark.parametrize("text", ["{ fps = 29.97 }", "{ fps = 30 }", "{ hop = 150 }", "{ rate = 24000, hop = 170 }"])
def test_a_rate_that_makes_no_whole_number_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f"[speech.engine]\nsound = {text}\n")
    options = "--data", filmed(tmp_path / "data", 3, 1, phones=True), "--out", tmp_path / "run", "--config", config
    assert execute(monkeypatch, "train-engine", "hpm", *options) == 2
    told = capsys.readouterr().err
    assert "mel frames for a frame at" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(("count", "steps"), [(1, []), (2, [2]), (4, [2, 2]), (5, [5]), (6, [2, 3]), (9, [3, 3])])
def test_mel_frames_of_a_video_frame_come_in_steps(count: int, steps: list[int]) -> None:
    assert factors(count) == steps
    x = torch.randn(1, 256, 7)
    for times in steps:
        x = Widening(256, times)(x)
    assert x.shape == (1, 256, 7 * count)


def told_emotions(root: Path, said: dict[str, object]) -> Dataset:
    (root / "emotions.json").write_text(json.dumps(said))
    return Dataset(root)


def test_emotions_of_prepared_tracks_are_told_by_a_file(tmp_path: Path) -> None:
    root = filmed(tmp_path, 4, 1, phones=True)
    clips = data.read_clips(told_emotions(root, {"t0": "sad", "t2": 3}), "train", data.Reading())
    assert [clip.emotion for clip in clips] == [5, None, 3]
    assert clips[0].scene.nonzero()[0].tolist() == [5]
    assert not clips[1].scene.any()
    seen = data.with_mood(replace(clips[1], scene=np.full(VECTOR, 2, np.float32)), 3)  # by a net
    assert (seen.scene == 2).all()
    moods = {each.name: each for each in moods_of([clips[0], seen])}
    assert set(moods) == {"sad", "happy"}
    assert np.allclose(moods["happy"].scene, 2)
    assert moods_of(clips[:2]) == ()
    with pytest.raises(ConfigError, match="it does not say emotions by clip; give each clip one of angry"):
        data.read_clips(told_emotions(root, {"t0": "merry"}), "train", data.Reading())


@pytest.mark.slow
def test_an_emotion_by_name_is_the_one_that_was_learnt(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 4, 1, phones=True)
    dataset = told_emotions(root, {"t0": "sad", "t1": "happy", "t2": "sad"})
    engine = stage.HpmEngine(stage.Settings(), replace(work(root, tmp_path), dataset=dataset))
    net = engine.network().eval().requires_grad_(False)
    net.STB.requires_grad_(True)  # the booster alone: it is quick
    clips = data.read_clips(dataset, "train", data.Reading())
    given, wanted = stage.batch_of(clips)
    optimiser = torch.optim.Adam(net.STB.parameters(), 5e-3)
    for _ in range(60):
        loss = losses(net(given), given, wanted)["emotion"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss) < 0.1 * MOOD
    maker = MelMaker(load(engine.export(net, tmp_path)))
    assert [each.name for each in maker.spec.moods] == ["happy", "sad"]
    clip = clips[0]
    plain = Seen(clip.lips, clip.voice)
    mels = {}
    for name in ("happy", "sad"):
        seen = in_mood(plain, maker.mood(name))
        assert seen.face is not None
        assert seen.face.shape == (len(clip.lips), VECTOR)
        shown = replace(clip, scene=seen.scene, face=seen.face)
        assert EMOTIONS[int(stage.spoken_of(net, shown).emotion.argmax())] == name
        mels[name] = maker.mel(clip.phonemes.tolist(), seen)
    assert np.abs(mels["happy"] - mels["sad"]).max() > 1e-3
    with pytest.raises(ConfigError, match="no emotion 'merry' in the voice hpm; choose one of happy, sad"):
        maker.mood("merry")


def test_clips_of_which_nobody_tells_the_emotion_have_no_share_in_its_loss(tmp_path: Path) -> None:
    root = filmed(tmp_path, 4, 1, phones=True)
    clips = data.read_clips(told_emotions(root, {"t0": 1}), "train", data.Reading())
    net = Hpm(replace(TINY, phonemes=len(data.PHONEMES))).eval()
    torch.manual_seed(0)

    def loss(*chosen: int) -> dict[str, torch.Tensor]:
        given, wanted = stage.batch_of([clips[k] for k in chosen])
        with torch.no_grad():
            return losses(net(given), given, wanted)

    assert "emotion" not in loss(1, 2)
    assert loss(0, 1)["emotion"] == pytest.approx(float(loss(0)["emotion"]), rel=0.05)


def test_pitch_is_tracked_by_world_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    t = np.arange(16_000) / 16_000
    tone = sum(np.sin(2 * np.pi * n * 140 * t) / n for n in range(1, 9)).astype(np.float32)
    ours = data.tracked(tone, LECTURES_SOUND, "own")
    assert np.median(ours[5:95]) == pytest.approx(140, rel=0.01)
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(DependencyError, match="pitch = world without pyworld; run: pip install pyworld"):
        data.tracked(tone, LECTURES_SOUND, "world")
    monkeypatch.undo()
    pytest.importorskip("pyworld")
    theirs = data.tracked(tone, LECTURES_SOUND, "world")
    assert np.nanmedian(theirs) == pytest.approx(140, rel=0.01)
