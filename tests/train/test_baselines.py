"""The nets that ours is compared with: of its size, causal, the same in a stream, and they learn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny import filmed, work  # noqa: E402

from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.loop import Plan  # noqa: E402
from engines.common.runs import train  # noqa: E402
from engines.mouthbank import baselines, compare  # noqa: E402
from engines.mouthbank.direct import OFFSETS  # noqa: E402
from engines.mouthbank.export import export_bundle  # noqa: E402
from engines.mouthbank.network import LOOK_AHEAD, GivesMotion, MotionNet, Shape  # noqa: E402
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.mouth.mouthbank.motion import MotionStream  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

SMALL = {
    "plain": lambda: MotionNet(Shape(width=8, dilations=(1, 4), components=3)),
    "window": lambda: baselines.WindowNet(baselines.WindowShape(widths=(2, 2, 4, 4, 8), components=3)),
    "recurrent": lambda: baselines.RecurrentNet(baselines.RecurrentShape(width=8, components=3)),
}
BASELINES = ("window", "recurrent")


def ready(name: str) -> GivesMotion:
    """A small net with random weights that answers clearly."""
    torch.manual_seed(0)
    net = SMALL[name]().eval()
    net.basis.copy_(torch.randn_like(net.basis))
    with torch.no_grad():
        for weight in net.parameters():
            weight.mul_(1.5)
    return net


def answers(net: GivesMotion, mel: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(mel, net.initial_state(len(mel)))[0]


@pytest.mark.parametrize("name", BASELINES)
def test_it_is_as_large_as_the_direct_net(name: str) -> None:
    direct = baselines.parameters(MotionNet(Shape()))
    assert baselines.parameters(compare.fresh(name, compare.Settings())) == pytest.approx(direct, rel=0.02)


@pytest.mark.parametrize("name", BASELINES)
def test_the_mouth_of_an_instant_hears_no_more_than_the_look_ahead(name: str) -> None:
    net, instant = ready(name), 40
    mel = torch.randn(1, 80, 80)
    whole = answers(net, mel)
    for first, same in ((instant + LOOK_AHEAD + 1, True), (instant + LOOK_AHEAD, False)):
        other = mel.clone()
        other[:, first:] += 1
        now = answers(net, other)[:, : instant + LOOK_AHEAD + 1]
        assert torch.equal(now, whole[:, : instant + LOOK_AHEAD + 1]) is same


def test_a_window_is_27_frames_and_no_more() -> None:
    net, mel = ready("window"), torch.randn(1, 80, 80)
    other = mel.clone()
    other[:, 20] += 10
    moved = (answers(net, other) != answers(net, mel)).flatten(2).any(-1)[0]
    assert moved.nonzero()[:, 0].tolist() == list(range(20, 20 + baselines.WINDOW))


@pytest.mark.parametrize("name", BASELINES)
def test_the_exported_net_streams_what_torch_computes(name: str, tmp_path: Path) -> None:
    net = ready(name)
    net.basis.mul_(0.01)  # mouths that can be some
    sound = (0.1 * np.random.default_rng(1).standard_normal(16_001)).astype(np.float32)
    mel = LogMel().process(sound)
    wanted = answers(net, torch.from_numpy(mel)[None])[0].numpy()
    stream = MotionStream(load(export_bundle(net, LogMelSpec(), tmp_path / "bundle")))
    for at in range(0, len(sound), 777):
        stream.hear(sound[at : at + 777], at * 62_500)
    for frame in range(0, len(mel) - LOOK_AHEAD, 7):
        found = stream.at(frame * 10_000_000).displacement
        assert np.abs(found - wanted[frame + LOOK_AHEAD]).max() < 1e-6


def test_windows_in_training_are_those_of_a_stream() -> None:
    net = ready("window")
    mel, ends = torch.randn(2, 60, 80), torch.tensor([[8, 12, 59], [9, 30, 31]])
    with torch.no_grad():
        whole, speech, _ = net.coefficients(mel, net.initial_state(2))
        found, logit = net.strided_forward(mel, ends)
    rows = torch.arange(2)[:, None]
    assert torch.allclose(found, whole[rows, ends], atol=1e-5)
    assert torch.allclose(logit, speech[rows, ends], atol=1e-5)


@pytest.fixture(scope="module", name="folder")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder, and beside it what a direct net has measured of its clips."""
    folder = filmed(tmp_path_factory.mktemp("data"), 6, held=1)
    (folder / OFFSETS).write_text(json.dumps({f"t{index}": 0.01 * (index % 2) for index in range(5)}))
    return folder


@pytest.mark.parametrize("name", ["plain", *BASELINES])
def test_a_few_steps_lower_the_loss(name: compare.Kind, folder: Path, tmp_path: Path) -> None:
    plan = Plan(steps=40, warm_up=5, check_every=20, rate=1e-2)
    small = {"width": 8, "recurrent_width": 8, "window_widths": (2, 2, 4, 4, 8)}
    settings = compare.Settings(batch=4, frames=120, components=3, **small)
    made = compare.maker(name)(settings, work(folder, tmp_path, direct=folder / "net.safetensors"))
    train(made, plan, tmp_path, DistributedContext())
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [row["basis"] + row["lips"] for row in rows if "lips" in row]
    assert losses[-1] < 0.9 * losses[0]
    assert load(tmp_path / "bundle").look_ahead_ms == 80
