"""How near a call comes to what the machine can do at best: the roofline (Williams, Waterman, Patterson 2009).

A call needs so much arithmetic, and its weights have to be read once. Neither goes faster than large products of
matrices do, and than as many bytes are read over and over. On the processor, in float32: there both can be measured.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from threadpoolctl import threadpool_limits

from export.graph import parsed, widened
from export.inputs import cases
from export.precision import layer_outputs
from realtime_dub.inference.spec import BundleSpec

SIDE, LEAST_BYTES, COLUMNS = 384, 1 << 16, 1024  # of a square product; read at least; of a matrix that is read
REPEATS = 20  # of which the quickest counts
RECURRENT = ("GRU", "LSTM", "RNN")
LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm", *RECURRENT)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Work:
    """What one call of one stream takes."""

    flops: int  # of convolutions, products and recurrent layers; all else is little beside them
    weight_bytes: int  # in float32


@dataclass(frozen=True)
class Roof:
    """The least time of a call, by what is the limit."""

    streams: int
    arithmetic_ms: float
    memory_ms: float

    @property
    def least_ms(self) -> float:
        return max(self.arithmetic_ms, self.memory_ms)

    @property
    def limit(self) -> str:
        return "arithmetic" if self.arithmetic_ms >= self.memory_ms else "memory"


@dataclass(frozen=True)
class Peak:
    """What the machine does at best."""

    flops_per_s: float
    bytes_per_s: float

    def roof(self, work: Work, streams: int = 1) -> Roof:
        """The weights are read once for all streams."""
        arithmetic_s = streams * work.flops / self.flops_per_s
        return Roof(streams, 1e3 * arithmetic_s, 1e3 * work.weight_bytes / self.bytes_per_s)


def work_of(model: bytes, spec: BundleSpec) -> Work:
    """Of a call as the comparisons have it (``inputs.cases``). The shapes are those that the network makes of it."""
    graph = widened(parsed(model, spec.name))
    weights = {each.name: each.dims for each in graph.graph.initializer}
    shapes: dict[str, Shape] = {name: tuple(dims) for name, dims in weights.items()}
    shapes |= {
        node.output[0]: numpy_helper.to_array(node.attribute[0].t).shape
        for node in graph.graph.node
        if node.op_type == "Constant" and node.attribute[0].HasField("t")
    }
    nodes = [node for node in graph.graph.node if node.op_type in LAYERS]
    names = [name for node in nodes for name in (*node.input[:2], node.output[0]) if name and name not in shapes]
    some = cases(spec, 2)
    shapes |= {name: np.shape(array) for name, array in some[0].calls[0].items()}
    found = layer_outputs(graph.SerializeToString(), names, spec, some)
    shapes |= {name: array.shape for name, array in found.items()}
    products = sum(_products(node, shapes) for node in nodes)
    return Work(2 * products, 4 * sum(math.prod(dims) for dims in weights.values()))


def _products(node: onnx.NodeProto, shapes: Mapping[str, Shape]) -> int:
    """Multiplications, each with an addition."""
    given, by = shapes[node.input[0]], shapes[node.input[1]]
    if node.op_type == "Conv":  # by: outputs, inputs of a group, kernel
        return math.prod(shapes[node.output[0]]) * math.prod(by[1:])
    if node.op_type == "ConvTranspose":  # by: inputs, outputs of a group, kernel
        return math.prod(given) * math.prod(by[1:])
    if node.op_type in RECURRENT:  # given: steps, streams, inputs
        return math.prod(given[:2]) * (math.prod(by) + math.prod(shapes[node.input[2]]))
    if node.op_type == "Gemm":
        return math.prod(shapes[node.output[0]]) * math.prod(by) // shapes[node.output[0]][-1]
    return math.prod(shapes[node.output[0]]) * given[-1]


def peak(weight_bytes: int, threads: int = 1) -> Peak:
    """Of this processor, in float32. Takes a tenth of a second.

    ``weight_bytes``: so much is read over and over; what fits into a cache is read from there, as in a run.
    """
    rng = np.random.default_rng(0)
    square = rng.random((SIDE, SIDE), np.float32)
    rows = max(weight_bytes, LEAST_BYTES) // (4 * COLUMNS)
    matrix, vector = rng.random((rows, COLUMNS), np.float32), rng.random(COLUMNS, np.float32)
    with threadpool_limits(limits=threads, user_api="blas"):
        product_s = _quickest(lambda: square @ square)
        read_s = _quickest(lambda: matrix @ vector)
    return Peak(2 * SIDE**3 / product_s, matrix.nbytes / read_s)


def _quickest(work: Callable[[], Any]) -> float:
    """Seconds."""
    took_ns = []
    for _ in range(REPEATS):
        began_ns = time.perf_counter_ns()
        work()
        took_ns.append(time.perf_counter_ns() - began_ns)
    return max(min(took_ns), 1) / 1e9
