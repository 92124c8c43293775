"""Write a trained motion net as a bundle: ONNX with its state as tensors, and ``spec.json``."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from engines.common.dataset import Dataset, Entry, usable
from engines.common.rates import STEADY_FPS
from engines.mouthbank.network import GivesMotion
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import SPEC
from realtime_dub.inference.spec import DataSpec, MotionSpec, StateSpec, TensorSpec
from realtime_dub.media import NS, samples_to_ns

MODEL = "motion.onnx"
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


class Flat(torch.nn.Module):
    """The net with its state as separate arguments and results, as ONNX wants them."""

    def __init__(self, net: GivesMotion) -> None:
        super().__init__()
        self.net = net

    def forward(self, mel: torch.Tensor, *state: torch.Tensor) -> tuple[torch.Tensor, ...]:
        displacement, speech, features, after = self.net.featured(mel, list(state))
        return displacement, speech, *(() if features is None else (features,)), *after


def export_bundle(
    net: GivesMotion,
    spec: LogMelSpec,
    out: Path,
    version: str = "1.0.0",
    trained_on: tuple[DataSpec, ...] = (),
) -> Path:
    """Write the bundle folder ``out`` for ``net``; returns it."""
    out.mkdir(parents=True, exist_ok=True)
    states = _states(net)
    _write_onnx(net, states, out / MODEL)
    _shorten(out / MODEL)
    digest = hashlib.sha256((out / MODEL).read_bytes()).hexdigest()
    described = _describe(net, spec, states, version, trained_on, digest)
    (out / SPEC).write_text(json.dumps(described.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    return out


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


def rounded(net: GivesMotion) -> GivesMotion:
    """``net`` with its weights rounded, in place, to what 16 bits hold: its bundle takes half the room."""
    with torch.no_grad():
        for weights in net.state_dict().values():
            if weights.numel() >= MANY and weights.is_floating_point():
                weights.copy_(weights.half())
    return net


def _states(net: GivesMotion) -> tuple[StateSpec, ...]:
    tensors = net.initial_state()
    return tuple(
        StateSpec(before=f"past_{i}", after=f"next_past_{i}", shape=tuple(tensor.shape))
        for i, tensor in enumerate(tensors)
    )


def features_of(net: GivesMotion) -> int:
    """How many features a net tells beside its motion."""
    with torch.no_grad():
        features = net.featured(torch.zeros(1, 1, net.shape.bands), net.initial_state())[2]
    return 0 if features is None else features.shape[2]


def _write_onnx(net: GivesMotion, states: tuple[StateSpec, ...], path: Path) -> None:
    names = ["mel", *(state.before for state in states)]
    told = ["displacement", "speech", *(["features"] if features_of(net) else [])]
    example = (torch.zeros(1, 4, net.shape.bands), *net.initial_state())
    torch.onnx.export(
        Flat(net).eval(),
        example,
        str(path),
        input_names=names,
        output_names=[*told, *(state.after for state in states)],
        dynamic_axes={name: {1: "frames"} for name in ("mel", *told)},
        opset_version=OPSET,
        dynamo=False,
    )


def _shorten(path: Path) -> None:
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


def _describe(
    net: GivesMotion,
    spec: LogMelSpec,
    states: tuple[StateSpec, ...],
    version: str,
    trained_on: tuple[DataSpec, ...],
    digest: str,
) -> MotionSpec:
    outputs = {"displacement": (1, None, net.shape.points, 3), "speech": (1, None)}
    if count := features_of(net):
        outputs["features"] = (1, None, count)
    return MotionSpec(
        format=2,
        name="mouthbank-motion",
        version=version,
        engine="mouthbank",
        model=MODEL,
        audio=spec,
        look_ahead_ms=net.look_ahead * samples_to_ns(spec.hop, spec.rate) // 1_000_000,
        frame_rate=NS / spec.hop_ns,
        inputs=(TensorSpec(name="mel", shape=(1, None, net.shape.bands)),),
        states=states,
        outputs=tuple(TensorSpec(name=name, shape=shape) for name, shape in outputs.items()),
        points=tuple(int(index) for index in LOWER),
        licence="Apache-2.0",
        training_data=trained_on,
        sha256={MODEL: digest},
    )
