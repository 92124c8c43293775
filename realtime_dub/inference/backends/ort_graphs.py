"""Calls of a network that are recorded once and replayed: a CUDA graph for each size of call.

A graph reads and writes where it did when it was recorded. So each size has buffers of its own on the GPU, and a
stream's states are copied into them before the call and out of them by ``keep``.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from realtime_dub.inference.backends.ort import OnnxSession, Provider
from realtime_dub.inference.contract import Arrays

Sizes = tuple[tuple[str, tuple[int, ...]], ...]
GRAPH = "gpu_graph_id"  # of the run options: which graph is recorded or replayed


class GraphSession(OnnxSession):
    """Calls wait for each other, for they share their buffers."""

    def __init__(
        self, model: bytes, backend: str, number: int, providers: Sequence[Provider], kind: str = "cuda"
    ) -> None:
        super().__init__(model, backend, (kind, number), providers=providers)
        self.state_is_far = False  # states travel with the call: less than the launches that a graph saves
        self._calls: dict[Sizes, _Recorded] = {}
        self._lock = threading.Lock()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        sizes = tuple(sorted((name, array.shape) for name, array in feeds.items()))
        with self._lock:
            if sizes not in self._calls:
                self._calls[sizes] = _Recorded(self._session, self._names, feeds, self._device, len(self._calls) + 1)
            return self._calls[sizes].run(feeds)


class _Recorded:
    """One size of call: its buffers and its graph."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        names: Sequence[str],
        feeds: Arrays,
        device: tuple[str, int],
        number: int,
    ) -> None:
        self._session, self._names = session, names
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry(GRAPH, str(number))
        self._inputs = {name: _on_device(array, device) for name, array in feeds.items()}
        shapes = {name: array.shape for name, array in _called_once(session, names, feeds).items()}
        self._outputs = {name: _on_device(np.zeros(shapes[name], np.float32), device) for name in names}
        self._binding = session.io_binding()
        for name, value in self._inputs.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, value in self._outputs.items():
            self._binding.bind_ortvalue_output(name, value)

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        for name, array in feeds.items():
            self._inputs[name].update_inplace(np.ascontiguousarray(array))
        self._session.run_with_iobinding(self._binding, self._options)
        return {name: np.array(self._outputs[name].numpy()) for name in self._names}


def _called_once(
    session: onnxruntime.InferenceSession, names: Sequence[str], feeds: Arrays
) -> dict[str, npt.NDArray[Any]]:
    """One call without a graph, which says how large each output is. -1: nothing is recorded."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry(GRAPH, "-1")
    return dict(zip(names, session.run(list(names), dict(feeds), options), strict=True))


def _on_device(array: npt.NDArray[Any], device: tuple[str, int]) -> onnxruntime.OrtValue:
    """A copy: on the processor it would be the caller's own memory."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(np.array(array, np.float32, order="C"), *device)
