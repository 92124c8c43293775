"""Nets go into bundles and come out of them the same; a net goes on from one with other heads and another basis."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_proxy import tiny_net  # noqa: E402
from test_speech import SHAPE, randomised  # noqa: E402
from tiny import SPEC  # noqa: E402

from engines.common.bundle_files import rounded  # noqa: E402
from engines.common.speech.network import STRIDE, convolved  # noqa: E402
from engines.mouthbank.data import make_basis  # noqa: E402
from engines.mouthbank.ensemble import Mean, shipped  # noqa: E402
from engines.mouthbank.export import export_bundle  # noqa: E402
from engines.mouthbank.from_bundle import direct_net, main, voice_net, whole_net  # noqa: E402
from engines.mouthbank.network import MotionNet, Shape  # noqa: E402
from engines.mouthbank.rewrite import rewrite  # noqa: E402
from engines.mouthbank.voice_net import VoiceNet, VoiceShape, go_on, load_voice  # noqa: E402
from realtime_dub.errors import BundleError, ConfigError  # noqa: E402
from realtime_dub.inference.bundle import SPEC as SPEC_FILE  # noqa: E402
from realtime_dub.inference.bundle import load  # noqa: E402
from realtime_dub.mouth.mouthbank.motion import MotionStream, trunk_of  # noqa: E402
from realtime_dub.mouth.mouthbank.own_voice import tells_features  # noqa: E402
from realtime_dub.mouth.mouthbank.trunk import TrunkStream  # noqa: E402
from realtime_dub.mouth.mouthbank.trunk_gradients import Forward  # noqa: E402


def bundles(tmp_path: Path, nets: dict[int, Mean]) -> list[Path]:
    return [export_bundle(rounded(net), SPEC, tmp_path / f"bundle-{ahead}") for ahead, net in nets.items()]


def said_by(folder: Path) -> list[np.ndarray]:
    """What a bundle's network gives for one sound, its states too."""
    bundle = load(folder, known=True)
    mel = np.random.default_rng(0).normal(size=(1, 30, 80)).astype(np.float32)
    states = {state.before: np.zeros(state.zeros_shape(), np.float32) for state in bundle.spec.states}
    return list(bundle.session("cpu").run({"mel": mel, **states}).values())


def test_nets_come_out_of_bundles_as_they_went_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    direct, voice = randomised(MotionNet(Shape(width=8, components=3))), tiny_net()
    for buffer in (direct.basis, direct.band_mean, direct.band_scale):  # what is the same twice is stored once
        buffer.copy_(torch.rand_like(buffer))
    made = bundles(tmp_path, shipped([direct, voice], [1.0, 3.0]))
    monkeypatch.setattr("sys.argv", ["from_bundle", *map(str, made), "--out", str(tmp_path / "run")])
    main()
    assert "heads of 0, 40, 80, 160 ms" in capsys.readouterr().out
    found = load_voice(tmp_path / "run")
    for name, tensor in voice.state_dict().items():
        assert torch.allclose(found.state_dict()[name], tensor, atol=1e-6), name
    other = direct_net(made[-1])
    assert other is not None
    assert all(
        torch.allclose(tensor, other.state_dict()[name], atol=1e-6) for name, tensor in direct.state_dict().items()
    )
    assert direct_net(made[0]) is None  # it looks too far ahead for that one
    alone = export_bundle(direct, SPEC, tmp_path / "direct")
    with pytest.raises(BundleError, match="no voice net in"):
        voice_net([alone])


def test_the_trunk_of_a_voice_net_says_what_the_net_says_and_its_gradients_are_those_of_torch() -> None:
    net, mel = tiny_net(), torch.randn(1, 120, 80)
    for look_ahead in net.shape.look_aheads:
        at = net.ahead(look_ahead)
        trunk = at.trunk()
        assert trunk is not None
        with torch.no_grad():
            told = at.featured(mel, at.initial_state())[2].told[0, ::STRIDE].numpy()
            coefficients = at.coefficients(mel, at.initial_state())[0][0, ::STRIDE].numpy()
        assert np.allclose(TrunkStream(trunk).run(told), coefficients, atol=1e-5)
    weights = np.random.default_rng(0).normal(size=(1, len(told), len(net.basis))).astype(np.float32)
    gradient = np.zeros(trunk.shape.size, np.float32)
    Forward(trunk.shape, [trunk.weights], told[None]).backward([weights], [trunk.shape.views(gradient)])
    net.zero_grad()
    x = convolved(torch.from_numpy(told)[None], at.enter.conv, 1)
    for block in at.blocks:
        x = block.strided_forward(x)
    (at._head()(torch.nn.functional.gelu(x, approximate="tanh"))[0] * torch.from_numpy(weights)).sum().backward()
    views, head = trunk.shape.views(gradient), at._head()
    for name, layer in (("enter", at.enter.conv), ("0.dilated", at.blocks[0].dilated.conv), ("leave", head.leave)):
        by_torch = layer.weight.grad.permute(2, 1, 0).reshape(-1, layer.weight.shape[0]).numpy()
        assert np.allclose(views[f"{name}.weight"], by_torch, rtol=1e-3, atol=1e-4 * np.abs(by_torch).max()), name
        assert np.allclose(views[f"{name}.bias"], layer.bias.grad.numpy(), rtol=1e-3, atol=1e-4), name
    assert np.allclose(views["1.norm.weight"], at.blocks[1].norm.weight.grad.numpy(), rtol=1e-3, atol=1e-4)


def test_a_bundle_brings_its_trunk_and_one_that_tells_less_is_told_by_its_spec(tmp_path: Path) -> None:
    net = shipped([tiny_net()], [1.0])[8]
    [folder] = bundles(tmp_path, {8: net})
    trunk = trunk_of(load(folder))
    assert trunk is not None
    assert trunk.shape.inputs == net.nets[0].shape.inputs
    assert np.array_equal(trunk.flat, np.float16(net.trunk().flat).astype(np.float32))
    whole = whole_net(folder)
    state = net.initial_state()
    assert len(whole(torch.zeros(1, 4, 80), *state)) == 4 + len(state)
    said, spec = said_by(folder), load(folder).spec
    told = json.loads((folder / SPEC_FILE).read_text())
    told["outputs"] = [output for output in told["outputs"] if output["name"] != "told"]
    (folder / SPEC_FILE).write_text(json.dumps(told))
    assert trunk_of(load(folder)) is None
    assert len(whole_net(folder)(torch.zeros(1, 4, 80), *state)) == 3 + len(state)
    rewrite(folder)  # and tells all of it again
    assert load(folder).spec.model_copy(update={"sha256": spec.sha256}) == spec
    assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(said_by(folder), said, strict=True))
    with pytest.raises(BundleError, match="is not a voice net alone"):
        rewrite(export_bundle(MotionNet(Shape(width=8)), SPEC, tmp_path / "direct"))
    mean = Mean([tiny_net().ahead(8), tiny_net().ahead(8)], [1.0, 1.0])
    assert mean.trunk() is None


def test_a_voice_net_alone_tells_what_its_motion_is_made_of(tmp_path: Path) -> None:
    voice = tiny_net()
    mels = [torch.randn(1, 200, 80) for _ in range(3)]
    at = voice.ahead(8)
    at.measure_features(mels)
    [mean] = [net for ahead, net in shipped([MotionNet(Shape(width=8)), voice], [0.0, 1.0]).items() if ahead == 8]
    with torch.no_grad():
        features = mean.featured(mels[0], mean.initial_state())[2].features[0]
        coefficients = at.coefficients(mels[0], at.initial_state())[0][0]
    assert features.mean(0).abs().max() < 0.5
    assert 0.7 < float(features.std()) < 1.3
    head = at._head()
    again = (features * head.scale + head.mean) @ head.motion.weight[:, :, 0].T + head.motion.bias
    assert torch.allclose(again, coefficients, atol=1e-4)
    [folder] = bundles(tmp_path, {8: mean})
    bundle = load(folder)
    assert tells_features(bundle)
    stream = MotionStream(bundle)
    stream.hear((0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32), 0)
    found = stream.at(500_000_000).features
    assert found is not None
    assert found.shape == (8,)
    assert np.isfinite(found).all()
    assert found.any()
    both = bundles(
        tmp_path / "both", {8: shipped([randomised(MotionNet(Shape(width=8, components=3))), voice], [1.0, 1.0])[8]}
    )
    assert not tells_features(load(both[0]))


def test_it_goes_on_with_other_heads_and_another_basis() -> None:
    earlier = tiny_net()
    rng = np.random.default_rng(0)
    motion = rng.normal(0, 1, (500, 3)) @ earlier.basis.numpy() + rng.normal(0, 1e-4, (500, 504))
    basis = make_basis(motion.reshape(-1, 168, 3), 6)
    net = randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4), components=6, look_aheads=(0, 8, 50))))
    assert isinstance(net, VoiceNet)
    net.basis.copy_(torch.from_numpy(basis.components))
    net.hear.load_state_dict(earlier.hear.state_dict())
    go_on(net, earlier, basis)
    mel = torch.randn(1, 60, 80)
    with torch.no_grad():
        for ahead, other in ((0, 0), (8, 8), (50, 16)):
            mine, its = (each(mel, each.initial_state())[0] for each in (net.ahead(ahead), earlier.ahead(other)))
            assert float((mine - its).abs().max()) < 0.05 * float(its.abs().max())
    wider = VoiceNet(VoiceShape(SHAPE, width=12, dilations=(2, 4), components=6))
    with pytest.raises(ConfigError, match="cannot begin with that voice net: it has width 8"):
        go_on(wider, earlier, basis)
