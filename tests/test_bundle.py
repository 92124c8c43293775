"""Bundles: what is shipped loads, what is damaged is refused in one line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.mouth import backend
from realtime_dub.mouth.bundle import Bundle, load, load_default
from realtime_dub.mouth.motion import MotionStream


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_default()


@pytest.fixture
def copy(shipped: Bundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped.folder, tmp_path / "bundle"))


def edit(folder: Path, **changes: object) -> None:
    path = folder / "spec.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_shipped_bundle_describes_itself(shipped: Bundle) -> None:
    spec = shipped.spec
    assert spec.engine == "mouthbank"
    assert spec.points == tuple(LOWER)
    assert spec.look_ahead_ns == 80_000_000
    assert spec.training_data[0].licence == "CC BY 4.0"
    assert spec.name in shipped.label
    assert sum(path.stat().st_size for path in shipped.folder.iterdir()) < 20_000_000


def test_the_network_has_the_tensors_that_the_spec_names(shipped: Bundle) -> None:
    spec = shipped.spec
    feeds = {state.before: np.zeros(state.shape, state.dtype) for state in spec.states}
    results = shipped.session().run(feeds | {"mel": np.zeros((1, 3, spec.audio.bands), np.float32)})
    for tensor in spec.outputs:
        expected = tuple(3 if size is None else size for size in tensor.shape)
        assert results[tensor.name].shape == expected
        assert results[tensor.name].dtype == tensor.dtype
    for state in spec.states:
        assert results[state.after].shape == state.shape


def test_streams_share_one_session(shipped: Bundle) -> None:
    assert shipped.session() is shipped.session()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "unknown bundle format 2"),
        ({"format": None}, "unknown bundle format"),
        ({"look_ahead_ms": -1}, "look_ahead_ms"),
        ({"look_ahead_ms": 33}, "whole number of hops"),
        ({"frame_rate": 50.0}, "one output per hop"),
        ({"surprise": 1}, "surprise"),
        ({"model": "other.onnx"}, "no hash for other.onnx"),
        ({"sha256": {"motion.onnx": "0" * 64}}, "its hash is not the one"),
        ({"sha256": {"motion.onnx": "0" * 64, "../x": "0"}}, "plain file name"),
    ],
)
def test_a_wrong_spec_is_refused_in_one_line(copy: Path, changes: dict[str, object], message: str) -> None:
    edit(copy, **changes)
    with pytest.raises(BundleError, match=message) as caught:
        load(copy)
    assert "\n" not in str(caught.value)


def test_one_flipped_bit_is_found(copy: Path) -> None:
    data = bytearray((copy / "motion.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "motion.onnx").write_bytes(data)
    with pytest.raises(BundleError, match="damaged bundle"):
        load(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / "motion.onnx").unlink()
    with pytest.raises(BundleError, match=r"incomplete bundle .*motion\.onnx"):
        load(copy)


def test_no_folder_no_json_no_engine(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read bundle"):
        load(tmp_path / "nothing")
    (tmp_path / "spec.json").write_text("{")
    with pytest.raises(BundleError, match="not JSON"):
        load(tmp_path)
    with pytest.raises(BundleError, match="no bundle for engine 'dreams'"):
        load_default("dreams")


def test_one_bundle_is_loaded_once_however_it_is_asked_for() -> None:
    assert load_default() is load_default("mouthbank", load_default().spec.look_ahead_ms)
    assert load_default("mouthbank", 40) is load_default("mouthbank", 40)


def test_all_reasons_are_told_when_no_backend_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "broken.onnx"
    model.write_bytes(b"no network")
    monkeypatch.setitem(backend.BACKENDS, "far", "realtime_dub.mouth.nowhere:Session")
    with pytest.raises(BundleError, match=r"onnx-cpu: .*far: ModuleNotFoundError") as caught:
        backend.open_session(model)
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError, match="unknown backend 'quantum'"):
        backend.open_session(model, "quantum")


def test_a_bundle_for_something_else_moves_no_mouth(copy: Path) -> None:
    edit(copy, outputs=[{"name": "image", "shape": [1, None]}])
    with pytest.raises(BundleError, match="not a motion bundle"):
        MotionStream(load(copy))
