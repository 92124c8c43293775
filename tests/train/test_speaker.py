"""The speaker net: two voices are learnt and told apart, in a bundle as in PyTorch; what it is measured by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import SPEC

from engines.common import train_engine
from engines.common.dataset import INDEX, Dataset
from engines.common.prepare.phones import append_row, write_audio, write_power
from engines.common.results import NET, read_net, ready, shaped
from engines.common.runs import launch
from engines.speaker.data import changed, equal_errors, pairs, piece, read_said
from engines.speaker.evaluate import by_bands, figures
from engines.speaker.network import Learner, LearnerShape, Shape, SpeakerNet, margin_loss
from realtime_dub.errors import BundleError, ConfigError, MediaError
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.voice.speaker import SpeakerVectors, alike

pytestmark = pytest.mark.computes


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.set_num_threads(1)


def voice(hz: float, formant: float, seed: int, seconds: float = 1.2) -> np.ndarray:
    """Somebody's hum: a pitch that sways, harmonics around one formant."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(16_000 * seconds)) / 16_000
    phase = 2 * np.pi * np.cumsum(hz * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 3) * t))) / 16_000
    found = sum(np.exp(-(((n * hz - formant) / 600) ** 2)) * np.sin(n * phase) for n in range(1, 20))
    loud = 0.1 * rng.uniform(0.3, 1) * (0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(2, 4) * t))
    return np.asarray(loud * found + 1e-3 * rng.standard_normal(len(t)), np.float32)


PEOPLE = {"ann": (210, 900), "bob": (110, 600), "cid": (140, 1500), "eve": (240, 2200), "fay": (180, 700)}


def people(root: Path) -> Path:
    """Five people with three sounds each; the last two are not learnt from."""
    for number, (who, (hz, formant)) in enumerate(PEOPLE.items()):
        for k in range(3):
            name = f"{who}{k}"
            write_power(root, name, write_audio(root, name, voice(hz, formant, 10 * number + k)), SPEC)
            part = "train" if number < 3 else "validation"
            append_row(root / INDEX, {"track": name, "speaker": who, "part": part, "corpus": "Common Voice 13"})
    return root


@pytest.mark.slow
def test_people_are_told_apart_who_were_never_heard(tmp_path: Path) -> None:
    data, out, config = people(tmp_path / "data"), tmp_path / "run", tmp_path / "c.toml"
    plan = "plan = { steps = 40, check_every = 20, warm_up = 5 }"
    config.write_text(f"[speaker]\n{plan}\nengine = {{ batch = 9, width = 16, frames = [60, 80] }}\n")
    settled, todo = train_engine.resolve("speaker", [data], out, config)
    launch(settled, out, todo, 1, gpus=False)
    rows = [json.loads(line) for line in (out / "speaker" / "log.jsonl").read_text().splitlines()]
    assert rows[0]["speakers"] == {"train": 3, "validation": 2}
    assert rows[2]["margin"] < rows[1]["margin"]
    assert rows[2]["equal_errors"] <= 0.34
    bundle = load(out / "speaker" / "bundle")
    assert bundle.spec.training_data[0].licence == "CC0"
    net = SpeakerVectors(bundle)
    one, other, third = (
        net.of(voice(*PEOPLE[who], seed), 16_000) for who, seed in (("eve", 1), ("eve", 2), ("fay", 3))
    )
    assert one.shape == (256,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-3)
    assert alike(one, other) > alike(one, third)
    tensors, shape = read_net(out / "speaker" / NET)
    plain = ready(Learner(shaped(LearnerShape, shape)), tensors).net
    said = read_said(Dataset(data), "validation", 3)
    mel = said[0].mel.astype(np.float32)
    assert np.abs(plain(torch.from_numpy(mel)[None])[0].numpy() - net.of_mel(mel)).max() < 2e-3  # weights of 16 bits
    assert figures(said, net.of_mel)["pairs"] == 15
    assert figures(said, by_bands(said))["one"] > 0


def test_how_loud_it_is_does_not_tell_who_speaks() -> None:
    net = SpeakerNet(Shape(width=16)).eval()
    mel = torch.randn(2, 90, 80)
    with torch.inference_mode():
        assert torch.allclose(net(mel), net(mel - 2.0), atol=1e-4)
    with torch.device("meta"):
        assert sum(each.numel() for each in SpeakerNet(Shape()).parameters()) < 1_000_000


def test_the_own_speaker_has_to_be_nearer_by_the_margin() -> None:
    cosines, who = torch.tensor([[0.5, 0.4]]), torch.tensor([0])
    assert margin_loss(cosines, who, 10.0, 0.1) == pytest.approx(np.log(2), abs=1e-5)
    assert margin_loss(cosines, who, 10.0, 0.0) < margin_loss(cosines, who, 10.0, 0.2)


def test_equal_errors_are_those_of_sorted_scores() -> None:
    assert equal_errors(np.array([0.9, 0.8, 0.7]), np.array([0.1, 0.2, 0.3])) == 0
    assert equal_errors(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1
    rng = np.random.default_rng(0)
    assert equal_errors(rng.normal(2, 1, 4_000), rng.normal(0, 1, 9_000)) == pytest.approx(0.159, abs=0.01)


def test_pieces_are_long_enough_and_changed_as_rooms_do() -> None:
    rng, mel = np.random.default_rng(0), np.random.default_rng(1).normal(-6, 2, (70, 80)).astype(np.float16)
    assert piece(mel, 200, rng).shape == (200, 80)
    other = changed(piece(mel, 60, rng), rng)
    assert other.shape == (60, 80)
    assert np.isfinite(other).all()


def test_pairs_are_of_one_corpus(tmp_path: Path) -> None:
    said = read_said(Dataset(people(tmp_path)), "train", 2)
    alike_pairs, unlike_pairs = pairs(np.eye(6, 256), said)
    assert (len(alike_pairs), len(unlike_pairs)) == (3, 12)
    with pytest.raises(ConfigError, match="no two speakers for test"):
        read_said(Dataset(tmp_path), "test", 2)


def test_what_is_no_voice_is_one_line() -> None:
    net = SpeakerVectors(load_default("speaker"))
    with pytest.raises(MediaError, match=r"a sample of 0\.2 s; give a second or more"):
        net.of(np.zeros(3_200, np.float32), 16_000)
    with pytest.raises(BundleError, match="not a speaker net"):
        SpeakerVectors(load_default("mouthbank"))


def test_the_net_that_ships_hears_a_voice_at_any_rate() -> None:
    net = SpeakerVectors(load_default("speaker"))
    low, low_again, high = voice(100, 600, 1, 2.0), voice(100, 600, 2, 2.0), voice(230, 2_000, 3, 2.0)
    first = net.of(low, 16_000)
    assert alike(first, net.of(low_again, 16_000)) > alike(first, net.of(high, 16_000)) + 0.1
    doubled = np.interp(np.arange(2 * len(low)) / 2, np.arange(len(low)), low).astype(np.float32)
    assert alike(first, net.of(doubled, 32_000)) > 0.9
