"""Bundles: what is shipped loads, what is damaged is refused in one line."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import painters
import pytest

from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference import bundle, made_here
from realtime_dub.inference import session as backend
from realtime_dub.inference.bundle import Bundle, load, load_default, load_shared
from realtime_dub.inference.contract import Opening
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.mouth.painter.generator import wav2lip
from realtime_dub.pipeline.assembly import make_generator

pytestmark = pytest.mark.computes


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return load_default("mouthbank")


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
        ({"format": 3}, "unknown bundle format 3"),
        ({"format": 2, "task": None}, "task: choose one of motion, crop"),
        ({"format": None}, "unknown bundle format"),
        ({"look_ahead_ms": -1}, "look_ahead_ms"),
        ({"look_ahead_ms": 33}, "whole number of hops"),
        ({"frame_rate": 50.0}, "one output per hop"),
        ({"surprise": 1}, "surprise"),
        ({"model": "other.onnx"}, "no hash for other.onnx"),
        ({"sha256": {"motion.onnx": "0" * 64, "trunk.npz": "0" * 64}}, "its hash is not the one"),
        ({"sha256": {"motion.onnx": "0" * 64}}, "no hash for trunk.npz"),
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
    assert load_default("mouthbank") is load_default("mouthbank", load_default("mouthbank").spec.look_ahead_ms)
    assert load_default("mouthbank", 40) is load_default("mouthbank", 40)


def test_a_bundle_of_the_users_own_is_loaded_once_while_it_stays_the_same(copy: Path) -> None:
    """A copy of what is shipped is known, and runs in this process."""
    first = load_shared(copy)
    assert load_shared(copy.parent / "." / copy.name) is first
    edit(copy, licence="another")
    second = load_shared(copy)
    assert (second is first, second.spec.licence) == (False, "another")
    edit(copy, name="third")
    load_shared(copy)
    assert len(bundle._shared_folders) <= bundle.MOST_SHARED
    assert first not in bundle._shared_folders.values()


def test_a_network_from_elsewhere_is_shared_with_nobody(tmp_path: Path) -> None:
    folder = painters.write_bundle(tmp_path / "painter", painters.reference_net())
    found = load_shared(folder)
    assert not found.known
    assert load_shared(folder) is not found


def test_painters_of_one_bundle_share_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = painters.write_bundle(tmp_path / "painter", painters.reference_net())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made_here.write(load(folder).spec.sha256["network.onnx"])
    sessions = [wav2lip(bundle=folder)._network.session for _ in range(2)]
    assert sessions[0] is sessions[1]


def test_all_reasons_are_told_when_no_backend_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(backend.BACKENDS, "far", "realtime_dub.inference.nowhere:Session")
    with pytest.raises(BundleError, match=r"cpu: .*far: ModuleNotFoundError") as caught:
        backend.open_session(b"no network", Opening("broken"))
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError, match="unknown backend 'quantum'"):
        backend.open_session(b"no network", Opening("broken"), "quantum")


def test_a_bundle_for_something_else_moves_no_mouth(copy: Path) -> None:
    edit(copy, outputs=[{"name": "image", "shape": [1, None]}])
    with pytest.raises(BundleError, match="not a motion bundle"):
        MotionStream(load(copy))


@pytest.mark.parametrize(
    "change",
    [
        {"openings": [0.2, 0.1]},
        {"openings": [0.0, 11.0]},
        {"openings": [0.1]},
        {"line": [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]]},
        {"line": [[[11.0, 0.0, 0.0]] * len(LOWER)] * 2},
        {"line": [[[0.0, 0.0]] * len(LOWER)] * 2},
        {"more": 1},
    ],
)
def test_a_usual_motion_of_no_mouth_is_refused(change: dict[str, object], copy: Path) -> None:
    usual = json.loads((copy / "spec.json").read_text())["usual"]
    edit(copy, usual=usual | change)
    with pytest.raises(BundleError, match="usual"):
        load(copy)


def damaged_specs(spec: dict[str, object]) -> Iterator[tuple[str, dict[str, object]]]:
    """The spec with a field taken away, given another type, or a value beyond reason; in all its tables."""
    wrong = (None, "\0", -1, 1 << 70, float("nan"), [], {})
    for field in spec:
        yield f"no {field}", {name: value for name, value in spec.items() if name != field}
        for value in wrong:
            if field not in ("name", "version", "licence", "training_data"):
                yield f"{field} = {value!r}", spec | {field: value}
    for table in ("audio", "inputs", "states", "outputs"):
        inner = spec[table] if table == "audio" else spec[table][0]
        for field, value in itertools.product(inner, wrong if table == "audio" else wrong[:4]):
            changed = inner | {field: value}
            yield f"{table}.{field} = {value!r}", spec | {table: changed if table == "audio" else [changed]}


def test_every_damage_to_a_spec_is_one_line_and_no_other_error(copy: Path) -> None:
    path = copy / "spec.json"
    spec = json.loads(path.read_text())
    refused, taken = [], []
    for what, damaged in damaged_specs(spec):
        path.write_text(json.dumps(damaged))
        try:
            MouthbankGenerator(bundle=copy)
            taken.append(what)
        except BundleError as error:
            refused.append(str(error))
    assert not any("\n" in message for message in refused)
    assert len(refused) > 100
    harmless = ("audio", "inputs.shape", "notice", "no notice")  # others, or none: no damage
    harmless += "usual =", "no usual", "trunk = None", "no trunk"  # it begins with nothing, or is not tuned
    assert all(what.startswith(harmless) for what in taken), taken


@pytest.mark.parametrize("content", ["", "[]", "[" * 100_000, '"x"', "\0", '{"format": 1}', '{"format": true}'])
def test_a_spec_that_is_none_is_refused_in_one_line(copy: Path, content: str) -> None:
    (copy / "spec.json").write_text(content)
    with pytest.raises(BundleError):
        load(copy)


def test_what_is_no_folder_with_a_bundle_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd" / "spec.json").mkdir(parents=True)
    for name in ("file", "empty", "odd", "nowhere", "a\0b"):
        with pytest.raises(BundleError):
            load(tmp_path / name)


def test_a_network_that_is_not_as_its_spec_says_is_refused_at_the_start(copy: Path) -> None:
    spec = json.loads((copy / "spec.json").read_text())
    edit(copy, states=[spec["states"][0] | {"shape": [1, 80, 3]}, *spec["states"][1:]])
    with pytest.raises(BundleError, match="cannot run bundle mouthbank-motion: its network is not as its spec says"):
        MouthbankGenerator(bundle=copy)


def test_a_backend_is_asked_for_anew_and_an_unknown_one_is_refused(shipped: Bundle) -> None:
    usual = shipped.session()
    assert shipped.session("cpu") is usual
    with pytest.raises(BundleError, match="unknown backend 'nonsense'"):
        shipped.session("nonsense")


def test_folders_beside_the_bundles_are_no_look_aheads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Path(shutil.copytree(bundle.folder_of("mouthbank"), tmp_path / "mouthbank"))
    known = bundle.look_aheads("mouthbank")
    for name in ("bundle-old", "bundle-", "bundle-12", "bundle-40.bak", "bundle-٣"):
        (engine / name).mkdir()
    (engine / "bundle-7").write_text("a file")
    monkeypatch.setattr(bundle, "folder_of", lambda name: engine)
    assert bundle.look_aheads("mouthbank") == known


@pytest.mark.parametrize(
    ("option", "value"),
    [("identity", "me.bank"), ("bundle", "folder"), ("strength", 0.5), ("look_ahead", 80)],
)
@pytest.mark.parametrize("model", [LiveConfig, FileConfig])
def test_an_option_that_an_engine_does_not_take_is_refused(model: type, option: str, value: object) -> None:
    needs = {"input": "a.mp4", "output": Path("b.mp4")} if model is FileConfig else {}
    config = build(model, engine="passthrough", **{option: value}, **needs)
    name = "--" + option.replace("_", "-")
    with pytest.raises(ConfigError, match=f"engine passthrough takes no {name}; leave it out"):
        make_generator(config)
    assert make_generator(build(model, engine="passthrough", **needs)).name == "passthrough"
