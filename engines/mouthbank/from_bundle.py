"""The nets inside bundles, to train on: ``python -m engines.mouthbank.from_bundle BUNDLE [BUNDLE ...] --out RUN``.

The shipped bundles have the same voice net, each with the head of its look-ahead. RUN/voice, RUN/speech and RUN/direct
get what those stages would have left, for ``start`` in a configuration, or ``--given``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from engines.common.results import NET, write_net
from engines.common.speech.network import SpeechShape
from engines.mouthbank.ensemble import Mean
from engines.mouthbank.export import MODEL, Flat
from engines.mouthbank.network import MotionNet, Shape
from engines.mouthbank.voice_net import Head, VoiceNet, VoiceShape
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load
from realtime_dub.mouth.mouthbank.motion import FEATURES

SHORT = ".short"  # of the names of weights that are stored in 16 bits
MARK, BASIS = "hear.band_mean", "basis"  # the voice net alone has the one, each net the other


def tensors_of(model: onnx.ModelProto) -> dict[str, Tensor]:
    """A graph's weights as the net names them. A layer of one tap is a product without a name: its bias tells it."""
    weights = {each.name: _tensor(each) for each in model.graph.initializer}
    named = {name.removesuffix(SHORT): value for name, value in weights.items() if "::" not in name}
    for product, bias in _products(model.graph):
        if bias.endswith(".bias") and product in weights:
            named[bias.removesuffix("bias") + "weight"] = weights[product].T[:, :, None].contiguous()
    return named


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(stored), np.float32))


def _products(graph: onnx.GraphProto) -> Iterator[tuple[str, str]]:
    """(weights, bias) of each matrix product to which a bias is added."""
    made = {output: node for node in graph.node for output in node.output}

    def source(name: str) -> str:
        return made[name].input[0] if name in made and made[name].op_type == "Cast" else name

    for node in graph.node:
        if node.op_type == "Add":
            for one, other in (tuple(node.input), tuple(node.input)[::-1]):
                if one in made and made[one].op_type == "MatMul":
                    yield source(made[one].input[1]), source(other)


def parts_of(folder: Path) -> list[dict[str, Tensor]]:
    """The weights of each net that a bundle's mouth is the mean of."""
    tensors = tensors_of(onnx.load(str(folder / MODEL)))
    prefixes = sorted({name.removesuffix(BASIS) for name in tensors if name.endswith(BASIS)})
    return [{n.removeprefix(p): value for n, value in tensors.items() if n.startswith(p)} for p in prefixes]


def voice_tensors(folder: Path) -> tuple[dict[str, Tensor], int]:
    """The voice net's weights in a bundle, and its look-ahead in frames. Raises BundleError where there is none."""
    found = [part for part in parts_of(folder) if MARK in part]
    if not found:
        raise BundleError("no voice net in", str(folder), "give a bundle of train-engine mouthbank")
    return found[0], load(folder).look_ahead_ms // 10


def direct_net(folder: Path) -> MotionNet | None:
    """The direct net in a bundle, if it has one."""
    for tensors in parts_of(folder):
        if MARK not in tensors:
            blocks = sum(name.endswith("pointwise.bias") for name in tensors)
            width, bands = tensors["enter.conv.weight"].shape[:2]
            shape = Shape(bands=bands, width=width, components=len(tensors["basis"]))
            assert len(shape.dilations) == blocks
            net = MotionNet(shape)
            net.load_state_dict(tensors)
            return net.eval()
    return None


def voice_net(folders: list[Path]) -> VoiceNet:
    """The voice net that the bundles have in common, with all their heads."""
    found = sorted((voice_tensors(folder) for folder in folders), key=lambda pair: pair[1])
    tensors, heads = found[0][0], [ahead for _, ahead in found]
    net = VoiceNet(replace(_shape(tensors, folders[0]), look_aheads=tuple(heads)))
    for place, (own, _) in enumerate(found):
        of_head = {name.split(".", 2)[2]: value for name, value in own.items() if name.startswith("heads.")}
        net.heads[place].load_state_dict({name: value for name, value in of_head.items() if "." in name})
    heads_now = {name: value for name, value in net.state_dict().items() if name.startswith("heads.")}
    trunk = {name: value for name, value in tensors.items() if not name.startswith("heads.")}
    net.load_state_dict(trunk | heads_now)
    return net.eval()


def whole_net(folder: Path) -> torch.nn.Module | None:
    """What the bundle ``folder`` computes, its tensors in the order of its spec: of one with a voice net alone. A mean
    of several does not tell their shares, and other tasks have other nets.
    """
    if not (folder / MODEL).is_file():
        return None
    if (net := shipped_net(folder)) is None:
        return None
    tells = tuple(output.name for output in load(folder).spec.outputs)  # bundles of before tell less
    return Flat(net, tells).eval()


def shipped_net(folder: Path) -> Mean | None:
    """The net of a bundle that has a voice net alone, its features as they are measured; None of any other."""
    parts = parts_of(folder)
    if len(parts) != 1 or MARK not in parts[0]:
        return None
    voice = voice_net([folder]).ahead(load(folder).look_ahead_ms // 10)
    head = voice.heads[0]
    assert isinstance(head, Head)
    if (measured := _measured_features(onnx.load(str(folder / MODEL)).graph)) is not None:
        head.mean, head.scale = measured
    return Mean([voice], [1.0]).eval()


def _measured_features(graph: onnx.GraphProto) -> tuple[Tensor, Tensor] | None:
    """Mean and spread of the features in a bundle, which the net keeps nowhere: the last that is done to them."""
    made = {output: node for node in graph.node for output in node.output}
    divided = made.get(FEATURES)
    if divided is None:
        return None
    taken = made[divided.input[0]]
    mean, scale = (made[node.input[1]].attribute[0].t for node in (taken, divided))
    return _tensor(mean), _tensor(scale)


def _shape(tensors: dict[str, Tensor], folder: Path) -> VoiceShape:
    """Sizes from the weights; how far each layer reaches, from the states that the bundle says it keeps."""
    hears, moves = (sum(n.startswith(p) and n.endswith("dilated.conv.bias") for n in tensors) for p in ("hear.", "bl"))
    pasts = [state.zeros_shape()[2] for state in load(folder).spec.states]
    reached = [past // 2 for past in pasts[-(hears + moves + 2) :]]  # of three taps, the voice net's come last
    components, points = tensors["basis"].shape
    speech = SpeechShape(
        width=len(tensors["hear.norm.weight"]),
        classes=len(tensors["hear.leave.bias"]),
        dilations=tuple(reached[1 : hears + 1]),
    )
    return VoiceShape(
        speech=speech,
        width=tensors["enter.conv.weight"].shape[0],
        details=len(tensors["detail.bias"]),
        dilations=tuple(reached[hears + 2 :]),
        components=components,
        points=points // 3,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Take the nets out of bundles, to train on.")
    parser.add_argument("bundle", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True, help="the run to write")
    arguments = parser.parse_args()
    voice = voice_net(arguments.bundle)
    direct = next((net for net in map(direct_net, arguments.bundle) if net is not None), None)
    for stage, made in (("voice", voice), ("speech", voice.hear), ("direct", direct)):
        if made is not None:
            (arguments.out / stage).mkdir(parents=True, exist_ok=True)
            write_net(arguments.out / stage / NET, made)
    print(f"{arguments.out}: heads of {', '.join(str(10 * ahead) for ahead in voice.shape.look_aheads)} ms")


if __name__ == "__main__":
    main()
