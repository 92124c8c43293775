"""Checkpoints are read without PyTorch, and nothing in them is ever called: a good read, or one line with the name."""

from __future__ import annotations

import pickle
import random
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import painters
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from painters import Module, Name, archive, called, legacy, ordered, tensor

from engines.common.checkpoint import open_checkpoint
from engines.common.checkpoint.machine import Machine
from engines.common.checkpoint.values import Refused
from realtime_dub.errors import BundleError

WAYS = pytest.mark.parametrize("way", [archive, legacy])
Write = Callable[[Any], bytes]


def read(path: Path, data: bytes, classes: bool = False) -> dict[str, np.ndarray]:
    path.write_bytes(data)
    with open_checkpoint(path, classes) as checkpoint:
        return {name: np.array(each.read()) for name, each in checkpoint.tensors.items()}


def taken(path: Path, data: bytes, classes: bool) -> dict[str, np.ndarray] | str:
    """What is read, or the line that says why not."""
    try:
        return read(path, data, classes)
    except BundleError as error:
        return str(error)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "net.pth"


def some() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "a.weight": rng.standard_normal((3, 2, 5)).astype(np.float32),
        "a.bias": rng.standard_normal(3),
        "halves": rng.standard_normal(7).astype(np.float16),
        "count": np.array(12, np.int64),
        "none": np.zeros((0, 4), np.float32),
    }


@WAYS
def test_every_number_is_read(way: Write, path: Path) -> None:
    values = some()
    root = {"state_dict": {name: tensor(str(n), each) for n, (name, each) in enumerate(values.items())}, "step": 7}
    found = read(path, way(root))
    assert list(found) == [f"state_dict.{name}" for name in values]
    for name, each in values.items():
        assert np.array_equal(found[f"state_dict.{name}"], each)
    assert found["state_dict.halves"].dtype == np.float32


@WAYS
def test_views_of_one_storage_and_sixteen_bits(way: Write, path: Path) -> None:
    grid = np.arange(12, dtype=np.float32)
    stored = painters._Stored("0", grid, "Float")
    turned = called("torch._utils._rebuild_tensor_v2", stored, 2, (3, 2), (1, 4), False, ordered())
    whole = called("torch._utils._rebuild_tensor", stored, 0, (12,), (1,))
    tops = (np.array([1.5, -2.0], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    found = read(path, way({"turned": turned, "whole": whole, "short": tensor("1", tops)}))
    assert np.array_equal(found["turned"], [[2, 6], [3, 7], [4, 8]])
    assert np.array_equal(found["whole"], grid)
    assert np.array_equal(found["short"], [1.5, -2.0])


@WAYS
def test_a_whole_network_is_its_attributes(way: Write, path: Path) -> None:
    weight = called("torch._utils._rebuild_parameter", tensor("0", np.ones((2, 2), np.float32)), True, ordered())
    layer = Module("Linear", _parameters={"weight": weight, "bias": None}, _buffers={}, _modules={}, training=False)
    net = Module("Net", _parameters={}, _buffers={"mean": tensor("1", np.zeros(2, np.float32))}, _modules={"fc": layer})
    found = read(path, way(net), classes=True)
    assert sorted(found) == ["fc.weight", "mean"]
    with pytest.raises(BundleError, match=r"it asks for __main__\.Net; only tensors and plain containers are taken"):
        read(path, way(net))


def test_what_torch_writes(path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(net.parameters())
    net(torch.zeros(1, 3, 8, 8)).sum().backward()
    optimizer.step()
    held = {"state_dict": net.state_dict(), "optimizer": optimizer.state_dict(), "global_step": 3, "best": 0.25}
    for new in (True, False):
        torch.save(held, path, _use_new_zipfile_serialization=new)
        with open_checkpoint(path) as checkpoint:
            for name, value in net.state_dict().items():
                assert np.array_equal(checkpoint.tensors[f"state_dict.{name}"].read(), value.numpy())
        torch.save(net, path, _use_new_zipfile_serialization=new)
        with open_checkpoint(path, classes=True) as checkpoint:
            assert set(checkpoint.tensors) == set(net.state_dict())


class Evil:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


HOSTILE = {
    "os.system": called("os.system", "touch /tmp/owned"),
    "builtins.eval": called("builtins.eval", "1 + 1"),
    "posix.system": called("posix.system", "true"),
    "subprocess.Popen": called("subprocess.Popen", ("true",)),
    "torch.load": called("torch.load", "x"),
    "torch.hub.load": called("torch.hub.load", "a/b", "c"),
    "torch.storage._load_from_bytes": called("torch.storage._load_from_bytes", b"\x80\x02N."),
    "numpy.load": called("numpy.load", "x"),
    "operator.attrgetter": called("operator.attrgetter", "system"),
    "functools.partial": called("functools.partial", Name("os", "system"), "true"),
    "argparse.Namespace": Name("argparse", "Namespace"),
    "shutil.rmtree": called("collections.OrderedDict", ("a", called("shutil.rmtree", "/tmp/x"))),
}


@WAYS
@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("name", HOSTILE)
def test_what_calls_is_refused_by_its_name(name: str, classes: bool, way: Write, path: Path) -> None:
    """Also where the classes of a network are taken, and deep inside of something harmless."""
    for root in (HOSTILE[name], {"state_dict": {"weight": [HOSTILE[name]]}}):
        with pytest.raises(BundleError) as caught:
            read(path, way(root), classes)
        assert name in str(caught.value)
        assert str(caught.value).startswith(f"cannot take weights from {path}: it ")
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
def test_what_python_pickles_is_refused(protocol: int, path: Path) -> None:
    import os

    with pytest.raises(BundleError, match=r"it (asks for|calls) (posix|os|nt)\.system"):
        read(path, archive(None, pickle.dumps(Evil(os.system, "true"), protocol)))
    with pytest.raises(BundleError, match=r"instruction|asks for"):
        read(path, archive(None, b"(S'true'\nios\nsystem\n."))


BAD_TENSORS = {
    "behind its storage": (0, (4,), (2,)),
    "before it": (-1, (2,), (1,)),
    "larger than it": (0, (4, 4), (0, 1)),
    "of no size": (0, (-4,), (1,)),
    "with too many axes": (0, (1,) * 9, (1,) * 9),
    "of a petabyte": (0, (1 << 47, 1 << 47), (0, 0)),
    "with other strides": (0, (2, 2), (1,)),
    "of true": (0, (True,), (1,)),
    "of text": (0, "12", (1, 1)),
}


@WAYS
@pytest.mark.parametrize("what", BAD_TENSORS)
def test_a_tensor_outside_its_numbers(what: str, way: Write, path: Path) -> None:
    stored = painters._Stored("0", np.zeros(4, np.float32), "Float")
    with pytest.raises(BundleError, match="tensor"):
        read(path, way({"a": called("torch._utils._rebuild_tensor_v2", stored, *BAD_TENSORS[what], False, ordered())}))


def test_more_numbers_than_the_file_has_are_not_asked_for(path: Path) -> None:
    class Large(np.ndarray):
        size = 1 << 40

    values = np.zeros(4, np.float32).view(Large)
    tracemalloc.start()
    for way in (archive, legacy):
        stored = painters._Stored("0", values, "Float")
        root = {"a": called("torch._utils._rebuild_tensor_v2", stored, 0, (1 << 40,), (1,), False, ordered())}
        with pytest.raises(BundleError, match="more numbers than it holds"):
            read(path, way(root) if way is archive else _with_length(root))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def _with_length(root: Any) -> bytes:
    """``legacy`` writes the length of what it has."""
    made, _ = painters.pickled(root, True)
    about = {"little_endian": True}
    head = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, about)]
    return b"".join([*head, made, pickle.dumps(["0"], 2), (1 << 40).to_bytes(8, "little"), bytes(16)])


def test_an_archive_that_is_squeezed_or_lies_is_refused(path: Path) -> None:
    root = {"a": tensor("0", np.zeros(100_000, np.float32))}
    with pytest.raises(BundleError, match="it is compressed"):
        read(path, archive(root, compression=zipfile.ZIP_DEFLATED))
    good = archive(root)
    with pytest.raises(BundleError, match="archive"):
        read(path, good[:-40])
    with pytest.raises(BundleError, match="cannot take weights from"):
        read(path, good[: len(good) // 2])
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("readme.txt", "nothing")
    with pytest.raises(BundleError, match="no checkpoint of PyTorch"):
        read(path, path.read_bytes())


def bombs() -> dict[str, bytes]:
    doubling = b"]q\x00" + b"".join(b"](h%ch%ceq%c" % (n, n, n + 1) for n in range(60)) + b"."
    return {
        "lists of lists": b"\x80\x02" + doubling,
        "nested": b"\x80\x02" + b"(" * 1000 + b"t" * 1000 + b".",
        "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep tuples": b"\x80\x02)" + b"\x85" * 200_000 + b".",
        "a list in itself": b"\x80\x02]q\x00h\x00a.",
        "many instructions": b"\x80\x02" + b"N0" * 600_000 + b"N.",
        "a long number": b"\x80\x02I" + b"9" * 5_000 + b"\n.",
        "a place without an end": b"\x80\x02Np" + b"9" * 4_000 + b"\n.",
        "numbers of one hash": b"\x80\x02}" + b"I%d\nNs" % ((1 << 61) - 1) + b".",
        "a huge text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "no end": b"\x80\x02]",
        "nothing": b"\x80\x02.",
        "marks": b"\x80\x02(((0.",
    }


@pytest.mark.parametrize("what", bombs())
def test_a_bomb_is_one_line_and_takes_no_time(what: str, path: Path) -> None:
    began = time.monotonic()
    for classes in (False, True):
        found = taken(path, archive(None, bombs()[what]), classes)
        assert found == {} or "cannot take weights from" in found
    assert time.monotonic() - began < 20


def test_a_file_that_is_none(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"cannot read .*net.pth"):
        open_checkpoint(path)
    with pytest.raises(BundleError, match="it is a folder"):
        open_checkpoint(tmp_path)
    for data in (b"x", b"PK\x03\x04", b"\x80\x02N.", bytes(1000)):
        with pytest.raises(BundleError, match="cannot take weights from"):
            read(path, data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_value_or_refused(data: bytes) -> None:
    from io import BytesIO

    for classes in (False, True):
        try:
            Machine(BytesIO(b"\x80\x02" + data), lambda identity: None, classes).run()
        except Refused:
            continue


@WAYS
def test_any_damage_is_a_read_or_one_line(way: Write, path: Path) -> None:
    values = some()
    whole = Module("Net", _parameters={name: tensor(str(n), each) for n, (name, each) in enumerate(values.items())})
    good, rng = way(whole), random.Random(0)
    for _ in range(400):
        data = bytearray(good)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(data))
            if rng.random() < 0.2:
                del data[at : at + rng.randrange(1, 40)]
            else:
                data[at] = rng.randrange(256)
        found = taken(path, bytes(data), classes=True)
        assert isinstance(found, dict) or "\n" not in found
