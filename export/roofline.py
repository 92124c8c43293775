"""How near a call comes to what the machine can do: the products that a network takes and the memory that it moves,
against the most products and the most memory a second that the same backend was seen to reach.

After S. Williams, A. Waterman, D. Patterson: Roofline, Communications of the ACM 52 (2009).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from realtime_dub.inference.contract import Session
from realtime_dub.inference.profiles import Range

SIDE, ROWS = 512, 8_000_000  # of square matrices that fit a cache, and of a vector that fits none
TURNS = 9
BYTES = {TensorProto.FLOAT: 4, TensorProto.FLOAT16: 2, TensorProto.INT8: 1, TensorProto.UINT8: 1, TensorProto.INT64: 8}
Open = Callable[[bytes], Session]


@dataclass(frozen=True)
class Work:
    """Of one call."""

    products: int  # multiplications with an addition each, of convolutions and matrices
    moved: int  # bytes: weights once, what nodes give written once and read once


@dataclass(frozen=True)
class Roof:
    """The most that was seen of a backend."""

    products_per_s: float
    bytes_per_s: float

    def least_ms(self, work: Work) -> tuple[float, float]:
        """By products, by memory."""
        return 1e3 * work.products / self.products_per_s, 1e3 * work.moved / self.bytes_per_s


@dataclass(frozen=True)
class Roofline:
    """Of one network: what a call takes, and how long it would take at the least."""

    work: Work
    by_products_ms: float
    by_memory_ms: float

    @property
    def least_ms(self) -> float:
        return max(self.by_products_ms, self.by_memory_ms)


def roofline_of(model: onnx.ModelProto, sizes: dict[str, Range], open_it: Open) -> Roofline:
    """``open_it`` opens any network as the measured one was opened."""
    work = work_of(model, sizes)
    return Roofline(work, *roof_of(open_it).least_ms(work))


def work_of(model: onnx.ModelProto, sizes: dict[str, Range]) -> Work:
    """Of a call of the usual sizes. Nodes whose sizes cannot be told without running count nothing."""
    shapes = _shapes(_of_size(model, {name: each.usual for name, each in sizes.items()}))
    weights = {each.name for each in model.graph.initializer}
    stored = sum(len(each.raw_data) or numpy_helper.to_array(each).nbytes for each in model.graph.initializer)
    made = sum(2 * _bytes(shapes, name) for node in model.graph.node for name in node.output)
    given = sum(_bytes(shapes, each.name) for each in model.graph.input if each.name not in weights)
    return Work(sum(_products(node, shapes) for node in model.graph.node), stored + given + made)


def roof_of(open_it: Open) -> Roof:
    """Of a backend, by two networks that do one thing each."""
    square = np.ones((SIDE, SIDE), np.float32)
    vector = np.ones(ROWS, np.float32)
    products_s = _least_s(open_it(_network("MatMul", square.shape)), square)
    memory_s = _least_s(open_it(_network("Add", vector.shape)), vector)
    return Roof(SIDE**3 / products_s, 3 * vector.nbytes / memory_s)  # two are read, one is written


def _network(kind: str, shape: tuple[int, ...]) -> bytes:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("a", "b", "c")]
    graph = helper.make_graph([helper.make_node(kind, ["a", "b"], ["c"])], kind, tensors[:2], tensors[2:])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(made.SerializeToString())


def _least_s(session: Session, given: np.ndarray) -> float:
    took = []
    for _ in range(TURNS):
        began = time.perf_counter()
        session.run({"a": given, "b": given})
        took.append(time.perf_counter() - began)
    return min(took)


Known = dict[str, tuple[int, tuple[int, ...]]]  # a tensor's kind and sizes by its name


def _of_size(model: onnx.ModelProto, sizes: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value in made.graph.input:
        for axis, size in zip(value.type.tensor_type.shape.dim, sizes.get(value.name, ()), strict=False):
            axis.dim_value = size
    del made.graph.value_info[:]
    for value in made.graph.output:
        value.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(made, data_prop=True)


def _shapes(model: onnx.ModelProto) -> Known:
    values = [*model.graph.input, *model.graph.value_info, *model.graph.output]
    found = {each.name: (each.type.tensor_type.elem_type, _sizes(each)) for each in values}
    return found | {each.name: (each.data_type, tuple(each.dims)) for each in model.graph.initializer}


def _sizes(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)


def _bytes(shapes: Known, name: str) -> int:
    kind, sizes = shapes.get(name, (0, ()))
    return BYTES.get(kind, 4) * math.prod(sizes)


def _products(node: onnx.NodeProto, shapes: Known) -> int:
    if node.op_type not in ("Conv", "ConvTranspose", "MatMul", "Gemm"):
        return 0
    first, second = (shapes.get(name, (0, ()))[1] for name in node.input[:2])
    result = math.prod(shapes.get(node.output[0], (0, ()))[1])
    if node.op_type == "Conv":  # weights: channels out, channels in of a group, kernel
        return result * math.prod(second[1:])
    if node.op_type == "ConvTranspose":  # every value given goes to as many places
        return math.prod(first) * math.prod(second[1:])
    return result * (first[-1] if first else 0)
