"""own-texture's net as ``train-engine`` makes it: a bundle that agrees in pieces of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny import filmed, work  # noqa: E402

from engines.common import engine as engines  # noqa: E402
from engines.common import train_engine  # noqa: E402
from engines.common.loop import Plan  # noqa: E402
from engines.common.runs import launch  # noqa: E402
from engines.own_texture.basis import make_basis, sparse  # noqa: E402
from engines.own_texture.draws import SPEC, Version, elsewhere, features_of, heard  # noqa: E402
from engines.own_texture.network import LipNet, Shape  # noqa: E402
from export.torch_session import trained_session  # noqa: E402
from realtime_dub.errors import ConfigError  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.inference.state import HostStream  # noqa: E402

SMALL = """
[lips]
plan = { steps = 6, check_every = 3 }
engine = { batch = 4, versions = 2, delay_ms = 80, validation_tracks = 2 }
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filmed(tmp_path_factory.mktemp("prepared"))


def run(data: Path, out: Path, resume: bool = False) -> list[dict]:
    file = out.parent / "small.toml"
    file.write_text(SMALL)
    given = None if (out / "config.json").exists() else file
    settled, todo = train_engine.resolve("own-texture", [data], out, given, resume=resume)
    launch(settled, out, todo, 1, gpus=False)
    return [json.loads(line) for line in (out / "lips" / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def made(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "own-texture"
    rows = run(data, out)
    assert {"mse", "r", "distance"} <= set(rows[1])
    return out


def test_a_bundle_gives_what_its_net_gives_in_pieces_of_any_size(made: Path) -> None:
    bundle = load(made / "lips" / "bundle")
    assert bundle.spec.look_ahead_ms == 80
    assert [state.before for state in bundle.spec.states] == ["hidden", "cell"]
    net = trained_session(bundle)
    assert net is not None
    features = np.random.default_rng(0).normal(0, 3, (1, 60, 28)).astype(np.float32)
    states = bundle.spec.states
    whole = HostStream(net, states).run({"features": features})
    for size in (1, 7, 60):
        stream, parts = HostStream(bundle.session("cpu"), states), []
        for at in range(0, 60, size):
            parts.append(stream.run({"features": features[:, at : at + size]}))
            stream.keep()
        for name in ("landmarks", "displacement"):
            np.testing.assert_allclose(np.concatenate([each[name] for each in parts], 1), whole[name], atol=1e-4)


def test_it_is_as_large_as_the_published_one() -> None:
    weights = sum(each.numel() for each in LipNet(Shape()).parameters() if each.requires_grad)
    assert weights == 4 * 60 * (28 + 60 + 1) + 61 * 20  # 22,580


def test_the_rate_loses_a_hundredth_each_epoch() -> None:
    plan = Plan(rate=1e-3, warm_up=0, decay="epochs", epoch=30)
    assert [plan.rate_at(step) for step in (0, 29, 30, 300)] == pytest.approx([1e-3, 1e-3, 0.99e-3, 0.99**10 * 1e-3])


def test_a_net_learns_that_lips_follow_the_sound_later(data: Path, tmp_path: Path) -> None:
    """Also that targets are neither early nor late."""
    stage = engines.stages_of("own-texture")["lips"]
    built = stage.make(stage.settings(batch=16, versions=1, delay_ms=100, dropout=0.0), work(data, tmp_path))
    assert isinstance(built, engines.Engine)
    net = built.network().train()
    adam = torch.optim.Adam([each for each in net.parameters() if each.requires_grad], 1e-2)
    for step in range(80):
        loss = built.losses(net, np.random.default_rng(step))["mse"]
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert built.check(net)["r"] > 0.85


def test_a_basis_gives_lips_back_and_moves_the_face_with_them() -> None:
    rng = np.random.default_rng(1)
    motion = (rng.normal(0, 1, (200, 3)) @ rng.normal(0, 0.05, (3, 168 * 3))).reshape(200, 168, 3)
    basis = make_basis(motion, 5)
    again = (basis.coefficients(motion) @ basis.components).reshape(motion.shape)
    assert np.abs(again - motion).max() < 1e-3
    assert np.abs(sparse(again) - sparse(motion)).max() < 1e-3
    assert (basis.coefficients(motion)[:, 0] ** 2).mean() == pytest.approx(1, rel=1e-3)


def test_another_room_is_a_constant_and_another_version_is_as_long(data: Path) -> None:
    dataset = work(data, data).dataset
    clip = dataset.clip(dataset.part("train")[0])
    basis = make_basis(clip.motion, 4)
    rng = np.random.default_rng(0)
    plain, quick = (heard(clip, basis, version, rng) for version in (Version(), Version(1.25, 1.1, 20)))
    assert plain.features.shape == (200, 28)
    assert len(quick.features) == pytest.approx(160, abs=1)
    louder = features_of(clip.audio * 2) - features_of(clip.audio)
    added = np.zeros(28)
    added[0], added[SPEC.cepstra] = np.log(4) * np.sqrt(SPEC.filters), np.log(4)
    loud = clip.audio.reshape(-1, 160).std(1) > 0.02
    np.testing.assert_allclose(louder[2:-2][loud[2:198]].mean(0), added, atol=0.05)
    assert not elsewhere(rng)[14:].any()


def test_a_delay_that_is_no_hop_is_refused(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[lips.engine]\ndelay_ms = 45\n")
    with pytest.raises(ConfigError, match="delay_ms"):
        train_engine.resolve("own-texture", [data], tmp_path / "run", file)
