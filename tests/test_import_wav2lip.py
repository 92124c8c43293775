"""Weights of Wav2Lip become a bundle: every key and shape is looked at, and it paints what PyTorch's network paints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import painters
import pytest
from typer.testing import CliRunner

from engines.wav2lip.importing import import_weights
from engines.wav2lip.layers import expected
from engines.wav2lip.weights import check, read_weights
from export.import_cli import app
from realtime_dub.errors import BundleError, ConfigError, UserError
from realtime_dub.inference.bundle import load
from realtime_dub.mouth.painter.generator import lipgan, wav2lip

pytestmark = pytest.mark.computes

Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """All 36.3 million."""
    rng = np.random.default_rng(0)
    made: Weights = {}
    for name, shape in expected().items():
        if name.endswith(("running_var", "conv_block.1.weight")):
            made[name] = rng.uniform(0.6, 1.4, shape).astype(np.float32)
        elif len(shape) == 4:
            made[name] = (rng.standard_normal(shape, np.float32) * np.sqrt(1.3 / np.prod(shape[1:]))).astype(np.float32)
        else:
            made[name] = (0.1 * rng.standard_normal(shape)).astype(np.float32)
    return made


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write(path: Path, weights: Weights, before: str = "", under: str = "state_dict") -> Path:
    tensors = {f"{before}{name}": painters.tensor(str(n), each) for n, (name, each) in enumerate(weights.items())}
    path.write_bytes(painters.archive({under: tensors, "global_step": 7} if under else tensors))
    return path


def test_the_network_has_the_size_that_is_known() -> None:
    parameters = sum(np.prod(shape) for name, shape in expected().items() if "running" not in name)
    assert parameters == 36_298_035


@pytest.mark.slow
def test_what_is_imported_paints_what_the_network_painted(weights: Weights, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from engines.wav2lip.network import Wav2Lip

    torch.set_num_threads(1)
    net = Wav2Lip().eval()
    found = net.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()}, strict=False)
    assert not found.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in found.missing_keys)
    rng = np.random.default_rng(1)
    feeds = {
        "mel": rng.uniform(-4, 4, (4, 16, 80)).astype(np.float32),
        "face": rng.random((4, 3, 96, 96), np.float32),
        "reference": rng.random((4, 3, 96, 96), np.float32),
    }
    given = [torch.from_numpy(each) for each in feeds.values()]
    with torch.inference_mode():
        _settle(net, given)
        wanted = net(*given).numpy()
    settled = {name: each.numpy() for name, each in net.state_dict().items()}
    folder = tmp_path / "mine"
    import_weights(write(tmp_path / "w.pth", settled, "module."), folder)
    bundle = load(folder)
    assert bundle.known  # its graph was built here: it needs no process of its own
    painted = bundle.session().run(feeds)["painted"]
    assert wanted.std() > 0.01  # it says something
    assert np.abs(painted - wanted).max() <= 1e-4
    assert "non-commercial" in bundle.spec.licence
    with pytest.raises(BundleError, match="it is for the engine wav2lip; give --engine wav2lip"):
        lipgan(bundle=folder)


def _settle(net: Any, given: Any) -> None:
    """Batch norms of what is there: no map vanishes or grows from layer to layer."""
    for layer in net.modules():
        if hasattr(layer, "momentum"):
            layer.momentum = 1.0
    net.train()(*given)
    net.eval()


@pytest.mark.parametrize(("before", "under"), [("", "state_dict"), ("module.module.", "")])
def test_names_are_found_whatever_stands_before_them(before: str, under: str, weights: Weights, tmp_path: Path) -> None:
    found = read_weights(write(tmp_path / "w.pth", weights, before, under))
    assert found.keys() == weights.keys()
    assert np.array_equal(found["output_block.1.weight"], weights["output_block.1.weight"])


def shapes(**changed: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    both = expected() | {name.replace("/", "."): shape for name, shape in changed.items()}  # type: ignore[operator]
    return {name: shape for name, shape in both.items() if shape is not None}


def test_another_network_is_refused_and_what_differs_is_named(weights: Weights, tmp_path: Path) -> None:
    path = Path("x.pth")
    check(path, shapes())
    with pytest.raises(BundleError, match=r"it lacks output_block\.1\.bias; give Wav2Lip's own"):
        check(path, shapes(**{"output_block.1.bias": None}))
    with pytest.raises(BundleError, match=r"it has sam\.conv\.weight, too"):
        check(path, shapes(**{"sam.conv.weight": (1, 2, 7, 7)}))
    with pytest.raises(BundleError, match=r"audio_encoder\.0\.conv_block\.0\.weight is 32×1×5×5, not 32×1×3×3"):
        check(path, shapes(**{"audio_encoder.0.conv_block.0.weight": (32, 1, 5, 5)}))
    larger = {f"face_encoder_blocks.{block}.0.conv_block.0.weight": (8, 8, 3, 3) for block in (7, 8)}
    with pytest.raises(BundleError, match="9 blocks of its face encoder, as networks of 384 pixels have"):
        check(path, shapes(**larger))
    with pytest.raises(BundleError, match=r"none of its 302 tensors, but netG\.a"):
        check(path, {"netG.a": (1,)})
    spoilt = weights | {"output_block.1.bias": np.full(3, np.nan, np.float32)}
    with pytest.raises(BundleError, match=r"output_block\.1\.bias has numbers that are none"):
        read_weights(write(tmp_path / "w.pth", spoilt))


@pytest.mark.parametrize("size", [96, 256, 288])
def test_onnx_files_are_known_by_their_sizes(size: int, tmp_path: Path) -> None:
    path, folder = tmp_path / "whatever.onnx", tmp_path / "mine"
    path.write_bytes(painters.stacked_net(size))
    import_weights(path, folder)
    bundle = load(folder)
    assert not bundle.known  # anything may be in it
    assert bundle.spec.crop.size == size
    assert bundle.spec.engine == "wav2lip"
    generator = wav2lip(bundle=folder)
    assert generator.backend == "cpu"
    generator.close()


def test_onnx_files_of_other_networks_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(painters.files.mouth_net())
    with pytest.raises(BundleError, match=r"no network that paints faces: x\.onnx: it has mel 1×any×80"):
        import_weights(path, tmp_path / "mine")
    path.write_bytes(b"no network")
    with pytest.raises(BundleError, match="cannot run bundle"):
        import_weights(path, tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_the_command_says_what_to_do_next_and_what_the_licence_is(tmp_path: Path) -> None:
    path, folder = tmp_path / "whatever.onnx", tmp_path / "mine"
    path.write_bytes(painters.stacked_net())
    done = CliRunner().invoke(app, ["wav2lip", str(path), "-o", str(folder)])
    assert done.exit_code == 0, done.output
    assert f"--engine wav2lip --bundle {folder}" in done.output
    assert "non-commercial" in done.output
    (folder / "letter.txt").write_text("dear")
    again = CliRunner().invoke(app, ["wav2lip", str(path), "-o", str(folder)])
    assert isinstance(again.exception, ConfigError)
    assert "there is something else" in str(again.exception)
    for arguments in (["dreams", str(path)], ["wav2lip", str(tmp_path / "none")]):
        failed = CliRunner().invoke(app, [*arguments, "-o", str(tmp_path / "other")])
        assert isinstance(failed.exception, UserError)


def test_a_bundle_that_was_changed_is_not_ones_own_any_more(tmp_path: Path) -> None:
    from realtime_dub.inference import made_here

    folder = painters.write_bundle(tmp_path / "mine", painters.reference_net())
    assert not load(folder).known
    spec = json.loads((folder / "spec.json").read_text())
    made_here.write(spec["sha256"]["network.onnx"])
    assert load(folder).known
    assert not load(painters.write_bundle(tmp_path / "other", painters.reference_net(0.5))).known
