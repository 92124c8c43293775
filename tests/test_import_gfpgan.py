"""Weights of GFPGAN become a bundle that makes faces clearer: every key is looked at, and it gives what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import painters
import pytest
from faces import portrait
from typer.testing import CliRunner

from engines.gfpgan.importing import import_weights
from engines.gfpgan.layers import DECODER, PUBLISHED, Shape, expected
from engines.gfpgan.weights import read_weights
from export.import_cli import app
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference.bundle import load
from realtime_dub.mouth.avatar.enhancing import Seen
from realtime_dub.mouth.avatar.restoring import FFHQ, Restorer, aligned

pytestmark = pytest.mark.computes

Weights = dict[str, np.ndarray]
SMALL = Shape(style=6, widths={4: 8, 8: 8, 16: 6, 32: 4})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def drawn(shape: Shape = SMALL) -> Weights:
    rng = np.random.default_rng(0)
    made = {}
    for name, size in expected(shape).items():
        fan = np.prod(size[1:]) if len(size) in (2, 4) and "noise" not in name else 1
        made[name] = (rng.standard_normal(size) * np.sqrt(1 / max(1, fan)) * 0.8).astype(np.float32)
    return made


def write(path: Path, weights: Weights, under: str = "params_ema") -> Path:
    """As it is published: averaged weights, those of training beside them, and parts that are not used."""
    unused = {f"{DECODER}.style_mlp.1.weight": np.eye(6, dtype=np.float32), "toRGB.0.bias": np.zeros(3, np.float32)}
    every = weights | unused
    tensors = {name: painters.tensor(str(n), each) for n, (name, each) in enumerate(every.items())}
    other = {"conv_body_first.bias": painters.tensor("other", np.ones(2, np.float32))}
    path.write_bytes(painters.archive({under: tensors} | ({"params": other} if under == "params_ema" else {})))
    return path


def reference(weights: Weights, face: np.ndarray) -> np.ndarray:
    """The network as it is described, with PyTorch: RGB (1, 3, 32, 32) in -1..1, and so back."""
    import torch
    from torch.nn import functional

    w = {name: torch.from_numpy(each) for name, each in weights.items()}

    def conv(x: Any, name: str, slope: float | None = 0.2) -> Any:
        weight = w[f"{name}.weight"]
        made = functional.conv2d(x, weight, w.get(f"{name}.bias"), padding=weight.shape[-1] // 2)
        return made if slope is None else functional.leaky_relu(made, slope)

    def sized(x: Any, by: float) -> Any:
        return functional.interpolate(x, scale_factor=by, mode="bilinear", align_corners=False)

    def block(x: Any, name: str, by: float) -> Any:
        inner = conv(sized(conv(x, f"{name}.conv1"), by), f"{name}.conv2")
        return inner + conv(sized(x, by), f"{name}.skip", None)

    def shaped(x: Any, style: Any, name: str, norm: bool) -> Any:
        """The weights themselves are scaled here."""
        own = f"{DECODER}.{name}.modulated_conv"
        scale = style @ w[f"{own}.modulation.weight"].T + w[f"{own}.modulation.bias"]
        weight = w[f"{own}.weight"][0] * scale.reshape(1, -1, 1, 1)
        if norm:
            weight = weight / torch.sqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        return functional.conv2d(x, weight, padding=weight.shape[-1] // 2)

    def styled(x: Any, style: Any, name: str, noise: int) -> Any:
        made = shaped(x, style, name, True) * 2**0.5
        made = made + w[f"{DECODER}.{name}.weight"] * w[f"{DECODER}.noises.noise{noise}"]
        return functional.leaky_relu(made + w[f"{DECODER}.{name}.bias"], 0.2)

    def coloured(x: Any, style: Any, name: str) -> Any:
        return shaped(x, style, name, False) + w[f"{DECODER}.{name}.bias"]

    x, skips = conv(torch.from_numpy(face), "conv_body_first"), []
    for level in range(3):
        skips.insert(0, x := block(x, f"conv_body_down.{level}", 0.5))
    x = conv(x, "final_conv")
    styles = (x.reshape(1, -1) @ w["final_linear.weight"].T + w["final_linear.bias"]).reshape(8, 6)
    led = []
    for level in range(3):
        x = block(x + skips[level], f"conv_body_up.{level}", 2)
        led.append(
            [
                conv(conv(x, f"condition_{each}.{level}.0"), f"condition_{each}.{level}.2", None)
                for each in ("scale", "shift")
            ]
        )
    x = styled(w[f"{DECODER}.constant_input.weight"], styles[0], "style_conv1", 0)
    rgb = coloured(x, styles[1], "to_rgb1")
    for level in range(3):
        at = 2 * level + 1
        x = styled(sized(x, 2), styles[at], f"style_convs.{at - 1}", at)
        half = x.shape[1] // 2
        x = torch.cat([x[:, :half], x[:, half:] * led[level][0] + led[level][1]], 1)
        x = styled(x, styles[at + 1], f"style_convs.{at}", at + 1)
        rgb = coloured(x, styles[at + 2], f"to_rgbs.{level}") + sized(rgb, 2)
    return np.asarray(rgb.numpy())


def test_the_network_has_the_size_that_is_known() -> None:
    """The published file of version 1.3 has 348.6 MB, training's own parts in it."""
    used = sum(int(np.prod(size)) for size in expected(PUBLISHED).values())
    mlp, rgb = 8 * (512 * 512 + 512), sum(3 * PUBLISHED.net(side) + 3 for side in PUBLISHED.sides)
    assert 4 * (used + mlp + rgb) == pytest.approx(348.6e6, rel=2e-3)


@pytest.mark.slow
def test_what_is_imported_gives_what_the_network_gives(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    weights, folder = drawn(), tmp_path / "mine"
    import_weights(write(tmp_path / "GFPGANv1.3.pth", weights), folder)
    bundle = load(folder)
    assert bundle.known  # its graph was built here
    face = np.random.default_rng(1).random((1, 3, 32, 32), np.float32)  # BGR, 0..1
    found = bundle.session().run({"face": face})["restored"]
    wanted = reference(weights, np.ascontiguousarray(2 * face[:, ::-1] - 1))
    assert wanted.std() > 0.05  # it says something
    np.testing.assert_allclose(found[:, ::-1] * 2 - 1, wanted, atol=2e-4)


@pytest.mark.parametrize("under", ["params", ""])
def test_names_are_found_whatever_stands_before_them(under: str, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    if under:
        write(path, drawn(), under)
    else:
        path.write_bytes(painters.archive({n: painters.tensor(str(k), e) for k, (n, e) in enumerate(drawn().items())}))
    shape, weights = read_weights(path)
    assert shape == SMALL
    assert weights.keys() == expected(SMALL).keys()


def test_another_network_is_refused_and_what_differs_is_named(tmp_path: Path) -> None:
    lacking = {name: each for name, each in drawn().items() if name != "final_linear.bias"}
    for weights, wrong in (
        (lacking, r"it lacks final_linear\.bias; give GFPGANv1\.2, 1\.3 or 1\.4"),
        (
            drawn() | {"conv_body_first.1.weight": np.ones((1, 1), np.float32)},
            r"it has conv_body_first\.1\.weight, too",
        ),
        (drawn() | {"final_conv.bias": np.ones(3, np.float32)}, "final_conv.bias is 3, not 4"),
        (drawn() | {"final_conv.bias": np.full(4, np.nan, np.float32)}, "has numbers that are none"),
        ({"layer.weight": np.ones(3, np.float32)}, r"not GFPGAN's network: .*it has layer\.weight"),
    ):
        with pytest.raises(BundleError, match=wrong):
            read_weights(write(tmp_path / "w.pth", weights))
    (tmp_path / "w.pth").write_bytes(painters.archive({"params_ema": painters.called("os.system", "true")}))
    with pytest.raises(BundleError, match=r"cannot take weights from .*os\.system"):
        read_weights(tmp_path / "w.pth")


def graph(path: Path, gives: str, size: int = 32) -> Path:
    """An ONNX file of somebody's: RGB in -1..1 in and out, by ``gives`` of ONNX's operators."""
    pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    sides = ["n", 3, size, size]
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in ("anything", "found")]
    nodes = [helper.make_node(gives, ["anything"], ["found"])]
    made = helper.make_graph(nodes, "theirs", ports[:1], ports[1:])
    path.write_bytes(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    return path


def seen(side: int = 160) -> Seen:
    picture = np.ascontiguousarray(cv2.resize(portrait(240)[:, :240], (side, side)))
    face = (TEMPLATE[:, :2] * 0.22 * side / np.ptp(TEMPLATE[:, 0]) * 2 + side / 2).astype(np.float32)
    share = np.ones((side, side), np.float32)
    share[:, :10] = 0
    return Seen(picture, share, face)


@pytest.mark.slow
def test_a_graph_of_somebodys_runs_apart_and_paints_the_face_alone(tmp_path: Path) -> None:
    import_weights(graph(tmp_path / "theirs.onnx", "Identity", 256), tmp_path / "same")
    one = seen()
    same = Restorer(tmp_path / "same")
    assert not load(tmp_path / "same").known
    assert "not for commercial use" in same.terms
    assert "GFPGAN" in same.terms
    assert same.compute_ns > 0
    found = same.enhanced(one).astype(int)
    moved = np.abs(np.roll(one.picture, 1, 1).astype(int) - one.picture).mean()
    assert np.abs(found - one.picture).mean() < 0.3 * moved  # what goes through comes back to its place
    import_weights(graph(tmp_path / "theirs.onnx", "Neg", 256), tmp_path / "turned")
    turned = Restorer(tmp_path / "turned").enhanced(one).astype(int)
    changed = np.abs(turned - one.picture).max(2) > 2
    assert changed[60:100, 60:100].mean() > 0.2
    assert not changed[:20].any()
    assert not changed[:, :10].any()


def test_a_face_lies_as_the_network_learnt_it() -> None:
    side, face = 512, seen().face
    turn = np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
    for points in (face, face @ turn.T * 1.7 + 30):
        crop = aligned(points, side)
        there = points @ crop.matrix[:, :2].T + crop.matrix[:, 2]
        eyes = (there[[33, 133]].mean(0), there[[362, 263]].mean(0))
        assert np.abs(np.stack(eyes) - FFHQ[:2] * side).max() < 0.06 * side
        assert eyes[0][0] < eyes[1][0]


def test_what_restores_no_faces_is_refused(tmp_path: Path) -> None:
    onnx_file = graph(tmp_path / "theirs.onnx", "Identity", 8)
    with pytest.raises(BundleError, match="no network that restores faces"):
        import_weights(onnx_file, tmp_path / "o")
    with pytest.raises(BundleError, match=r"no network that restores faces: .* its task is crop"):
        Restorer(painters.write_bundle(tmp_path / "painter", painters.reference_net()))


def test_the_command_says_how_it_is_used_and_what_holds_for_it(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    path = write(tmp_path / "w.pth", drawn())
    found = CliRunner().invoke(app, ["gfpgan", str(path), "-o", str(tmp_path / "b")])
    assert found.exit_code == 0, found.output
    assert f"--enhancer {tmp_path / 'b'}" in found.output
    assert "Licence: Apache 2.0, with parts for research alone" in found.output
