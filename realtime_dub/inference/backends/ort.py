"""ONNX Runtime on the processor, and what its other providers share (``ort_gpu.py``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from realtime_dub.inference.contract import Arrays, CpuSettings, Declared, Opening
from realtime_dub.inference.spec import StateSpec

CPU = "CPUExecutionProvider"
Provider = str | tuple[str, Mapping[str, str]]


def available_providers() -> list[str]:
    """Those of this ONNX Runtime, by its names; a GPU's may be there without the GPU."""
    return list(onnxruntime.get_available_providers())


class OnnxSession:
    """A network on ONNX Runtime. ``run`` may be called from several threads."""

    def __init__(
        self,
        model: bytes | Path,
        backend: str = "cpu",
        device: tuple[str, int] = ("cpu", 0),
        settings: CpuSettings = CpuSettings(),  # noqa: B008 - frozen
        providers: Sequence[Provider] = (CPU,),
        options: onnxruntime.SessionOptions | None = None,
    ) -> None:
        """``model``: its path where it names files beside it; ``options``: with a provider in them that is no name, in
        place of ``providers``.
        """
        self.backend = backend
        self.state_is_far = device[0] != "cpu"  # from the program's memory: it should stay where it is
        self._device = device
        if options is None:
            options = session_options(settings)
            self._session = onnxruntime.InferenceSession(model, options, providers=list(providers))
        else:
            self._session = onnxruntime.InferenceSession(model, options, enable_fallback=0)
        self.inputs: Sequence[Declared] = [_declared(each) for each in self._session.get_inputs()]
        self.outputs: Sequence[Declared] = [_declared(each) for each in self._session.get_outputs()]
        self._names = [output.name for output in self.outputs]

    @property
    def providers(self) -> list[str]:
        """Those that run it, best first."""
        return list(self._session.get_providers())

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
    return OnnxSession(model, settings=opening.settings)


def session_options(settings: CpuSettings = CpuSettings()) -> onnxruntime.SessionOptions:  # noqa: B008 - frozen
    """One thread by default: small networks at 25 calls a second gain nothing from more, others lose."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = settings.arena
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if settings.spinning else "0")
    return options


def _declared(found: Any) -> Declared:
    return Declared(found.name, found.type, tuple(found.shape or ()))
