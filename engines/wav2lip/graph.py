"""The network as an ONNX graph, built layer by layer from its weights: no PyTorch, and batch norms folded in.

What goes in and comes out is what bundles of task ``crop`` have: BGR in 0..1, the mel window with a row for each hop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engines.common.onnx_graph import Graph
from engines.wav2lip.layers import AUDIO, BANDS, DECODER, FACE, FRAMES, OUTPUT, SIZE, Layer
from realtime_dub.media import Floats

BATCH = "batch"
EPSILON = 1e-5  # of PyTorch's batch norms
IMAGE = (BATCH, 3, SIZE, SIZE)
INPUTS: dict[str, tuple[int | str, ...]] = {"mel": (BATCH, FRAMES, BANDS), "face": IMAGE, "reference": IMAGE}
OUTPUTS: dict[str, tuple[int | str, ...]] = {"painted": IMAGE}


def model_of(weights: Mapping[str, Floats]) -> bytes:
    """The network's file. ``weights``: as :func:`layers.expected` names them."""
    graph = _Network(weights)
    maps = graph.face_maps(graph.add("Concat", ["face", "reference"], axis=1))
    joined = graph.decoded(graph.voice(), maps)
    joined = graph.layer(joined, "output_block.0", OUTPUT)
    last = [graph.keep(weights[f"output_block.1.{part}"], f"output_block.1.{part}") for part in ("weight", "bias")]
    graph.add("Sigmoid", [graph.add("Conv", [joined, *last])], "painted")
    return graph.model("wav2lip", INPUTS.items(), OUTPUTS.items())


class _Network(Graph):
    """The parts of this network."""

    def layer(self, x: str, name: str, layer: Layer) -> str:
        weight, bias = folded(self._weights, name, layer)
        given = [x, self.keep(weight, f"{name}.weight"), self.keep(bias, f"{name}.bias")]
        how: dict[str, Any] = {"strides": layer.stride, "pads": [layer.padding] * 4}
        if layer.transposed:
            made = self.add("ConvTranspose", given, output_padding=[layer.extra] * 2, **how)
        else:
            made = self.add("Conv", given, **how)
        return self.add("Relu", [self.add("Add", [made, x]) if layer.residual else made])

    def block(self, x: str, name: str, block: Sequence[Layer]) -> str:
        for place, layer in enumerate(block):
            x = self.layer(x, f"{name}.{place}", layer)
        return x

    def face_maps(self, x: str) -> list[str]:
        """What each block of the face encoder gives."""
        maps = []
        for place, block in enumerate(FACE):
            maps.append(x := self.block(x, f"face_encoder_blocks.{place}", block))
        return maps

    def voice(self) -> str:
        """From the mel window (batch, hops, bands) to one point."""
        turned = self.add("Transpose", ["mel"], perm=[0, 2, 1])
        return self.block(self.add("Unsqueeze", [turned, self.keep(np.array([1], np.int64))]), "audio_encoder", AUDIO)

    def decoded(self, x: str, maps: Sequence[str]) -> str:
        for place, (block, beside) in enumerate(zip(DECODER, reversed(maps), strict=True)):
            x = self.add("Concat", [self.block(x, f"face_decoder_blocks.{place}", block), beside], axis=1)
        return x


def folded(weights: Mapping[str, Floats], name: str, layer: Layer) -> tuple[Floats, Floats]:
    """Weights and bias of a convolution that does what it and its batch norm did."""
    conv, norm = f"{name}.conv_block.0", f"{name}.conv_block.1"
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + EPSILON)
    bias = (weights[f"{conv}.bias"] - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]
    across = (None, slice(None), None, None) if layer.transposed else (slice(None), None, None, None)
    return np.asarray(weights[f"{conv}.weight"] * scale[across], np.float32), np.asarray(bias, np.float32)
