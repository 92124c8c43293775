"""The networks as one ONNX graph, built from their weights: no PyTorch, batch norms folded in, states outside.

What goes in and comes out are cepstra and points of the canonical face: the crop and its pixels are inside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from engines.common.onnx_graph import Graph
from engines.landmark_dub.layers import (
    BRIGHTEST,
    CENTRE,
    CEPSTRA,
    CROP,
    FACE,
    JOINED,
    LIPS,
    MEMORIES,
    OUT,
    PIXELS_PER_UNIT,
    SHOWN,
    VOICE,
)
from realtime_dub.media import Floats

EPSILON = 1e-5  # of PyTorch's batch norms
TIME = "time"
INPUTS: dict[str, tuple[int | str, ...]] = {"cepstra": (1, TIME, CEPSTRA), "face": (1, TIME, SHOWN, 2)}
OUTPUTS: dict[str, tuple[int | str, ...]] = {"lips": (1, TIME, LIPS, 2)}
STATE = (1, 1, JOINED)
STATES = tuple((f"memory_{layer}", f"next_memory_{layer}") for layer in range(MEMORIES))


def model_of(weights: Mapping[str, Floats]) -> bytes:
    """The graph's file. ``weights``: as ``layers.expected`` names them."""
    graph = _Network(weights)
    voice = graph.encoded("cepstra", "audio_encoder.encoder", len(VOICE))
    person = graph.encoded(graph.in_crop(), "face_encoder.encoder", len(FACE))
    x = graph.add("Transpose", [graph.add("Concat", [person, voice], axis=2)], perm=[1, 0, 2])  # time first
    for layer, names in enumerate(STATES):
        x = graph.remembered(x, layer, *names)
    x = graph.encoded(graph.add("Transpose", [x], perm=[1, 0, 2]), "face_decoder.decoder", len(OUT))
    x = graph.add("Sigmoid", [graph.linear(x, *graph.weights(f"face_decoder.decoder.{3 * len(OUT)}"))])
    graph.from_crop(x)
    before, after = ([(name, STATE) for name in names] for names in zip(*STATES, strict=True))
    return graph.model("landmarks", [*INPUTS.items(), *before], [*OUTPUTS.items(), *after])


class _Network(Graph):
    """The parts of this network."""

    def weights(self, name: str) -> tuple[Floats, Floats]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        product = self.add("MatMul", [x, self.keep(np.asarray(weight, np.float32).T)])
        return self.add("Add", [product, self.keep(np.asarray(bias, np.float32))])

    def encoded(self, x: str, name: str, layers: int) -> str:
        for place in range(layers):
            x = self.add("Relu", [self.linear(x, *_folded(self._weights, name, place))])
        return x

    def remembered(self, x: str, layer: int, before: str, after: str) -> str:
        """A layer of the GRU over time (time, 1, 144)."""
        given = [self.keep(each) for each in _gru(self._weights, layer)]
        made = self.add(
            "GRU", [x, *given, "", before], f"memories_{layer}", after, hidden_size=JOINED, linear_before_reset=1
        )
        return self.add("Squeeze", [made, self.keep(np.array([1], np.int64))])

    def in_crop(self) -> str:
        """The face's points as pixels in a row."""
        at = self.add("Mul", ["face", self.keep(np.float32(PIXELS_PER_UNIT))])
        at = self.add("Add", [at, self.keep(_origin())])
        return self.add("Reshape", [at, self.keep(np.array([1, -1, 2 * SHOWN], np.int64))])

    def from_crop(self, x: str) -> None:
        """Rows in 0..1 as points of the canonical face."""
        at = self.add("Reshape", [x, self.keep(np.array([1, -1, LIPS, 2], np.int64))])
        scaled = self.add("Mul", [at, self.keep(np.float32(BRIGHTEST / PIXELS_PER_UNIT))])
        self.add("Sub", [scaled, self.keep(_origin() / np.float32(PIXELS_PER_UNIT))], "lips")


def _origin() -> Floats:
    """Where the canonical face's origin lies in the crop."""
    return np.asarray(CROP / 2 - np.array(CENTRE, np.float32) * np.float32(PIXELS_PER_UNIT), np.float32)


def _folded(weights: Mapping[str, Floats], name: str, place: int) -> tuple[Floats, Floats]:
    """Weights and bias of a linear layer that does what it and its batch norm did."""
    linear, norm = f"{name}.{3 * place}", f"{name}.{3 * place + 1}"
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + EPSILON)
    bias = (weights[f"{linear}.bias"] - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]
    return np.asarray(weights[f"{linear}.weight"] * scale[:, None], np.float32), np.asarray(bias, np.float32)


def _gru(weights: Mapping[str, Floats], layer: int) -> list[Floats]:
    """Input weights, state's weights and both biases as ONNX has them: update before reset."""
    parts = {
        name: weights[f"face_decoder.stabilizer.{name}_l{layer}"]
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    }
    turned = {
        name: np.concatenate([each[JOINED : 2 * JOINED], each[:JOINED], each[2 * JOINED :]])
        for name, each in parts.items()
    }
    biases = np.concatenate([turned["bias_ih"], turned["bias_hh"]])
    return [np.asarray(each, np.float32)[None] for each in (turned["weight_ih"], turned["weight_hh"], biases)]
