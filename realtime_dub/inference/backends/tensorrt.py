"""Runs engines by TensorRT's own interface; TensorRT for RTX has the same one, and is found under another name.

An engine is built at the first start and kept (``inference/engine_cache.py``). One for RTX runs on any GPU from Ampere
on and is built without one; its kernels are made on the GPU that runs it, and kept as well.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference import profiles
from realtime_dub.inference.backends.cuda import FLOAT32_BYTES, Cuda, DeviceMemory
from realtime_dub.inference.backends.tensorrt_build import build
from realtime_dub.inference.contract import Arrays, Declared, Opening
from realtime_dub.inference.engine_cache import EngineCache, Wanted, surroundings
from realtime_dub.inference.spec import BundleSpec, StateSpec

ENGINE = "network.engine"
Places = dict[str, tuple[int, tuple[int, ...]]]  # by name (address, shape)
MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}


def open_tensorrt(model: bytes, opening: Opening) -> TensorrtSession:
    """Raises RuntimeError where the machine has no GPU."""
    return _open("tensorrt", model, opening)


def open_tensorrt_rtx(model: bytes, opening: Opening) -> TensorrtSession:
    """Raises RuntimeError where the machine has no GPU."""
    return _open("tensorrt-rtx", model, opening)


def engine_of(backend: str, model: bytes, opening: Opening) -> Path:
    """The folder with the engine of a network, built if it has to be. Raises BundleError."""
    spec = spec_of(opening)
    trt, cache = import_module(MODULES[backend]), EngineCache(opening.cache)
    any_gpu = backend == "tensorrt-rtx"
    timing = None if any_gpu else cache.root / "timing" / f"{backend}.cache"

    def make(folder: Path) -> None:
        (folder / ENGINE).write_bytes(build(trt, model, spec, opening.progress, timing))

    here = surroundings(backend, opening.device, any_gpu)
    return cache.get(wanted(backend, model, opening), here, make, opening.progress)


def wanted(backend: str, model: bytes, opening: Opening) -> Wanted:
    """The entry of a network's engine."""
    return Wanted(
        network=hashlib.sha256(model).hexdigest(),
        label=opening.name,
        backend=backend,
        precision=opening.precision,
        shapes=profiles.written(spec_of(opening)),
    )


def spec_of(opening: Opening) -> BundleSpec:
    """Raises BundleError where there is none: an engine is built for sizes."""
    if opening.spec is None:
        raise BundleError("cannot build an engine for", f"{opening.name}: it has no spec", "give a bundle")
    return opening.spec


def _open(backend: str, model: bytes, opening: Opening) -> TensorrtSession:
    memory = Cuda(int(opening.device or 0))
    folder = engine_of(backend, model, opening)
    trt, spec = import_module(MODULES[backend]), spec_of(opening)
    kernels = EngineCache(opening.cache).root / "kernels" / f"{folder.name}.cache" if backend != "tensorrt" else None
    return TensorrtSession(trt, (folder / ENGINE).read_bytes(), spec, backend, memory, kernels)


class _Tensor(NamedTuple):
    """One of an engine's tensors, and its place on the GPU, as large as it may become."""

    name: str
    shape: tuple[int, ...]  # -1: open
    is_input: bool
    address: int


class TensorrtSession:
    """An engine. Calls from several threads wait for each other, for they share its buffers."""

    state_is_far = True

    def __init__(
        self, trt: Any, engine: bytes, spec: BundleSpec, backend: str, memory: DeviceMemory, kernels: Path | None = None
    ) -> None:
        """``kernels``: a file with what was compiled for this GPU before; it is brought up to date."""
        self.backend, self._spec, self._memory, self._lock = backend, spec, memory, threading.Lock()
        memory.use()
        self._runtime = trt.Runtime(trt.Logger(trt.Logger.ERROR))
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise RuntimeError("the engine cannot be loaded here")
        self._context = _context(self._engine, kernels)
        names = [self._engine.get_tensor_name(place) for place in range(self._engine.num_io_tensors)]
        most = {name: each.most for name, each in profiles.ranges(spec).items()}
        self._tensors = {name: self._placed(trt, name, most) for name in names}
        self.inputs: Sequence[Declared] = [_declared(each) for each in self._tensors.values() if each.is_input]
        self.outputs: Sequence[Declared] = [_declared(each) for each in self._tensors.values() if not each.is_input]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        with self._lock:
            return self.call(feeds, {})

    def stream(self, states: Sequence[StateSpec], batch: int = 1) -> TensorrtStream:
        """A stream whose states stay on the GPU."""
        return TensorrtStream(self, self._memory, self._lock, states, batch)

    def call(self, feeds: Arrays, places: Places) -> dict[str, npt.NDArray[Any]]:
        """One call, with the lock held. ``places``: of tensors that lie on the GPU already, or stay there."""
        memory, context = self._memory, self._context
        memory.use()
        kept = [np.ascontiguousarray(array, np.float32) for array in feeds.values()]  # until the copies are done
        for name, array in zip(feeds, kept, strict=True):
            self._check(name, array)
            memory.put(self._tensors[name].address, array)
            context.set_input_shape(name, array.shape)
        for name, (_, shape) in places.items():
            if self._tensors[name].is_input:
                context.set_input_shape(name, shape)
        for name, tensor in self._tensors.items():
            context.set_tensor_address(name, places[name][0] if name in places else tensor.address)
        if not context.execute_async_v3(memory.queue):
            raise RuntimeError("the engine refuses the call")
        return self._results(places)

    def _results(self, places: Places) -> dict[str, npt.NDArray[Any]]:
        found = {}
        for name, tensor in self._tensors.items():
            if not tensor.is_input and name not in places:
                found[name] = np.empty(tuple(self._context.get_tensor_shape(name)), np.float32)
                self._memory.take(found[name], tensor.address)
        self._memory.wait()
        return found

    def _check(self, name: str, array: npt.NDArray[Any]) -> None:
        """A call that is larger than the engine was built for would write beyond its buffer."""
        least, _, most = profiles.ranges(self._spec)[name]
        fits = len(array.shape) == len(most) and all(
            a <= n <= b for a, n, b in zip(least, array.shape, most, strict=True)
        )
        if not fits:
            raise ValueError(f"{name} is {list(array.shape)}: the engine was built for {list(least)} to {list(most)}")

    def _placed(self, trt: Any, name: str, most: dict[str, tuple[int, ...]]) -> _Tensor:
        shape = tuple(int(size) for size in self._engine.get_tensor_shape(name))
        is_input = self._engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
        if is_input:
            self._context.set_input_shape(name, most[name])
            sizes = most[name]
        else:  # inputs come first
            sizes = tuple(int(size) for size in self._context.get_tensor_shape(name))
        return _Tensor(name, shape, is_input, self._memory.allocate(math.prod(sizes) * FLOAT32_BYTES))


class TensorrtStream:
    """States that never leave the GPU: each has two places, of which one is read and the other written."""

    def __init__(
        self,
        session: TensorrtSession,
        memory: DeviceMemory,
        lock: threading.Lock,
        states: Sequence[StateSpec],
        batch: int,
    ) -> None:
        self._session, self._memory, self._lock, self._states = session, memory, lock, states
        self._shapes = {state.before: state.zeros_shape(batch) for state in states}
        self._sizes = {name: math.prod(shape) * FLOAT32_BYTES for name, shape in self._shapes.items()}
        memory.use()
        self._read = {name: memory.allocate(size) for name, size in self._sizes.items()}
        self._write = {name: memory.allocate(size) for name, size in self._sizes.items()}
        self.forget()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        places: Places = {}
        for state in self._states:
            places[state.before] = (self._read[state.before], self._shapes[state.before])
            places[state.after] = (self._write[state.before], self._shapes[state.before])
        with self._lock:
            return self._session.call(feeds, places)

    def keep(self) -> None:
        self._read, self._write = self._write, self._read

    def forget(self) -> None:
        self._memory.use()
        for name, address in self._read.items():
            self._memory.clear(address, self._sizes[name])
        self._memory.wait()


def _context(engine: Any, kernels: Path | None) -> Any:
    """What runs an engine. One for RTX compiles its kernels here, or finds them."""
    if kernels is None:
        return engine.create_execution_context()
    config = engine.create_runtime_config()
    cache = config.create_runtime_cache()
    if kernels.is_file():
        cache.deserialize(kernels.read_bytes())  # what was made elsewhere is left out by the library
    config.set_runtime_cache(cache)
    context = engine.create_execution_context(config)
    kernels.parent.mkdir(parents=True, exist_ok=True)
    part = kernels.with_suffix(".part")
    part.write_bytes(bytes(cache.serialize()))
    part.replace(kernels)
    return context


def _declared(tensor: _Tensor) -> Declared:
    return Declared(tensor.name, "tensor(float)", tuple(None if size < 0 else size for size in tensor.shape))
