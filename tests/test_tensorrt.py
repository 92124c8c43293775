"""TensorRT's backends: what is done with an engine, shown by one on the processor; and a real one, where that is."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from test_inference import SUM, summing_net, summing_spec

from realtime_dub.errors import BundleError, DependencyError
from realtime_dub.inference import gpu, libraries, profiles
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.backends.ort_graphs import GraphSession
from realtime_dub.inference.backends.tensorrt import ENGINE, TensorrtSession, engine_of
from realtime_dub.inference.backends.tensorrt_build import unsupported
from realtime_dub.inference.bundle import load_default
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache
from realtime_dub.inference.session import open_session
from realtime_dub.inference.state import CheckedStream


class HostMemory:
    """Memory of the program in place of a GPU's, at addresses as plain as those."""

    queue = 7

    def __init__(self) -> None:
        self._held: dict[int, Any] = {}

    def use(self) -> None:
        pass

    def allocate(self, size: int) -> int:
        block = (ctypes.c_ubyte * size)()
        self._held[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        del self._held[address]

    def put(self, address: int, array: npt.NDArray[Any]) -> None:
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def take(self, array: npt.NDArray[Any], address: int) -> None:
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def clear(self, address: int, size: int) -> None:
        ctypes.memset(address, 0, size)

    def wait(self) -> None:
        pass


NAMES = ("x", "past", "y", "next")


class Summing:
    """An engine of ``summing_net``: y = x + past, next = y."""

    num_io_tensors = len(NAMES)

    def get_tensor_name(self, place: int) -> str:
        return NAMES[place]

    def get_tensor_mode(self, name: str) -> str:
        return "input" if name in ("x", "past") else "output"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return (-1, 4)

    def create_execution_context(self) -> Running:
        return Running()


class Running:
    """What runs it."""

    def __init__(self) -> None:
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.places: dict[str, int] = {}

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes["x"]

    def set_input_shape(self, name: str, shape: Sequence[int]) -> None:
        self.shapes[name] = tuple(shape)

    def set_tensor_address(self, name: str, address: int) -> None:
        self.places[name] = address

    def execute_async_v3(self, queue: int) -> bool:
        assert queue == HostMemory.queue
        size = int(np.prod(self.shapes["x"]))
        x, past, y, after = (np.ctypeslib.as_array((ctypes.c_float * size).from_address(self.places[n])) for n in NAMES)
        y[:] = x + past
        after[:] = y
        return True


class Library:
    """The part of ``tensorrt`` that runs engines."""

    Logger = type("Logger", (), {"ERROR": 1, "__init__": lambda self, level: None})
    TensorIOMode = SimpleNamespace(INPUT="input")

    class Runtime:
        def __init__(self, logger: object) -> None:
            pass

        def deserialize_cuda_engine(self, engine: bytes) -> Summing | None:
            return Summing() if engine == b"engine" else None


def session() -> TensorrtSession:
    return TensorrtSession(Library, b"engine", summing_spec(), "tensorrt", HostMemory())


def test_an_engine_is_called_with_what_it_is_given() -> None:
    opened = session()
    assert [each.name for each in opened.inputs] == ["x", "past"]
    assert opened.inputs[0].shape == (None, 4)
    x, past = np.arange(8, dtype=np.float32).reshape(2, 4), np.ones((2, 4), np.float32)
    found = opened.run({"x": x, "past": past})
    assert np.array_equal(found["y"], x + 1)
    assert np.array_equal(found["next"], x + 1)
    with pytest.raises(ValueError, match=r"x is \[17, 4\]: the engine was built for \[1, 4\] to \[16, 4\]"):
        opened.run({"x": np.zeros((17, 4), np.float32), "past": np.zeros((17, 4), np.float32)})


def test_states_stay_where_the_engine_is() -> None:
    opened = session()
    streams = [CheckedStream(opened, summing_spec()) for _ in range(2)]
    one = np.ones((1, 4), np.float32)
    for stream, times in zip(streams, (1, 10), strict=True):
        for _ in range(3):
            found = stream.run({"x": one * times}, 1)
            stream.keep()
        assert found["y"][0, 0] == 3 * times
        assert set(found) == {"y"}  # the state is not brought here
    assert streams[0].run({"x": one}, 1)["y"][0, 0] == 4  # not kept
    assert streams[0].run({"x": one}, 1)["y"][0, 0] == 4
    streams[0].forget()
    assert streams[0].run({"x": one}, 1)["y"][0, 0] == 1
    assert [state.before for state in SUM] == ["past"]


def test_an_engine_that_cannot_be_loaded_is_said_so() -> None:
    with pytest.raises(RuntimeError, match="the engine cannot be loaded here"):
        TensorrtSession(Library, b"other", summing_spec(), "tensorrt", HostMemory())


def test_engines_are_built_for_the_sizes_that_a_spec_leaves_open() -> None:
    spec = load_default("mouthbank").spec
    assert profiles.written(spec) == "mel:1x1x80..1x64x80"
    assert profiles.ranges(spec)["past_0"].least == profiles.ranges(spec)["past_0"].most
    assert profiles.written(summing_spec()) == "past:1x4..16x4 x:1x4..16x4"
    told = profiles.options(summing_spec(), "trt")
    assert told["trt_profile_min_shapes"] == "x:1x4,past:1x4"
    assert told["trt_profile_max_shapes"] == "x:16x4,past:16x4"


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-ep", "tensorrt-rtx", "tensorrt-rtx-ep"])
def test_what_a_backend_misses_is_said_in_one_line(backend: str) -> None:
    if not libraries.missing(backend):
        pytest.skip(f"{backend} is installed")
    with pytest.raises(DependencyError, match=f"the backend {backend} needs .*pip install 'realtime-dub") as caught:
        open_session(summing_net(), Opening(spec=summing_spec()), backend)
    assert caught.value.exit_code == 2


def test_an_engine_is_not_built_without_a_spec() -> None:
    with pytest.raises(BundleError, match="cannot build an engine for mouths: it has no spec"):
        engine_of("tensorrt-rtx", summing_net(), Opening("mouths"))


def test_a_real_engine_of_the_shipped_net_is_built_without_a_gpu(tmp_path: Path) -> None:
    trt = pytest.importorskip("tensorrt_rtx", reason="needs TensorRT for RTX: pip install 'realtime-dub[tensorrt-rtx]'")
    bundle = load_default("mouthbank")
    model = (bundle.folder / bundle.spec.model).read_bytes()
    told: list[str] = []
    opening = Opening(
        bundle.label, bundle.spec, cache=tmp_path, progress=lambda what, share: told.append(what), precision="fp32"
    )
    assert unsupported(trt, model, bundle.label) == []
    folder = engine_of("tensorrt-rtx", model, opening)
    assert (folder / ENGINE).stat().st_size > 5_000_000
    assert len(told) > 2
    assert engine_of("tensorrt-rtx", model, opening) == folder
    [entry] = EngineCache(tmp_path).entries()
    assert entry.why_not == ""
    assert entry.manifest.surroundings.gpu == ""  # it runs on any from Ampere on
    assert any(name.startswith("tensorrt-rtx") for name in entry.manifest.surroundings.libraries)
    with pytest.raises(BundleError, match="layer"):
        engine_of(
            "tensorrt-rtx",
            summing_net().replace(b"Identity", b"Identitx"),
            Opening("a", summing_spec(), cache=tmp_path),
        )


def test_calls_with_buffers_of_their_own_give_what_others_give() -> None:
    """As CUDA graphs want them, on the processor: each size of call has its buffers, and no result is overwritten."""
    recorded = GraphSession(summing_net(), "cuda", 0, ["CPUExecutionProvider"], kind="cpu")
    usual, draw = OnnxSession(summing_net()), np.random.default_rng(0)
    asked = [{name: draw.random((size, 4), np.float32) for name in ("x", "past")} for size in (1, 3, 1, 2, 3)]
    found = [recorded.run(feeds) for feeds in asked]
    for feeds, results in zip(asked, found, strict=True):
        assert np.array_equal(results["y"], usual.run(feeds)["y"])
        assert set(results) == {"y", "next"}


@pytest.mark.parametrize("backend", ["cuda", "tensorrt-ep"])
def test_a_provider_that_is_not_there_is_said_so(backend: str) -> None:
    if libraries.missing(backend) or gpu.found() is not None:
        pytest.skip(f"{backend} is told apart elsewhere")
    with pytest.raises(
        BundleError, match=f"cannot run network: {backend}: RuntimeError: .*make gpu.*; leave out --backend"
    ):
        open_session(summing_net(), Opening(spec=summing_spec()), backend)
