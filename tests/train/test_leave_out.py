"""People left out in turn: who is learnt from, a last layer in closed form, and what is measured of whom."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_speech import SHAPE, randomised  # noqa: E402
from tiny import SPEC, filmed, heard, listened, write_track  # noqa: E402

from engines.common.dataset import Dataset  # noqa: E402
from engines.common.results import NET, write_net  # noqa: E402
from engines.common.speech.network import SpeechNet  # noqa: E402
from engines.mouthbank import last_layer, leave_out  # noqa: E402
from engines.mouthbank.network import MotionNet, Shape  # noqa: E402
from engines.mouthbank.voice_net import VoiceNet, VoiceShape, load_voice  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402


def people(root: Path) -> Path:
    """Three people trained on, one of them by some of the clips; one for validation, one for testing."""
    speakers = ("ann", "ann", "bob", "bob", "cy", "cy", "dee", "eve")
    shares = ("train", "validation", "train", "train", "validation", "validation", "test", "")
    for index, (speaker, part) in enumerate(zip(speakers, shares, strict=True)):
        write_track(root, f"t{index}", index, part, speaker)
    return root


def parts(root: Path) -> dict[str, str]:
    return {entry.track: entry.part for entry in Dataset(root).entries}


def test_who_is_left_out_is_for_validation_and_nobody_is_moved_out_of_the_test(tmp_path: Path) -> None:
    root = people(tmp_path / "data")
    index = (root / "tracks.jsonl").read_bytes()
    view = leave_out.without(root, ["bob"], tmp_path / "view")
    told = {"t0": "train", "t1": "validation", "t2": "validation", "t3": "validation", "t4": "train", "t5": "train"}
    assert parts(view) == told | {"t6": "test"}  # eve's track was dropped, and stays so
    assert leave_out.without(root, ["cy", "ann"], tmp_path / "view") == view  # once more, others
    both = {
        "t0": "validation",
        "t1": "validation",
        "t2": "train",
        "t3": "train",
        "t4": "validation",
        "t5": "validation",
    }
    assert parts(view) == both | {"t6": "test"}
    assert (root / "tracks.jsonl").read_bytes() == index
    entry = Dataset(view).entries[0]
    assert np.array_equal(Dataset(view).clip(entry).motion, Dataset(root).clip(Dataset(root).entries[0]).motion)


def test_validation_clips_of_who_is_trained_on_are_not_learnt_from(tmp_path: Path) -> None:
    dataset = Dataset(people(tmp_path))
    assert [each.track for each in leave_out.learnable(dataset)] == ["t0", "t2", "t3", "t4", "t5"]
    assert leave_out.one_by_one([e for e in dataset.entries if e.part != "test"]) == [["ann"], ["bob"], ["cy"]]


def test_a_layer_is_found_again_and_what_it_was_holds_where_nothing_is_known() -> None:
    rng = np.random.default_rng(0)
    features, layer = rng.normal(0, 1, (20_000, 6)), rng.normal(0, 1, (7, 3))
    features[:, 5] = 0  # says nothing
    targets = np.concatenate([features, np.ones((len(features), 1))], 1) @ layer
    before = np.zeros((7, 3))
    before[5] = 2.0
    found = last_layer.solved(features, targets, np.ones(len(features)), before)
    assert np.allclose(found[[0, 1, 2, 3, 4, 6]], layer[[0, 1, 2, 3, 4, 6]], atol=0.1)
    assert np.allclose(found[5], 2.0)
    few = last_layer.solved(features[:5], targets[:5], np.ones(5), before)
    assert np.abs(few[:5]).max() < 0.1 * np.abs(layer[:5]).max()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A voice net that has learnt nothing, with two heads."""
    torch.manual_seed(0)
    shape = VoiceShape(SHAPE, width=12, dilations=(2,), details=2, components=3, look_aheads=(8, 16))
    folder = tmp_path / "run" / "voice"
    folder.mkdir(parents=True)
    net = randomised(VoiceNet(shape))
    net.basis.normal_(0, 0.01)
    write_net(folder / NET, net)
    return folder.parent


def test_a_last_layer_learns_what_loudness_does_to_a_lip(run: Path, tmp_path: Path) -> None:
    dataset = Dataset(filmed(tmp_path / "data", 8))
    net = load_voice(run).ahead(16)
    clips = [dataset.clip(entry) for entry in dataset.entries]
    features = [last_layer.heard(net, clip, SPEC) for clip in clips]
    kept = {name: value.clone() for name, value in net.state_dict().items()}
    found = last_layer.relearnt(net, clips, features)
    assert all(torch.equal(value, kept[name]) for name, value in net.state_dict().items())

    def apart(which: VoiceNet) -> float:
        head = which.heads[1]
        told = [which.displacement(head.motion(torch.from_numpy(own).T[None]).transpose(1, 2)) for own in features]
        real = last_layer.in_one_measure(clips)
        return float(
            np.mean(
                [
                    ((m[0].detach().numpy() - c.motion[: m.shape[1]]) ** 2).mean()
                    for m, c in zip(told, real, strict=True)
                ]
            )
        )

    assert apart(found) < 0.7 * apart(net)
    bundle = load(last_layer.write(found, tmp_path / "bundle", SPEC))
    assert bundle.look_ahead_ms == 160


@pytest.mark.slow
def test_everybody_is_measured_by_a_net_that_does_not_know_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = people(tmp_path / "data")
    learnt = []
    relearn = last_layer.relearnt

    def watched(net: VoiceNet, clips: list, features: list) -> VoiceNet:
        learnt.append(sorted({clip.speaker for clip in clips}))
        return relearn(net, clips, features)

    monkeypatch.setattr(last_layer, "relearnt", watched)
    options = ["--data", data, "--out", tmp_path / "out", "--last-layer", run, "--json", tmp_path / "f.json"]
    monkeypatch.setattr(sys, "argv", ["leave_out", *map(str, options)])
    leave_out.main()
    assert learnt == [["bob", "cy"], ["ann", "cy"], ["ann", "bob"]]
    told = json.loads((tmp_path / "f.json").read_text())
    assert set(told["rows"]) == {"left out", "built in", "before", "frozen", "shuffled"}
    assert set(told["rows"]["left out"]["persons"]) == {"ann", "bob", "cy"}
    assert told["rows"]["frozen"]["clips"] == 6
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == told


@pytest.mark.slow
@pytest.mark.usefixtures("few_sounds")
def test_whole_nets_are_trained_without_somebody_and_go_on(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 8, held=2, phones=True)
    listened(heard(root).roots[0])
    for stage, net in (
        ("speech", randomised(SpeechNet(replace(SHAPE, vectors=4)))),
        ("direct", MotionNet(Shape(width=8))),
    ):
        (tmp_path / "given" / stage).mkdir(parents=True)
        write_net(tmp_path / "given" / stage / NET, net)
    config = tmp_path / "config.toml"
    small = (
        'width = 8, dilations = [2], details = 2, filmed_rows = 3, taught_rows = 3, frames = 60, augmentation = "mild"'
    )
    config.write_text(
        f"""
teacher = {{ plan = {{ steps = 2, check_every = 2 }}, engine = {{ components = 3, width = 8, vectors = 6 }} }}
voice = {{ plan = {{ steps = 2, check_every = 2 }}, engine = {{ {small} }} }}
"""
    )
    given = dict.fromkeys(("speech", "direct"), tmp_path / "given")
    learn = leave_out.whole_runs([root], tmp_path / "out", config, given, 160)
    bundle = learn(["p1"])
    assert bundle == tmp_path / "out" / "p1" / "bundle-160"
    assert load(bundle).look_ahead_ms == 160
    log = tmp_path / "out" / "p1" / "voice" / "log.jsonl"
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert told[0]["own"] == 4  # p0 alone is left
    assert learn(["p1"]) == bundle  # nothing is left to do
    assert len(log.read_text().splitlines()) == len(told)
