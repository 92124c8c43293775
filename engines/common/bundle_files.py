"""What every bundle that is trained here says of its data, how its graph is written, and its file made small."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from engines.common.dataset import Dataset, Entry, usable
from engines.common.rates import STEADY_FPS
from realtime_dub.inference.spec import DataSpec

Net = TypeVar("Net", bound=nn.Module)
OPSET = 17
MANY = 1024  # numbers from which a tensor of weights is stored short
GRID = "GRID audiovisual sentence corpus"
# Licences of the corpora that were trained on, and whom to cite.
CORPORA = {
    GRID: (
        "CC BY 4.0",
        "Cooke, Barker, Cunningham, Shao: An audio-visual corpus for speech perception and automatic speech "
        "recognition. JASA 120(5), 2006",
    ),
    "Common Voice 13": ("CC0", "Common Voice, Mozilla, version 13, English"),
    "Common Voice 6.1": ("CC0", "Common Voice, Mozilla, version 6.1, 25 languages"),
    "speechocean762": ("free for commercial and other use (OpenSLR 101)", "Zhang et al., Interspeech 2021"),
    "espeak-ng": ("synthesised; text CC0", "espeak-ng 1.51"),
    "flite": ("synthesised; text CC0", "flite 2.2, voices of CMU"),
}
UNKNOWN = "another corpus"
LICENCE_UNKNOWN = "as its owner has it"
FEW = 5  # filmed speakers who are named


def described(dataset: Dataset, heard: bool = True, sounds: bool = False) -> tuple[DataSpec, ...]:
    """What a bundle says it was trained on: the filmed corpora, and those that were only ``heard``, of which a net that
    learns ``sounds`` takes all, others what is aligned or was listened to.
    """
    entries = [entry for entry in dataset.entries if entry.part == "train" and entry.filmed]
    if heard:
        trusted = {entry.name for entry in usable(dataset.entries)}
        entries += [
            e
            for e in dataset.entries
            if e.part == "train" and not e.filmed and (sounds or e.name in trusted or e.listened)
        ]
    return described_as(entries)


def described_as(entries: Sequence[Entry]) -> tuple[DataSpec, ...]:
    """What a bundle says of these tracks: their corpora, and how long they are together."""
    by_corpus: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_corpus[entry.corpus or UNKNOWN].append(entry)
    return tuple(_corpus(name, own) for name, own in by_corpus.items())


def licence_of(data: Sequence[DataSpec]) -> str:
    """Of a network that learnt from all of them."""
    return data[0].licence if len({each.licence for each in data}) == 1 else "as the owners of its data have it"


def _corpus(name: str, entries: list[Entry]) -> DataSpec:
    licence, citation = CORPORA.get(name, (LICENCE_UNKNOWN, ""))
    people = sorted({entry.speaker for entry in entries if entry.filmed})
    named = f"{name}, {', '.join(people) if len(people) <= FEW else f'{len(people)} speakers'}" if people else name
    hours = round(sum(entry.frames / STEADY_FPS or entry.seconds or entry.length_s() for entry in entries) / 3600, 2)
    return DataSpec(name=named, licence=licence, citation=citation, hours=hours)


def write_graph(
    net: nn.Module, path: Path, inputs: Mapping[str, Tensor], outputs: Sequence[str], named: bool = False
) -> None:
    """The graph of ``net``, traced with ``inputs`` in their order; each tensor's first axis is a batch of any size.

    ``named``: each weight is in it by its name, as it is; what is reckoned of weights alone is left to what runs it.
    """
    torch.onnx.export(
        net.cpu().eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
        opset_version=OPSET,
        do_constant_folding=not named,
        dynamo=False,
    )


def as_products(path: Path) -> None:
    """Write convolutions over time as products of matrices, on what each tap sees side by side.

    ONNX Runtime convolves four hops in twice the time of the product: it goes through positions side by side, of which
    there are hardly any. The weights stay as they are; where they are used they are turned, once, when it is loaded.
    """
    model = onnx.load(str(path))
    graph = model.graph
    weights = {each.name: tuple(each.dims) for each in graph.initializer}
    weights |= {
        node.output[0]: weights[node.input[0]]
        for node in graph.node
        if node.op_type == "Cast" and node.input[0] in weights
    }
    nodes = [made for node in graph.node for made in (_product(node, weights) or [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def _product(node: onnx.NodeProto, weights: Mapping[str, tuple[int, ...]]) -> list[onnx.NodeProto] | None:
    """What a convolution over time computes; None for any other layer."""
    if node.op_type != "Conv" or len(shape := weights.get(node.input[1], ())) != 3:
        return None
    told = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    if told.get("group", 1) != 1 or any(told.get("pads", ())) or any(each != 1 for each in told.get("strides", ())):
        return None
    made = _Made(node.output[0])
    (outputs, _, taps), dilation = shape, int(told.get("dilations", [1])[0])
    rows = made("Transpose", [node.input[0]], perm=[0, 2, 1])
    if taps > 1:
        ends = [(tap * dilation, (tap + 1 - taps) * dilation or _END) for tap in range(taps)]
        seen = [made("Slice", [rows, *(made.numbers(each) for each in (first, end, 1))]) for first, end in ends]
        rows = made("Concat", seen, axis=2)
    turned = made("Transpose", [node.input[1]], perm=[2, 1, 0])
    summed = made("MatMul", [rows, made("Reshape", [turned, made.numbers(-1, outputs)])])
    if len(node.input) > 2:
        summed = made("Add", [summed, node.input[2]])
    made.nodes.append(onnx.helper.make_node("Transpose", [summed], [node.output[0]], perm=[0, 2, 1]))
    return made.nodes


_END = np.iinfo(np.int64).max  # of an axis


class _Made:
    """Nodes in place of one, with names below that of its output."""

    def __init__(self, name: str) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._name = name

    def __call__(self, kind: str, inputs: Sequence[str], **told: object) -> str:
        """The name of the output."""
        name = f"{self._name}/{len(self.nodes)}"
        self.nodes.append(onnx.helper.make_node(kind, list(inputs), [name], **told))
        return name

    def numbers(self, *values: int) -> str:
        held = numpy_helper.from_array(np.array(values, np.int64))
        return self("Constant", [], value=held)


def rounded(net: Net) -> Net:
    """``net`` with its weights rounded, in place, to what 16 bits hold: its bundle takes half the room."""
    with torch.no_grad():
        for weights in net.state_dict().values():
            if weights.numel() >= MANY and weights.is_floating_point():
                weights.copy_(weights.half())
    return net


def shorten(path: Path) -> None:
    """Store weights that 16 bits hold exactly in 16 bits: half the file. They are widened once, when it is loaded."""
    model = onnx.load(str(path))
    graph = model.graph
    widened = []
    for tensor in graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.dtype != np.float32 or weights.size < MANY:
            continue
        halved = weights.astype(np.float16)
        if not np.array_equal(halved.astype(np.float32), weights):
            continue
        name, short = tensor.name, f"{tensor.name}.short"
        tensor.CopyFrom(numpy_helper.from_array(halved, short))
        widened.append(onnx.helper.make_node("Cast", [short], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*widened, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
