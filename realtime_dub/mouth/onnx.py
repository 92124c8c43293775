"""ONNX Runtime on the CPU, one thread: small networks at 25 calls a second gain nothing from more, others lose."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import onnxruntime

from realtime_dub.mouth.backend import Arrays, Declared


class OnnxSession:
    """A network on ONNX Runtime. ``run`` may be called from several threads."""

    backend = "onnx-cpu"

    def __init__(self, model: bytes, name: str = "network") -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.inputs = [_declared(each) for each in self._session.get_inputs()]
        self.outputs = [_declared(each) for each in self._session.get_outputs()]
        self._names = [output.name for output in self.outputs]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name. Raises what ONNX Runtime raises for inputs of wrong name, shape or dtype."""
        return dict(zip(self._names, self._session.run(self._names, dict(feeds)), strict=True))


def _declared(found: Any) -> Declared:
    return Declared(found.name, found.type, tuple(found.shape or ()))
