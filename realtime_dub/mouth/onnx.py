"""ONNX Runtime on the CPU, one thread: small networks at 25 calls a second gain nothing from more, others lose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime

from realtime_dub.mouth.backend import Arrays


class OnnxSession:
    """A network on ONNX Runtime. ``run`` may be called from several threads."""

    backend = "onnx-cpu"

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name. Raises what ONNX Runtime raises for inputs of wrong name, shape or dtype."""
        return dict(zip(self._outputs, self._session.run(self._outputs, dict(feeds)), strict=True))
