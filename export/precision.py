"""Networks with narrower numbers: float16 with a float32 rest where that is needed, and eight bits."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from export.graph import parsed, widened
from export.inputs import Case, Feeds
from export.parity import Parity, caller
from realtime_dub.errors import BundleError
from realtime_dub.imports import resolve
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.spec import BundleSpec

ROUNDS = 6  # of widening layers
AT_FIRST = 2  # layers widened; twice as many in each round
LEAST_SHARE = 0.01  # of the largest error that a layer adds: below it, a layer is not at fault
PROBES = 8  # calls by which layers are compared
PRODUCTS = ["MatMul", "Gemm"]
CALIBRATES = 100  # calls that eight bits are fitted to
Passes = Callable[[bytes], list[Parity]]


@dataclass(frozen=True)
class Narrowed:
    """A network with narrower numbers, and the layers that kept theirs."""

    model: bytes
    kept: tuple[str, ...] = ()
    way: str = ""


def half(model: bytes, spec: BundleSpec, cases: Sequence[Case], passes: Passes) -> Narrowed:
    """In float16; inputs, outputs and states stay float32. Where that goes too far from ``model``, the layers that add
    most to it stay float32, by name. Raises BundleError where even that does not do.
    """
    wide = widened(parsed(model, spec.name))
    kept: list[str] = []
    for turn in range(ROUNDS):
        made = _half(wide, kept)
        if all(parity.passed for parity in passes(made)):
            return Narrowed(made, tuple(kept), "fp16")
        kept += worst_layers(wide, made, spec, cases, kept)[: AT_FIRST << turn]
    what = f"{spec.name}: {len(kept)} layers in float32 are not enough"
    raise BundleError("cannot narrow to fp16", what, "use fp32")


def _half(wide: onnx.ModelProto, kept: Sequence[str]) -> bytes:
    copy = onnx.ModelProto()
    copy.CopyFrom(wide)
    convert = resolve("onnxruntime.transformers.float16:convert_float_to_float16")
    made = convert(copy, keep_io_types=True, node_block_list=list(kept))
    return bytes(_named_once(made).SerializeToString())


def _named_once(model: onnx.ModelProto) -> onnx.ModelProto:
    """The converter casts a tensor once for each layer that wants it wide, under one name: the first cast is enough."""
    seen: set[str] = set()
    made: set[str] = set()
    for node in list(model.graph.node):
        if node.op_type == "Cast" and node.output[0] in made:
            model.graph.node.remove(node)
            continue
        made.update(node.output)
        if node.name in seen:
            node.name = f"{node.name}_{len(seen)}"
        seen.add(node.name)
    return model


def worst_layers(
    wide: onnx.ModelProto, narrow: bytes, spec: BundleSpec, cases: Sequence[Case], but: Sequence[str]
) -> list[str]:
    """Names of the layers, those first whose outputs are farther off than what they were given: the error is theirs."""
    layers = [node for node in wide.graph.node if node.op_type != "Constant" and node.name and node.name not in but]
    names = [node.output[0] for node in layers]
    told, found = layer_outputs(wide.SerializeToString(), names, spec, cases), layer_outputs(narrow, names, spec, cases)
    off = {name: _off(told[name], found[name]) for name in told.keys() & found.keys()}
    added = {node.name: off[node.output[0]] - max((off.get(name, 0.0) for name in node.input), default=0.0)
             for node in layers if node.output[0] in off}  # fmt: skip
    least = LEAST_SHARE * max(added.values(), default=0.0)
    return sorted((name for name in added if added[name] > least), key=lambda name: -added[name])


def _off(told: Any, found: Any) -> float:
    """As a share of the largest value; far where it is no number."""
    if not np.isfinite(found).all():
        return 1e9
    return float(np.abs(told - found).max(initial=0.0) / max(float(np.abs(told).max(initial=0.0)), 1e-6))


def layer_outputs(model: bytes, names: Sequence[str], spec: BundleSpec, cases: Sequence[Case]) -> dict[str, Any]:
    """What the layers with these outputs give in the last of a few calls, in float32."""
    graph = onnx.load_from_string(model)
    kinds = {
        each.name: each.type.tensor_type.elem_type for each in onnx.shape_inference.infer_shapes(graph).graph.value_info
    }
    given = {each.name for each in graph.graph.output}
    wanted = [name for name in names if kinds.get(name) in (TensorProto.FLOAT, TensorProto.FLOAT16)]
    added = [name for name in wanted if name not in given]
    graph.graph.output.extend(onnx.helper.make_tensor_value_info(name, kinds[name], None) for name in added)
    session = OnnxSession(graph.SerializeToString())
    call = caller(session, spec)
    found: dict[str, Any] = {}
    for feeds in cases[0].calls[:PROBES]:
        found = call(feeds)
    return {name: np.asarray(found[name], np.float32) for name in wanted if name in found}


def eight_bits(model: bytes, spec: BundleSpec, cases: Sequence[Case], static: bool) -> Narrowed:
    """Weights in eight bits. ``static``: what flows between layers as well, by ranges that the cases have."""
    with tempfile.TemporaryDirectory() as folder:
        wide, ready, out = (Path(folder) / f"{name}.onnx" for name in ("wide", "ready", "out"))
        onnx.save(widened(parsed(model, spec.name)), str(wide))
        prepare = resolve("onnxruntime.quantization.shape_inference:quant_pre_process")
        prepare(str(wide), str(ready), skip_symbolic_shape=True)
        if static:
            _static(ready, out, _Reader(model, spec, cases))
        else:
            _dynamic(ready, out)
        return Narrowed(out.read_bytes(), (), "int8 static" if static else "int8 dynamic")


def _static(ready: Path, out: Path, reader: _Reader) -> None:
    kinds = resolve("onnxruntime.quantization:QuantType")
    resolve("onnxruntime.quantization:quantize_static")(
        str(ready),
        str(out),
        reader,
        per_channel=True,
        activation_type=kinds.QUInt8,
        weight_type=kinds.QInt8,
        op_types_to_quantize=["Conv", *PRODUCTS],
    )


def _dynamic(ready: Path, out: Path) -> None:
    """Products alone: a convolution whose ranges are found at every call is slower than one in float32."""
    kind = resolve("onnxruntime.quantization:QuantType").QInt8
    resolve("onnxruntime.quantization:quantize_dynamic")(
        str(ready), str(out), weight_type=kind, per_channel=True, op_types_to_quantize=PRODUCTS
    )


class _Reader:
    """Calls of the cases, with the states that a stream has by then."""

    def __init__(self, model: bytes, spec: BundleSpec, cases: Sequence[Case]) -> None:
        self._calls = iter(_with_states(model, spec, cases))

    def get_next(self) -> Feeds | None:
        return next(self._calls, None)


def _with_states(model: bytes, spec: BundleSpec, cases: Sequence[Case]) -> list[Feeds]:
    session, found = OnnxSession(model), []
    for case in cases:
        states = {state.before: np.zeros(state.zeros_shape(), np.float32) for state in spec.states}
        for feeds in case.calls[:CALIBRATES]:
            found.append({**feeds, **states})
            results = session.run(found[-1])
            states = {state.before: results[state.after] for state in spec.states}
    return found
