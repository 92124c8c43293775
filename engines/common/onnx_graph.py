"""Builds a network's ONNX graph node by node, of weights alone: no PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from realtime_dub.media import Floats

OPSET, IR_VERSION = 17, 8
Ports = Iterable[tuple[str, Sequence[int | str]]]  # names and shapes of tensors


class Graph:
    """Nodes and constants, as they are added. ``weights``: what the network was given as, by name."""

    def __init__(self, weights: Mapping[str, Floats]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._kept: list[Any] = []

    def keep(self, values: Any, name: str = "") -> str:
        """A constant; returns its name."""
        name = name or f"kept_{len(self._kept)}"
        self._kept.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, op: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> str:
        """A node; returns the name of its first output."""
        outputs = outputs or (f"{op.lower()}_{len(self._nodes)}",)
        self._nodes.append(helper.make_node(op, list(inputs), list(outputs), **attributes))
        return outputs[0]

    def model(self, name: str, inputs: Ports, outputs: Ports) -> bytes:
        """The network's file, checked."""
        graph = helper.make_graph(self._nodes, name, _told(inputs), _told(outputs), self._kept)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(made)
        return bytes(made.SerializeToString())


def _told(ports: Ports) -> list[Any]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape)) for name, shape in ports]
