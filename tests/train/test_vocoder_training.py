"""HiFi-GAN's training: it comes nearer to its sounds, goes on as if unbroken, and ends as a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import filmed, work

from engines.common import train_engine
from engines.common.bundle_files import rounded
from engines.common.loop import Plan, Trainer
from engines.common.results import NET, read_net
from engines.common.runs import launch
from engines.vocoder import stage
from engines.vocoder.discriminators import Discriminators
from engines.vocoder.network import Shape
from engines.vocoder.sounds import Mel, sound_of
from engines.vocoder.spectra import Spectra
from engines.vocoder.stage import Gan, Settings, VocoderEngine
from realtime_dub.audio.frontends.voice_mel import VoiceMel
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.speaking import Vocoder

pytestmark = pytest.mark.computes
SETTINGS = Settings(narrow=32, batch=2, frames=10, validation_clips=1, validation_frames=40)
PLAN = Plan(steps=4, check_every=2, rate=2e-4, warm_up=0, betas=(0.8, 0.99), clip=1e6, decay="none")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setitem(stage.PROFILES, "small", Shape(channels=32, around=(3,)))
    torch.set_num_threads(1)


@pytest.fixture(name="engine")
def make_engine(tmp_path: Path) -> VocoderEngine:
    return VocoderEngine(SETTINGS, work(filmed(tmp_path / "data", 3, 1), tmp_path))


def test_the_judges_have_their_published_size() -> None:
    with torch.device("meta"):
        sizes = [sum(each.numel() for each in part.parameters()) for part in Discriminators()]
    assert sum(sizes[:5]) == pytest.approx(41.1e6, rel=0.01)
    assert sum(sizes[5:]) == pytest.approx(29.6e6, rel=0.01)


def test_the_spectrogram_that_is_learnt_by_is_the_front_ends() -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal(3_200).astype(np.float32)
    front_end = VoiceMel()
    wanted = np.concatenate([front_end.process(sound), front_end.finish()])[:20]
    assert np.abs(Mel()(torch.from_numpy(sound)[None])[0].numpy() - wanted).max() < 1e-3


def test_the_generators_losses_leave_the_judges_alone(engine: VocoderEngine) -> None:
    net = engine.network()
    found = engine.losses(net, np.random.default_rng(1))
    torch.stack([found[name] for name in ("believed", "features", "mel")]).sum().backward(retain_graph=True)
    assert all(each.grad is None for each in net.judges.parameters())
    assert all(each.grad is not None for each in net.generator.parameters())
    net.zero_grad()
    found["judges"].backward()
    assert all(each.grad is None for each in net.generator.parameters())
    assert all(each.grad is not None for each in net.judges.parameters())


def test_a_few_steps_come_nearer(engine: VocoderEngine, tmp_path: Path) -> None:
    """To the same pieces, over and over."""
    plan = Plan(steps=30, check_every=10, rate=2e-3, warm_up=0, betas=(0.8, 0.99), clip=1e6, decay="none")
    trainer = Trainer(engine.network(), plan, tmp_path / "run")
    trainer.run(lambda net, _: engine.losses(net, np.random.default_rng(5)), lambda net: {})
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert rows[2]["mel"] < rows[1]["mel"] < rows[0]["mel"]
    assert rows[2]["mel"] < 0.8 * rows[0]["mel"]


def test_without_judges_a_generator_learns_by_spectra(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"alone": 3})
    engine = VocoderEngine(settings, work(filmed(tmp_path / "data", 3, 1), tmp_path))
    assert engine.turns == (3,)
    net = engine.network()
    found = engine.losses(net, np.random.default_rng(1))
    assert set(found) == {"mel", "spectra", "judges"}
    torch.stack([*found.values()]).sum().backward()
    assert all(each.grad is not None and not each.grad.any() for each in net.judges.parameters())
    assert any(each.grad is not None and each.grad.any() for each in net.generator.parameters())
    engine.turn(3, net, net)
    assert "believed" in engine.losses(net, np.random.default_rng(1))


def test_spectra_tell_sounds_apart() -> None:
    t = torch.arange(4_000) / 16_000
    tone = torch.sin(2 * torch.pi * 440 * t)[None]
    nearer, further = 0.9 * tone, torch.sin(2 * torch.pi * 900 * t)[None]
    spectra = Spectra()
    assert spectra(tone, tone) == 0
    assert 0 < spectra(nearer, tone) < spectra(further, tone)


def test_a_killed_run_goes_on_as_the_unbroken_one(engine: VocoderEngine, tmp_path: Path) -> None:
    whole, broken = (Trainer(engine.network(), PLAN, tmp_path / name) for name in ("whole", "broken"))
    whole.run(engine.losses, engine.check)
    broken.run(engine.losses, engine.check, until=2)
    again = Trainer(engine.network(), PLAN, tmp_path / "broken")
    assert again.resume()
    again.run(engine.losses, engine.check)
    for name, wanted in whole.net.state_dict().items():
        assert torch.equal(again.net.state_dict()[name], wanted), name


def test_a_run_makes_a_vocoder(tmp_path: Path) -> None:
    data, out, config = filmed(tmp_path / "data", 3, 1), tmp_path / "run", tmp_path / "c.toml"
    engine = "{ narrow = 32, batch = 1, frames = 10, validation_clips = 1, validation_frames = 20 }"
    config.write_text(f"[vocoder]\nplan = {{ steps = 2, check_every = 2 }}\nengine = {engine}\n")
    settled, todo = train_engine.resolve("vocoder", [data], out, config)
    launch(settled, out, todo, 1, gpus=False)
    vocoder = Vocoder(load(out / "vocoder" / "bundle"))
    mel = np.random.default_rng(0).normal(-4, 2, (9, 80)).astype(np.float32)
    net = Gan(stage.GanShape(stage.PROFILES["small"], 32))
    net.load_state_dict(read_net(out / "vocoder" / NET)[0])
    assert np.abs(vocoder.sound(mel) - sound_of(rounded(net.plain()), mel)).max() <= 1e-4
