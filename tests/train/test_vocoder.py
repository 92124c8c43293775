"""HiFi-GAN: published generators become bundles, weight norms folded, that sound as PyTorch's network does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from engines.vocoder.network import PUBLISHED_16K, PUBLISHED_22K, SMALL, Generator, Shape
from engines.vocoder.weights import read_generator
from export.import_cli import app
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.speaking import MelMaker, Vocoder

pytestmark = pytest.mark.computes
TINY = replace(SMALL, channels=32)


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    torch.manual_seed(0)


def normed(shape: Shape) -> Generator:
    """With PyTorch's own weight norm, lengths and directions apart."""
    net = Generator(shape)
    for part in net.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            torch.nn.utils.weight_norm(part)
            part.weight_g.data.mul_(1.6)
    return net.eval()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("shape", [TINY, replace(TINY, rates=PUBLISHED_22K.rates, kernels=PUBLISHED_22K.kernels)])
def test_a_published_generator_becomes_a_bundle(tmp_path: Path, shape: Shape) -> None:
    net, path, out = normed(shape), tmp_path / "g_02500000", tmp_path / "mine"
    torch.save({"generator": net.state_dict()}, path)
    told = CliRunner().invoke(app, ["hifigan", str(path), "-o", str(out)])
    assert told.exit_code == 0, told.output
    vocoder = Vocoder(load(out))
    for frames in (3, 21):
        mel = np.random.default_rng(frames).normal(-4, 2, (frames, 80)).astype(np.float32)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(mel.T)[None])[0].numpy()
        assert wanted.std() > 1e-3
        assert len(wanted) == frames * shape.hop
        assert np.abs(vocoder.sound(mel) - wanted).max() <= 1e-4
    with pytest.raises(BundleError, match="not a speech bundle"):
        MelMaker(load(out))


def test_the_published_generator_has_its_size() -> None:
    with torch.device("meta"):
        sizes = [sum(each.numel() for each in Generator(shape).parameters()) for shape in (PUBLISHED_16K, SMALL)]
    assert sizes == [13_729_409, 553_937]
    assert (PUBLISHED_16K.hop, PUBLISHED_22K.hop) == (160, 220)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda tensors: tensors.pop("conv_pre.weight"), "it has no conv_pre and ups"),
        (lambda tensors: tensors.pop("conv_post.bias"), "it lacks conv_post.bias"),
        (lambda tensors: tensors.update(odd=torch.zeros(2)), "it has odd, too"),
        (lambda tensors: tensors.update({"ups.0.weight": torch.zeros(32, 16, 7)}), "a kernel of 7 samples"),
        (lambda tensors: tensors.update({"conv_post.weight_v": torch.zeros(1, 2, 7)}), "conv_post.weight_g is missing"),
        (lambda tensors: tensors.update({"conv_post.bias": torch.full((1,), torch.inf)}), "numbers that are none"),
    ],
)
def test_what_is_no_such_generator_is_one_line(tmp_path: Path, change: object, told: str) -> None:
    tensors = Generator(TINY).state_dict()
    assert callable(change)
    change(tensors)
    torch.save({"generator": tensors}, tmp_path / "g")
    with pytest.raises(BundleError, match=told):
        read_generator(tmp_path / "g")
