"""Changes to a network's file that leave its numbers alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from realtime_dub.errors import BundleError
from realtime_dub.inference.variants import TOGETHER


def parsed(model: bytes, name: str) -> onnx.ModelProto:
    """A network that is well made. Raises BundleError."""
    try:
        found: onnx.ModelProto = onnx.load_from_string(model)
        onnx.checker.check_model(found)
    except Exception as error:  # protobuf's and the checker's own
        raise BundleError("cannot read the network of", f"{name}: {error}", "fetch it again") from error
    return found


def widened(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights that are stored in 16 bits and widened by the graph, stored as what they become: tools look for weights
    where they are used, and find none behind a Cast.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    stored = {each.name: each for each in made.graph.initializer}
    casts = [node for node in made.graph.node if node.op_type == "Cast" and node.input[0] in stored]
    for node in casts:
        weights = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
        made.graph.initializer.append(numpy_helper.from_array(weights, node.output[0]))
        made.graph.node.remove(node)
    used = {name for node in made.graph.node for name in node.input}
    kept = [each for each in made.graph.initializer if each.name in used]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    return made


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
