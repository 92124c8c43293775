"""ONNX Runtime. On the CPU with one thread: small networks at 25 calls a second gain nothing from more, others lose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from realtime_dub.inference.contract import Arrays, Declared, Opening
from realtime_dub.inference.spec import StateSpec

CUDA = "CUDAExecutionProvider"


class OnnxSession:
    """A network on ONNX Runtime. ``run`` may be called from several threads."""

    def __init__(self, model: bytes, backend: str = "onnx-cpu", device: tuple[str, int] = ("cpu", 0)) -> None:
        self.backend = backend
        self.state_is_far = device[0] != "cpu"  # from the program's memory: it should stay where it is
        self._device = device
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=_providers(device))
        self.inputs = [_declared(each) for each in self._session.get_inputs()]
        self.outputs = [_declared(each) for each in self._session.get_outputs()]
        self._names = [output.name for output in self.outputs]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name. Raises what ONNX Runtime raises for inputs of wrong name, shape or dtype."""
        return dict(zip(self._names, self._session.run(self._names, dict(feeds)), strict=True))

    def stream(self, states: Sequence[StateSpec], batch: int = 1) -> OnnxStream:
        """A stream whose states stay on the device."""
        return OnnxStream(self._session, self._names, states, self._device, batch)


class OnnxStream:
    """States that never leave the device (``inference/state.py: Stream``), by ONNX Runtime's I/O binding."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        names: Sequence[str],
        states: Sequence[StateSpec],
        device: tuple[str, int],
        batch: int,
    ) -> None:
        self._session, self._names, self._states, self._device = session, names, states, device
        self._batch = batch
        self._kept: dict[str, onnxruntime.OrtValue] = {}
        self._made: dict[str, onnxruntime.OrtValue] = {}
        self.forget()

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for state in self._states:
            binding.bind_ortvalue_input(state.before, self._kept[state.before])
        after = {state.after for state in self._states}
        for name in self._names:
            if name in after:
                binding.bind_output(name, *self._device)
            else:
                binding.bind_output(name, "cpu")
        self._session.run_with_iobinding(binding)
        results = dict(zip(self._names, binding.get_outputs(), strict=True))
        self._made = {state.before: results[state.after] for state in self._states}
        return {name: value.numpy() for name, value in results.items() if name not in after}

    def keep(self) -> None:
        self._kept = {**self._kept, **self._made}

    def forget(self) -> None:
        self._kept = {
            state.before: onnxruntime.OrtValue.ortvalue_from_numpy(
                np.zeros(state.zeros_shape(self._batch), np.float32), *self._device
            )
            for state in self._states
        }


def open_on_cpu(model: bytes, opening: Opening) -> OnnxSession:
    return OnnxSession(model)


def open_on_cuda(model: bytes, opening: Opening) -> OnnxSession:
    """Raises RuntimeError where ONNX Runtime has no CUDA, or the machine no GPU."""
    if CUDA not in onnxruntime.get_available_providers():
        raise RuntimeError("ONNX Runtime is installed without CUDA (make gpu)")
    session = OnnxSession(model, "onnx-cuda", ("cuda", int(opening.device or 0)))
    if CUDA not in session._session.get_providers():
        raise RuntimeError("there is no GPU that CUDA can use")
    return session


def _providers(device: tuple[str, int]) -> list[Any]:
    cpu = "CPUExecutionProvider"
    return [cpu] if device[0] == "cpu" else [(CUDA, {"device_id": device[1]}), cpu]


def _declared(found: Any) -> Declared:
    return Declared(found.name, found.type, tuple(found.shape or ()))
