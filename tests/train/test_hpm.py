"""HPMDubbing's network: as large as published, blind to padding, and the same in a bundle made of a checkpoint."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import filmed
from typer.testing import CliRunner

from engines.common import train_engine
from engines.common.bundle_files import rounded
from engines.common.dataset import Dataset
from engines.common.loop import Plan
from engines.common.results import NET, read_net, shaped
from engines.common.runs import launch
from engines.hpm import stage, weights
from engines.hpm.clips import Clip, cut
from engines.hpm.data import PHONEMES, SILENT, Reading, read_clip, stretches, through
from engines.hpm.export import graph_of, spec_of, write_bundle
from engines.hpm.losses import Wanted, losses
from engines.hpm.mcd import CEPSTRA, cepstra, mel_distortion, warped
from engines.hpm.network import Given, Hpm, Prosody, Spoken, binned, lengthened
from engines.hpm.reading import moved
from engines.hpm.shapes import FILMS, LECTURES, SMALL, VECTOR, Shape
from engines.hpm.sound import Sound
from engines.hpm.symbols import SYMBOLS
from export.import_cli import app
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.features import lips_of, voice_vector
from realtime_dub.voice.hpm.speaking import MelMaker, Seen, Vocoder
from realtime_dub.voice.hpm.vocoders import vocoder_named

pytestmark = pytest.mark.computes
UPSAMPLING = SMALL.upsampling
TINY = replace(SMALL, text_layers=1, lip_layers=1, decoder_layers=1, lips=16, inner=16, prosody=16, postnet=16)
PUBLISHED = replace(TINY, speakers=3, emotion_rows=9)  # the layout of a published file, and a quicker size


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    torch.manual_seed(0)


def learnt(net: torch.nn.Module) -> dict[str, int]:
    """Parameters that are learnt, by part."""
    return {
        name: sum(each.numel() for each in part.parameters() if each.requires_grad)
        for name, part in net.named_children()
    }


def test_the_published_network_has_its_size() -> None:
    with torch.device("meta"):
        films = learnt(Hpm(FILMS))
    wanted = {"MDA": 40_961_367, "APA": 1_513_732, "STB": 331_144, "decoder": 20_208_384, "postnet": 4_348_144}
    assert {name: films[name] for name in wanted} == wanted
    assert round(sum(films.values()) / 1e6, 1) == 67.9


def test_the_network_of_lectures_has_no_scene() -> None:
    with torch.device("meta"):
        lectures = Hpm(LECTURES)
    assert "STB" not in learnt(lectures)
    assert (len(lectures.MDA.encoder.layer_stack), len(lectures.decoder.layer_stack)) == (6, 8)


def test_the_small_one_is_small() -> None:
    with torch.device("meta"):
        assert sum(each.numel() for each in Hpm(SMALL).parameters() if each.requires_grad) <= 6_000_000


def given_of(shape: Shape, frames: int, phonemes: int, batch: int = 1, seed: int = 1) -> Given:
    draw = torch.Generator().manual_seed(seed)

    def some(*sizes: int) -> torch.Tensor:
        return torch.randn(batch, *sizes, generator=draw)

    ids = torch.randint(1, shape.phonemes - 1, (batch, phonemes), generator=draw)
    return Given(ids, some(frames, shape.lips), some(frames, VECTOR), some(VECTOR), some(VECTOR))


def test_a_clip_is_spoken_the_same_beside_a_longer_one() -> None:
    net = Hpm(TINY).eval()
    alone, longer = given_of(TINY, 6, 4), given_of(TINY, 9, 7, seed=2)
    pad = torch.nn.functional.pad
    both = Given(
        torch.cat([pad(alone.phonemes, (0, 3)), longer.phonemes]),
        torch.cat([pad(alone.lips, (0, 0, 0, 3), value=5.0), longer.lips]),
        torch.cat([pad(alone.face, (0, 0, 0, 3), value=5.0), longer.face]),
        *(torch.cat([getattr(alone, name), getattr(longer, name)]) for name in ("speaker", "scene")),
        torch.tensor([[0] * 4 + [1] * 3, [0] * 7]).bool(),
        torch.tensor([[0] * 6 + [1] * 3, [0] * 9]).bool(),
    )
    with torch.inference_mode():
        one, two = net(alone), net(both)
    # Convolutions see a few mel frames across the end; further in, nothing differs.
    inside = 6 * UPSAMPLING - 8
    assert one.mel.shape == (1, 24, 80)
    assert torch.allclose(one.pitch[0, :inside], two.pitch[0, :inside], atol=1e-4)
    assert torch.allclose(one.read[0], two.read[0, :6], atol=1e-4)


def test_what_is_seen_and_asked_for_is_heard() -> None:
    net = Hpm(TINY).eval()
    with torch.no_grad():
        for predictor in (net.APA.pitch_predictor, net.APA.energy_predictor):
            predictor.linear_layer.bias.fill_(1.0)
    given = given_of(TINY, 6, 4)

    def mel(prosody: Prosody | None = None, **changed: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return net(replace(given, **changed), prosody).refined

    plain = mel()
    for name in ("phonemes", "lips", "face", "speaker", "scene"):
        other = getattr(given_of(TINY, 6, 4, seed=3), name)
        assert (mel(**{name: other}) - plain).abs().max() > 1e-4, name
    assert (mel(Prosody(pitch_scale=2.0)) - plain).abs().max() > 1e-4
    assert (mel(Prosody(energy_scale=0.2)) - plain).abs().max() > 1e-4


def test_bins_are_those_that_numpy_finds() -> None:
    bounds, values = torch.linspace(-3, 3, 255), torch.randn(50)
    wanted = np.searchsorted(bounds.numpy(), values.numpy(), side="left")
    assert binned(values, bounds).tolist() == wanted.tolist()


def wanted_of(frames: list[int], phonemes: list[int]) -> Wanted:
    longest = max(frames) * UPSAMPLING
    sizes = (torch.tensor(each) for each in (frames, phonemes))
    mel, row = torch.randn(len(frames), longest, 80), torch.randn(len(frames), longest)
    return Wanted(mel, row, -row, *sizes, torch.zeros(len(frames), dtype=torch.long))


def test_losses_count_no_padding() -> None:
    net, given, wanted = Hpm(TINY).eval(), given_of(TINY, 6, 3, batch=2), wanted_of([6, 4], [3, 2])
    given = replace(
        given,
        phonemes_gone=torch.tensor([[0, 0, 0], [0, 0, 1]]).bool(),
        frames_gone=torch.tensor([[0] * 6, [0] * 4 + [1] * 2]).bool(),
    )
    with torch.inference_mode():
        spoken = net(given)
    first = losses(spoken, given, wanted)
    assert set(first) >= {"mel", "refined", "mel_square", "pitch", "energy", "read", "heard", "emotion"}
    for each in (wanted.mel, wanted.pitch, wanted.energy):
        each[1, 16:] = 1e3
    assert losses(spoken, given, wanted) == first


@pytest.mark.slow
def test_a_few_clips_are_learnt_by_heart() -> None:
    net = Hpm(replace(TINY, dropout=0.0)).train()
    for part in net.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    given, wanted = given_of(TINY, 8, 4, batch=2), wanted_of([8, 8], [4, 4])
    optimiser = torch.optim.Adam([each for each in net.parameters() if each.requires_grad], 2e-3, betas=(0.9, 0.98))
    totals = []
    for _ in range(150):
        found = losses(net(given, Prosody(wanted.pitch, wanted.energy)), given, wanted)
        total = torch.stack(list(found.values())).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        totals.append({name: float(each) for name, each in found.items()})
    assert all(totals[-1][name] < 0.5 * totals[0][name] for name in ("mel", "refined", "read", "pitch"))


def saved(path: Path, net: Hpm, under: str = "model", before: str = "module.") -> Path:
    """As published: behind ``module.``, beside an optimiser."""
    tensors = {f"{before}{name}": each for name, each in net.state_dict().items()}
    torch.save({under: tensors, "optimizer": {"state": {0: {"step": torch.ones(1)}}}} if under else tensors, path)
    return path


def unsettled(net: Hpm) -> Hpm:
    """Norms of the postnet as a training leaves them."""
    for name, values in net.state_dict().items():
        if "running" in name:
            values.copy_(torch.rand_like(values) + 0.5)
    return net.eval()


def check_parity(net: Hpm, folder: Path) -> None:
    """What the bundle says is what PyTorch's network says, at lengths that the graph was not traced with."""
    maker = MelMaker(load(folder))
    lengthened(net, 3_000)
    for frames, phonemes in ((3, 2), (11, 8)):
        given = given_of(net.shape, frames, phonemes, seed=frames)
        with torch.inference_mode():
            spoken: Spoken = net(given, Prosody(pitch_scale=1.2))
        seen = Seen(*(getattr(given, name)[0].numpy() for name in ("lips", "speaker", "face", "scene")))
        made = maker.mel(given.phonemes[0].tolist(), seen, pitch=1.2)
        assert np.abs(made - spoken.refined[0].numpy()).max() <= 1e-4


@pytest.mark.slow
def test_a_published_checkpoint_of_full_size_becomes_a_bundle(tmp_path: Path) -> None:
    net = unsettled(Hpm(replace(FILMS, speakers=7)))
    path, out = saved(tmp_path / "900000.pth.tar", net), tmp_path / "mine"
    told = CliRunner().invoke(app, ["hpm", str(path), "-o", str(out)])
    assert told.exit_code == 0, told.output
    check_parity(net, out)


@pytest.mark.parametrize("scene", [True, False])
def test_a_checkpoint_in_the_published_layout_becomes_a_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: bool
) -> None:
    shape = replace(PUBLISHED, scene=scene)
    monkeypatch.setattr(weights, "FILMS" if scene else "LECTURES", shape)
    net, out = unsettled(Hpm(shape)), tmp_path / "mine"
    told = CliRunner().invoke(app, ["hpm", str(saved(tmp_path / "w.pth.tar", net)), "-o", str(out)])
    assert told.exit_code == 0, told.output
    check_parity(net, out)
    maker = MelMaker(load(out))
    assert (maker.spec.rate, maker.played_rate) == ((22_050, 22_000) if scene else (16_000, 16_000))
    for name in (None, "griffin-lim", "world"):
        sound = vocoder_named(name, tmp_path, maker.spec).sound(maker.trial())
        assert sound.shape == (4 * UPSAMPLING * maker.spec.hop,)
        assert np.isfinite(sound).all()
    with pytest.raises(BundleError, match="not a vocoder"):
        Vocoder(load(out))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("mel_linear.bias"), "it lacks mel_linear.bias"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "it has extra, too"),
        (lambda tensors: tensors.update({"mel_linear.bias": torch.zeros(81)}), "mel_linear.bias is 81, not 80"),
        (lambda tensors: tensors.update({"mel_linear.bias": torch.full((80,), torch.nan)}), "numbers that are none"),
        (lambda tensors: tensors.pop("speaker_emb.weight"), "it has no speaker_emb.weight"),
    ],
)
def test_what_is_no_such_checkpoint_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: object, told: str
) -> None:
    monkeypatch.setattr(weights, "FILMS", PUBLISHED)
    tensors = Hpm(PUBLISHED).state_dict()
    assert callable(change)
    change(tensors)
    torch.save({"model": tensors}, tmp_path / "w.pth")
    with pytest.raises(BundleError, match=told):
        weights.read_network(tmp_path / "w.pth")


def test_features_that_do_not_fit_are_one_line(tmp_path: Path) -> None:
    net = Hpm(TINY).eval()
    spec = spec_of(net, SYMBOLS, Sound(), "ours", "")
    maker = MelMaker(load(write_bundle(net, tmp_path / "mine", spec)))
    lips, speaker = np.zeros((3, TINY.lips), np.float32), np.zeros(VECTOR, np.float32)
    with pytest.raises(ConfigError, match="nothing to speak"):
        maker.mel([], Seen(lips, speaker))
    with pytest.raises(ConfigError, match="cannot speak over 751 frames at once"):
        maker.mel([1], Seen(np.zeros((751, TINY.lips), np.float32), speaker))
    with pytest.raises(ConfigError, match="cannot use the features of the face"):
        maker.mel([1], Seen(lips, speaker, face=np.zeros((2, VECTOR), np.float32)))
    with pytest.raises(ConfigError, match="cannot speak phoneme 'XX'"):
        maker.numbers(["AA1", "XX"])
    assert maker.numbers(["AA", "AA0", "ZH", "sil"]) == [0, 1, 83, 86]


def test_the_graph_is_what_the_checkpoint_alone_says(tmp_path: Path) -> None:
    net = Hpm(TINY).eval()
    for name in ("a", "b"):
        graph_of(net, tmp_path / name, 100)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_rate_falls_with_the_root_of_the_steps() -> None:
    plan = Plan(rate=1e-4, warm_up=4_000, decay="root")
    assert plan.rate_at(3_999) == pytest.approx(1e-4)
    assert plan.rate_at(15_999) == pytest.approx(0.5e-4)
    assert plan.rate_at(0) == pytest.approx(1e-4 / 4_000)


def test_a_pitch_goes_through_what_is_not_voiced() -> None:
    track = np.array([np.nan, 100, np.nan, 400, np.nan])
    assert np.exp(through(track)).round(2).tolist() == [100, 100, 200, 400, 400]
    assert np.exp(through(np.full(10, np.nan))) == pytest.approx(120)


def test_phonemes_are_stretches_of_labels() -> None:
    phonemes, places = stretches(np.array([0, 0, 3, 3, 255, 3, 5, 0], np.uint8))
    assert phonemes.tolist() == [1, 4, 6, 1]
    assert places.tolist() == [0, 0, 1, 1, -1, 1, 2, 3]


def test_what_was_heard_has_its_place_in_what_is_written() -> None:
    heard, written = np.array([1, 4, 1, 9, 6, 1]), np.array([1, 4, 7, 8, 6, 1])  # a pause, 9 for 7 or 8
    own = moved(np.array([-1, 0, 1, 1, 2, 3, 4, 5]), heard, written, silent=1)
    assert own[[0, 1, 2, 3, 4, 6, 7]].tolist() == [-1, 0, 1, 1, -1, 4, 5]
    assert own[5] in (2, 3)
    assert moved(np.arange(3), written[:3], written[:3], 1).tolist() == [0, 1, 2]


def test_a_cut_leaves_what_is_said_and_its_times() -> None:
    places = np.repeat([0, 1, 2, 3], [60, 20, 20, 100])
    mel = np.repeat(np.arange(200.0, dtype=np.float32)[:, None], 80, 1)
    row, lips = mel[:, 0], np.repeat(np.arange(50.0, dtype=np.float32)[:, None], 8, 1)
    whole = Clip(
        "a", "s", np.array([1, 4, 6, 1]), places, lips, mel, row, row, *[np.zeros((1, 256), np.float32)] * 3, (SILENT,)
    )
    lengths = set()
    for seed in range(20):
        clip = cut(whole, np.random.default_rng(seed))
        assert clip.mel[0, 0] == UPSAMPLING * clip.lips[0, 0]
        assert len(clip.mel) == len(clip.places) == UPSAMPLING * len(clip.lips)
        assert np.bincount(clip.places)[1:3].tolist() == [20, 20]
        assert (clip.places == 0).sum() >= 20 <= (clip.places == 3).sum()
        lengths.add(len(clip.lips))
    assert len(lengths) > 3


def test_attention_is_led_to_what_an_aligner_heard() -> None:
    net, given, wanted = Hpm(TINY), given_of(TINY, 6, 3), wanted_of([6], [3])
    wanted = replace(wanted, places=torch.arange(24)[None] // 8)
    optimiser = torch.optim.Adam(net.MDA.parameters(), 3e-3)
    found = []
    for _ in range(60):
        loss = losses(net(given), given, wanted)["guided"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(float(loss.detach()))
    assert found[-1] < 0.6 * found[0]
    with torch.inference_mode():
        assert net.eval()(given).shares[0].argmax(1).tolist() == [0, 0, 1, 1, 2, 2]


def test_distortion_is_that_of_cepstra() -> None:
    real = np.random.default_rng(0).normal(size=(9, 80))
    wave = 0.5 * np.cos(3 * np.pi / 80 * (np.arange(80) + 0.5))
    assert mel_distortion(real, real) == 0
    assert mel_distortion(real + 7, real) == pytest.approx(0, abs=1e-6)  # loudness alone
    assert mel_distortion(real + wave, real) == pytest.approx(10 / np.log(10) * np.sqrt(2) * 0.5)


CONFIG = """
[speech]
plan = { steps = 4, check_every = 2 }
engine = { batch = 2, validation_clips = 1 }
"""


@pytest.mark.slow
def test_a_run_makes_a_bundle_that_speaks_and_goes_on(tmp_path: Path) -> None:
    data, out, config = filmed(tmp_path / "data", 4, 1, phones=True), tmp_path / "run", tmp_path / "c.toml"
    config.write_text(CONFIG)
    settled, todo = train_engine.resolve("hpm", [data], out, config)
    launch(settled, out, todo, 1, gpus=False)
    rows = [json.loads(line) for line in (out / "speech" / "log.jsonl").read_text().splitlines()]
    assert {"mel", "refined", "pitch", "energy", "read", "heard", "mcd"} <= set(rows[1])
    assert 5_000_000 < rows[0]["parameters"] <= 6_000_000
    maker = MelMaker(load(out / "speech" / "bundle"))
    clip = read_clip(Dataset(data), Dataset(data).spoken("validation")[0], Reading())
    names = [PHONEMES[number] for number in clip.phonemes]
    track = Dataset(data).load(Dataset(data).spoken("validation")[0])
    assert np.abs(lips_of(track.canonical) - clip.lips).max() < 1e-4  # what a film's faces give is what was learnt
    mel = maker.mel(maker.numbers(names), Seen(clip.lips, voice_vector([clip.mel])))
    assert mel.shape == clip.mel.shape
    net = stage.Hpm(shaped(Shape, read_net(out / "speech" / NET)[1])).eval()
    net.load_state_dict(read_net(out / "speech" / NET)[0])
    net = lengthened(rounded(net), 400)  # positions are not rounded in the bundle
    assert np.abs(stage.speak(net, replace(clip, voice=voice_vector([clip.mel]))) - mel).max() <= 1e-4
    with pytest.raises(ConfigError, match="there is a run in"):
        train_engine.resolve("hpm", [data], out)
    (out / "speech" / NET).unlink()
    settled, todo = train_engine.resolve("hpm", [data], out, resume=True)
    launch(settled, out, todo, 1, gpus=False)
    rows = [json.loads(line) for line in (out / "speech" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row.get("resumed")] == [4]


def test_voices_are_compared_along_their_warp() -> None:
    t = np.arange(8_000) / 16_000
    noise = np.random.default_rng(0).standard_normal(8_000)
    low, high = (np.convolve(noise, np.sin(np.pi * hz * t[:64]), "same") for hz in (300, 3_000))
    one, other = cepstra(low), cepstra(high)
    assert one.shape == (len(one), CEPSTRA)
    assert warped(one, one) == 0
    assert warped(one, one.repeat(2, 0)) == 0
    assert cepstra(0.3 * low) == pytest.approx(one, abs=1e-3)  # loudness alone
    assert warped(one, other) == pytest.approx(warped(other, one)) != 0
    assert len(cepstra(np.pad(low, 4_000))) <= len(one) + 8  # silent ends are none of it
