"""Changes to a network's file that leave its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from realtime_dub.errors import BundleError
from realtime_dub.inference.variants import TOGETHER

PREPARES = ("Cast", "Transpose", "Reshape")  # what is done to weights before they are used


def parsed(model: bytes, name: str) -> onnx.ModelProto:
    """A network that is well made. Raises BundleError."""
    try:
        found: onnx.ModelProto = onnx.load_from_string(model)
        onnx.checker.check_model(found)
    except Exception as error:  # protobuf's and the checker's own
        raise BundleError("cannot read the network of", f"{name}: {error}", "fetch it again") from error
    return found


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights that are stored in 16 bits, or turned by the graph, stored as what they become: tools look for weights
    where they are used, and find none behind a Cast.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    known = {each.name: each for each in made.graph.initializer}
    numbers = {n.output[0]: n.attribute[0].t for n in made.graph.node if n.op_type == "Constant" and n.attribute}
    for node in list(made.graph.node):
        if node.op_type not in PREPARES or node.input[0] not in known:
            continue
        if any(name not in known and name not in numbers for name in node.input):
            continue
        array = _prepared(node, numpy_helper.to_array(known[node.input[0]]), numbers)
        known[node.output[0]] = numpy_helper.from_array(array, node.output[0])
        made.graph.initializer.append(known[node.output[0]])
        made.graph.node.remove(node)
    used = {name for node in made.graph.node for name in node.input}
    kept = [each for each in made.graph.initializer if each.name in used]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    return made


def _prepared(
    node: onnx.NodeProto, weights: npt.NDArray[Any], numbers: Mapping[str, onnx.TensorProto]
) -> npt.NDArray[Any]:
    """What a layer of ``PREPARES`` makes of ``weights``."""
    if node.op_type == "Cast":
        return weights.astype(np.float32)
    if node.op_type == "Transpose":
        return np.ascontiguousarray(weights.transpose(node.attribute[0].ints))
    return weights.reshape(numpy_helper.to_array(numbers[node.input[1]]))


def together(model: onnx.ModelProto) -> onnx.ModelProto:
    """For several streams at once: the first axis of every input and output is open. What the graph computes of it is
    left to the caller to compare.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for value in [*made.graph.input, *made.graph.output]:
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        first.dim_param = TOGETHER
    del made.graph.value_info[:]
    return made


def labelled(model: onnx.ModelProto, properties: Mapping[str, str]) -> onnx.ModelProto:
    """With ``properties`` in its metadata, where any tool shows them."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    kept = {each.key: each.value for each in made.metadata_props} | dict(properties)
    onnx.helper.set_model_props(made, kept)
    return made


def opset(model: onnx.ModelProto) -> int:
    """Of the standard operators."""
    return max((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), default=0)
