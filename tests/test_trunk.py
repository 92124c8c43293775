"""The trunk of a motion net in NumPy: it says what the network says, its gradients are right, it reads trunks only."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import SPEC, Bundle, load, load_default, look_aheads
from realtime_dub.media import MS, Floats, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.mouthbank.motion import MotionStream, trunk_of
from realtime_dub.mouth.mouthbank.trunk import HEAD, MOST_CHANGE, Trunk, TrunkShape, TrunkStream
from realtime_dub.mouth.mouthbank.trunk_gradients import Forward
from realtime_dub.mouth.mouthbank.tuning import Tuned
from realtime_dub.mouth.mouthbank.tuning_steps import Loss
from tests.tuning_helpers import demo_voice, trunk

pytestmark = pytest.mark.computes

Array = npt.NDArray[np.generic]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_a_stream_in_pieces_says_what_it_says_at_once(pieces: list[int]) -> None:
    net = trunk()
    told = np.random.default_rng(0).normal(size=(sum(pieces), net.shape.inputs)).astype(np.float32)
    stream, at, said = TrunkStream(net), 0, []
    for piece in pieces:
        said.append(stream.run(told[at : at + piece]))
        at += piece
    assert np.allclose(np.concatenate(said), Forward(net.shape, [net.weights], told[None]).said[0][0], atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2])
def test_gradients_are_the_slopes_that_steps_find(heads: int) -> None:
    net, rng = trunk(), np.random.default_rng(1)
    body, size = net.shape.body, net.shape.size
    told = rng.normal(size=(2, 12, net.shape.inputs)).astype(np.float32)
    weights = rng.normal(size=(heads, 2, 12, net.shape.components)).astype(np.float32)
    other = rng.normal(0, 0.3, size - body).astype(np.float32)
    flat = np.concatenate([net.flat, *[other] * (heads - 1)])

    def forward(flat: Floats) -> Forward:
        return Forward(net.shape, [net.shape.views(flat, head) for head in range(heads)], told)

    gradient = np.zeros_like(flat)
    forward(flat).backward(list(weights), [net.shape.views(gradient, head) for head in range(heads)])
    for head in range(heads):
        for name, own in net.shape.views(gradient, head).items():
            way = np.zeros_like(flat)
            net.shape.views(way, head)[name][...] = rng.normal(size=own.shape)
            way *= np.float32(0.02 / np.linalg.norm(way))
            ahead, behind = (
                sum(float((said * by).sum()) for said, by in zip(forward(flat + s * way).said, weights, strict=True))
                for s in (1, -1)
            )
            mean = 1 if name.startswith(HEAD) else heads  # of the body the gradient is the heads' mean
            assert (ahead - behind) / 2 / mean == pytest.approx(float(gradient @ way), rel=0.02, abs=2e-4), name


def test_the_slope_of_the_loss_is_the_one_that_steps_find() -> None:
    net, rng = trunk(), np.random.default_rng(2)
    loss = Loss(net.basis)
    said, wanted, way = rng.normal(size=(3, 40, net.shape.components)).astype(np.float32)
    goes_on = np.array([0, 1, 2, 10, 11, 30])
    slope = loss(said, wanted, goes_on)[1]
    ahead, behind = (loss(said + np.float32(s * 1e-2) * way, wanted, goes_on)[0] for s in (1, -1))
    assert (ahead - behind) / 2e-2 == pytest.approx(float((slope * way).sum()), rel=0.01)
    assert loss(wanted, wanted, goes_on)[0] == 0


@pytest.mark.parametrize("look_ahead_ms", look_aheads("mouthbank"))
def test_the_trunk_of_a_bundle_says_what_its_network_says(look_ahead_ms: int) -> None:
    bundle = load_default("mouthbank", look_ahead_ms)
    net = trunk_of(bundle)
    assert net is not None
    stream, sound = MotionStream(bundle), demo_voice(2)
    stream.hear(sound, 0)
    stream.tune(Tuned(np.zeros(net.shape.size, np.float16), 1_000, 1.0))
    seen = [stream.at(ns) for ns in range(300 * MS, 1_600 * MS, 7 * MS)]
    assert max(float(np.abs(each.displacement).max()) for each in seen) > 0.02
    assert max(float(np.abs(each.tuned).max()) for each in seen if each.tuned is not None) < 1e-4
    assert all(each.tuned is not None for each in seen)


def test_it_is_the_same_whenever_a_stream_was_tuned_and_nothing_once_it_is_not() -> None:
    bundle, sound = load_default("mouthbank"), demo_voice(3)
    net = trunk_of(bundle)
    assert net is not None
    change = (0.01 * np.random.default_rng(3).normal(size=net.shape.size)).astype(np.float16)
    tuned, streams = Tuned(change, 1_000, 1.0), [MotionStream(bundle) for _ in range(3)]
    streams[0].tune(tuned)
    for stream, pieces in zip(streams, (3, 50, 1), strict=True):
        heard = 0
        for piece in np.array_split(sound, pieces):
            stream.hear(piece, samples_to_ns(heard, VOICE_RATE))
            heard += len(piece)
    streams[1].tune(tuned)
    streams[2].tune(tuned)
    for ns in range(1_500 * MS, 2_500 * MS, 13 * MS):
        seen = [stream.at(ns).tuned for stream in streams]
        assert all(each is not None for each in seen)
        assert np.abs(seen[0]).max() > 1e-3  # type: ignore[arg-type]
        assert np.allclose(seen[0], seen[1], atol=1e-4)  # type: ignore[arg-type]
        assert np.allclose(seen[0], seen[2], atol=1e-4)  # type: ignore[arg-type]
    streams[0].tune(None)
    assert streams[0].at(2 * 1_000 * MS).tuned is None


def test_a_change_of_another_net_changes_nothing() -> None:
    stream = MotionStream(load_default("mouthbank"))
    stream.tune(Tuned(np.zeros(10, np.float16), 1_000, 1.0))
    stream.hear(demo_voice(1), 0)
    assert stream.at(500 * MS).tuned is None


@pytest.mark.filterwarnings("error")
def test_the_wildest_change_gives_numbers() -> None:
    bundle, rng = load_default("mouthbank"), np.random.default_rng(0)
    net = trunk_of(bundle)
    assert net is not None
    for change in (np.full(net.shape.size, MOST_CHANGE), MOST_CHANGE * rng.choice([-1, 1], net.shape.size)):
        stream = MotionStream(bundle)
        stream.tune(Tuned(change.astype(np.float16), 1_000, 1.0))
        stream.hear(demo_voice(2), 0)
        said = [stream.at(ns).tuned for ns in range(300 * MS, 1_600 * MS, 40 * MS)]
        assert np.isfinite(said).all()  # type: ignore[arg-type]


def test_what_a_network_tells_that_is_no_number_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = load_default("mouthbank")
    net = trunk_of(bundle)
    assert net is not None
    stream, sound = MotionStream(bundle), demo_voice(3)
    stream.tune(Tuned(np.zeros(net.shape.size, np.float16), 1_000, 1.0))
    run = stream._stream.run

    def spoilt(feeds: dict[str, Array], length: int) -> dict[str, Array]:
        results = run(feeds, length)
        return {**results, "told": np.full_like(results["told"], np.nan)}

    monkeypatch.setattr(stream._stream, "run", spoilt)
    stream.hear(sound[:VOICE_RATE], 0)
    assert np.isfinite(stream.at(800 * MS).tuned).all()  # type: ignore[arg-type]
    monkeypatch.setattr(stream._stream, "run", run)
    stream.hear(sound[VOICE_RATE:], 1_000 * MS)
    even = stream.at(2_600 * MS).tuned  # what was told before has passed
    assert even is not None
    assert np.abs(even).max() < 1e-2


def test_what_is_written_is_read() -> None:
    net = trunk()
    read = Trunk.read(net.to_bytes())
    assert read.shape == net.shape
    assert np.allclose(read.flat, net.flat, atol=2e-3)
    assert np.array_equal(read.basis, net.basis)


def _stored(**changes: Array) -> bytes:
    net, packed = trunk(), io.BytesIO()
    shape = net.shape
    arrays: dict[str, Array] = {
        "sizes": np.array([shape.inputs, shape.width, shape.components, shape.details]),
        "dilations": np.array(shape.dilations),
        "weights": net.flat,
        "basis": net.basis,
    }
    np.savez(packed, **(arrays | changes))  # type: ignore[arg-type]
    return packed.getvalue()


BROKEN: dict[str, Callable[[], bytes]] = {
    "no archive": lambda: b"nothing",
    "cut": lambda: trunk().to_bytes()[:-40],
    "another size": lambda: _stored(sizes=np.array([7, 8, 3, 2])),
    "no width": lambda: _stored(sizes=np.array([8, 0, 3, 2])),
    "negative": lambda: _stored(sizes=np.array([8, -8, 3, 2])),
    "huge": lambda: _stored(sizes=np.array([8, 100_000, 3, 2])),
    "no blocks": lambda: _stored(dilations=np.zeros(0, np.int32)),
    "many blocks": lambda: _stored(dilations=np.ones(1_000, np.int32)),
    "no dilation": lambda: _stored(dilations=np.array([1, 0])),
    "weights that are none": lambda: _stored(weights=np.full(trunk().shape.size, np.nan, np.float32)),
    "too few weights": lambda: _stored(weights=trunk().flat[:-1]),
    "another mouth": lambda: _stored(basis=np.ones((3, 7), np.float32)),
    "a pickle": lambda: _stored(weights=np.array([{}], object)),
    "too large": lambda: _stored(weights=np.zeros(5_000_000, np.float32)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_what_is_no_trunk_is_refused(broken: str) -> None:
    with pytest.raises((ValueError, KeyError, zipfile.BadZipFile, EOFError, OSError)):
        Trunk.read(BROKEN[broken]())


def _bundle_with(folder: Path, trunk_file: bytes) -> Bundle:
    shutil.copytree(load_default("mouthbank").folder, folder)
    (folder / "trunk.npz").write_bytes(trunk_file)
    told = json.loads((folder / SPEC).read_text())
    told["sha256"]["trunk.npz"] = hashlib.sha256(trunk_file).hexdigest()
    (folder / SPEC).write_text(json.dumps(told))
    return load(folder)


def test_a_bundle_with_a_broken_trunk_says_so_and_one_without_is_not_tuned(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is no trunk of a net"):
        trunk_of(_bundle_with(tmp_path / "broken", b"nothing"))
    with pytest.raises(BundleError, match="is of another net"):
        trunk_of(_bundle_with(tmp_path / "other", trunk().to_bytes()))
    bundle = _bundle_with(tmp_path / "changed", (load_default("mouthbank").folder / "trunk.npz").read_bytes())
    (bundle.folder / "trunk.npz").write_bytes(b"later")
    with pytest.raises(BundleError, match="its hash is not the one"):
        trunk_of(bundle)
    folder = tmp_path / "broken"
    told = json.loads((folder / SPEC).read_text())
    del told["sha256"]["trunk.npz"]
    (folder / SPEC).write_text(json.dumps(told))
    with pytest.raises(BundleError, match=r"no hash for trunk\.npz"):
        load(folder)
    del told["trunk"]
    (folder / SPEC).write_text(json.dumps(told))
    assert trunk_of(load(folder)) is None


def test_the_basis_is_of_the_lower_face() -> None:
    net = trunk_of(load_default("mouthbank"))
    assert net is not None
    assert net.basis.shape[1] == len(LOWER) * 3
    assert isinstance(net.shape, TrunkShape)
    assert net.shape.size < 1_000_000  # a bank keeps as many numbers for each net
