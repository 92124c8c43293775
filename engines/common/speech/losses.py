"""What a speech net is measured by, how a fresh one begins, and how a trained one is read."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engines.common.results import located, read_net, ready, shaped
from engines.common.speech.data import Speech
from engines.common.speech.inventory import INDEX, SIL, UNKNOWN, VISEMES
from engines.common.speech.network import LOOK_AHEAD, STRIDE, SpeechNet, SpeechShape
from engines.common.speech.vector_map import VectorMap

WARM_UP = 20  # outputs at a row's start that have no past to judge by
SMOOTHING = 0.05


def class_weights() -> Tensor:
    """Silence is plenty; lips that must touch count more."""
    weights = torch.ones(len(INDEX))
    weights[INDEX[SIL]] = 0.5
    for name in (*VISEMES["closed"], *VISEMES["lip on teeth"]):
        weights[INDEX[name]] = 1.5
    return weights


def phone_loss(logits: Tensor, labels: Tensor, weights: Tensor, stride: int = STRIDE) -> Tensor:
    """Cross entropy of logits (b, m, classes) at every ``stride``-th frame with labels (b, n), the delay taken off."""
    late = LOOK_AHEAD // stride
    spoken = labels[:, ::stride][:, : logits.shape[1] - late]
    found = logits[:, late:][:, WARM_UP:]
    return nn.functional.cross_entropy(
        found.transpose(1, 2), spoken[:, WARM_UP:], weight=weights, label_smoothing=SMOOTHING, ignore_index=UNKNOWN
    )


def build_net(speech: Speech, shape: SpeechShape, vector_map: VectorMap | None = None) -> SpeechNet:
    """A fresh net with the bands' statistics in it, and the map of the vectors that it learns."""
    net = SpeechNet(shape)
    if net.vector_map is not None and vector_map is not None:
        net.vector_map.load_state_dict(vector_map.state_dict())
    mel = speech.mel()
    net.band_mean.copy_(torch.from_numpy(mel.mean(0)))
    net.band_scale.copy_(torch.from_numpy(mel.std(0) + 0.1))
    return net


def load_speech(path: Path) -> SpeechNet:
    """The net of stage ``speech`` of a run, or the one inside a voice net (see :func:`located`)."""
    tensors, shape = read_net(located(path, "speech", "voice"))
    inside = {name.removeprefix("hear."): value for name, value in tensors.items() if name.startswith("hear.")}
    return ready(SpeechNet(shaped(SpeechShape, shape["speech"] if inside else shape)), inside or tensors)
