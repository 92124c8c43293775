"""The vocoder of pulses and noise: its sound has the pitch it is given, it learns, goes on, and ends as a bundle."""

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
from engines.vocoder.pitch import pitch_of
from engines.vocoder.sounds import sound_of
from engines.vocoder.source_filter import SourceFilter, SourceShape, Transform, _added, _windows, pulses
from engines.vocoder.source_stage import Settings, SourceEngine, pitch_loss, spectrograms_in
from realtime_dub.audio.frontends.voice_mel import VoiceMel
from realtime_dub.errors import ConfigError
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.speaking import Vocoder
from realtime_dub.voice.pitch import pitch_hz

pytestmark = pytest.mark.computes
SETTINGS = Settings(batch=2, frames=12, channels=16, blocks=1, validation_clips=1, validation_frames=40)
TINY = SourceShape(channels=16, blocks=1, ear=16, ear_blocks=1)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(name="engine")
def make_engine(tmp_path: Path) -> SourceEngine:
    return SourceEngine(SETTINGS, work(filmed(tmp_path / "data", 3, 1), tmp_path))


def test_windows_that_are_laid_where_they_were_are_the_sound() -> None:
    sound, transform = torch.randn(2, 3_200), Transform()
    real, imaginary = transform(_windows(sound))
    assert real.shape == (2, 20, 321)
    again = _added(transform.back(real, imaginary))
    assert (again - sound)[:, 480:-480].abs().max() < 1e-4


@pytest.mark.parametrize("hz", [90.0, 200.0, 380.0])
def test_pulses_have_their_pitch_and_their_strength(hz: float) -> None:
    sound = pulses(torch.full((1, 100), hz))[0].numpy()
    assert np.isfinite(sound).all()
    assert pitch_hz(sound, 16_000) == pytest.approx(hz, rel=0.01)
    assert np.square(sound).mean() == pytest.approx(1.0, rel=0.05)
    log_hz, voiced = pitch_of(0.1 * sound, 100)
    assert voiced[5:-5].all()
    assert np.exp(log_hz[10:-10]) == pytest.approx(hz, rel=0.01)


def test_a_glide_is_followed() -> None:
    hz = torch.linspace(150, 180, 100)[None]
    found = np.exp(pitch_of(0.1 * pulses(hz)[0].numpy(), 100)[0])
    assert found[10:-10] == pytest.approx(hz[0, 10:-10].numpy(), rel=0.03)


def test_an_untaught_net_keeps_the_bands_of_noise() -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    front_end = VoiceMel()
    mel = np.concatenate([front_end.process(noise), front_end.finish()])[:100]
    made = sound_of(SourceFilter(TINY).plain(), mel)
    assert made.shape == (16_000,)
    front_end = VoiceMel()
    found = np.concatenate([front_end.process(made), front_end.finish()])[:100]
    assert np.abs(found.mean(0) - mel.mean(0))[10:].mean() < 0.6


def test_the_ear_says_the_pitch_that_it_is_sure_of() -> None:
    net = SourceFilter(TINY)
    wanted = torch.full((1, 30), float(np.log(150.0)))
    likely = -((net.steps - wanted[..., None]) ** 2) * 2_000
    assert net.pitch(likely).exp()[0].numpy() == pytest.approx(150.0, rel=0.01)
    voiced = torch.ones(1, 30, dtype=torch.bool)
    assert pitch_loss(likely, wanted, voiced, net.steps) < pitch_loss(likely, wanted + 0.3, voiced, net.steps)


def test_a_few_steps_come_nearer(engine: SourceEngine, tmp_path: Path) -> None:
    """To the same pieces, over and over."""
    plan = Plan(steps=20, check_every=10, rate=3e-3, warm_up=0, decay="none")
    trainer = Trainer(engine.network(), plan, tmp_path / "run")
    trainer.run(lambda net, _: engine.losses(net, np.random.default_rng(5)), lambda net: {})
    rows = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert all(rows[1][name] < rows[0][name] for name in ("mel", "spectra", "pitch"))
    assert set(engine.check(trainer.average)) == {"mel_apart", "closeness", "pitch_wrong"}


def test_spectrograms_of_another_network_are_shown_too(tmp_path: Path) -> None:
    folder, other = tmp_path / "other", tmp_path / "mels"
    data = filmed(folder, 3, 1)
    given = work(data, tmp_path)
    other.mkdir()
    with pytest.raises(ConfigError, match="no spectrograms in"):
        spectrograms_in(other)
    name = next(each.name for each in given.dataset.entries if each.part == "train")
    np.save(other / f"{name}.npy", np.full((30, 80), -3.0, np.float16))
    engine = SourceEngine(SETTINGS.model_copy(update={"predicted": other, "share": 1.0}), given)
    clip = next(clip for clip, _ in engine._drawn(np.random.default_rng(0)) if clip.name == name)
    shown = engine._shown(clip, np.random.default_rng(0))
    assert (shown[:30] == -3).all()
    assert np.array_equal(shown[30:], clip.mel[30:])


def test_a_run_makes_a_vocoder_and_another_goes_on_from_it(tmp_path: Path) -> None:
    data, out, config = filmed(tmp_path / "data", 3, 1), tmp_path / "run", tmp_path / "c.toml"
    engine = (
        "batch = 1, frames = 10, channels = 16, blocks = 1, validation_clips = 1, validation_frames = 20, filmed = 0.5"
    )
    config.write_text(f"[source]\nplan = {{ steps = 2, check_every = 2 }}\nengine = {{ {engine} }}\n")
    settled, todo = train_engine.resolve("vocoder", [data], out, config, stage="source")
    launch(settled, out, todo, 1, gpus=False)
    vocoder = Vocoder(load(out / "source" / "bundle"))
    net = SourceFilter(SourceShape(channels=16, blocks=1))
    net.load_state_dict(read_net(out / "source" / NET)[0])
    for frames in (3, 41):
        mel = np.random.default_rng(frames).normal(-5, 1, (frames, 80)).astype(np.float32)
        wanted = sound_of(rounded(net.plain()), mel)
        assert wanted.std() > 1e-3
        assert np.abs(vocoder.sound(mel) - wanted).max() <= 0.05 * wanted.std()
    again = SETTINGS.model_copy(update={"start": out})
    begun = SourceEngine(again, work(data, tmp_path)).network()
    assert torch.equal(begun.filters.leave.weight, net.filters.leave.weight)
    with pytest.raises(ConfigError, match="cannot begin with"):
        SourceEngine(again.model_copy(update={"channels": 32}), work(data, tmp_path)).network()
