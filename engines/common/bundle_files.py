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


def described(dataset: Dataset, heard: bool = True) -> tuple[DataSpec, ...]:
    """What a bundle says it was trained on: the filmed corpora, and those that were only ``heard``."""
    entries = [entry for entry in dataset.entries if entry.part == "train" and entry.filmed]
    if heard:
        trusted = {entry.name for entry in usable(dataset.entries)}
        entries += [
            e for e in dataset.entries if e.part == "train" and not e.filmed and (e.name in trusted or e.listened)
        ]
    by_corpus: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_corpus[entry.corpus or UNKNOWN].append(entry)
    return tuple(_corpus(name, own) for name, own in by_corpus.items())


def _corpus(name: str, entries: list[Entry]) -> DataSpec:
    licence, citation = CORPORA.get(name, (LICENCE_UNKNOWN, ""))
    people = sorted({entry.speaker for entry in entries if entry.filmed})
    named = f"{name}, {', '.join(people) if len(people) <= FEW else f'{len(people)} speakers'}" if people else name
    hours = round(sum(entry.frames / STEADY_FPS or entry.seconds or entry.length_s() for entry in entries) / 3600, 2)
    return DataSpec(name=named, licence=licence, citation=citation, hours=hours)


def write_graph(net: nn.Module, path: Path, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> None:
    """The graph of ``net``, traced with ``inputs`` in their order; each tensor's first axis is a batch of any size."""
    torch.onnx.export(
        net.cpu().eval(),
        tuple(inputs.values()),
        str(path),
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
        opset_version=OPSET,
        dynamo=False,
    )


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
