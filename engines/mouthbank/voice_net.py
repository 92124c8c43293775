"""The motion net for any voice: the speech net, and on its posteriors a net that moves the mouth.

The second net knows of a voice which sounds it makes, how loud they are, and a few numbers of what the speech net drew
its conclusion from: between two sounds, or to one side of one. In training these few are often withheld, so
that the mouth can go by the sounds alone.

One net ends in several heads, each with a look-ahead of its own: what was heard up to a frame is read as the mouth of
that frame, or of an earlier one. They are trained together and cost little; a bundle has one of them.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.layers import CausalConv
from engines.common.results import located, read_net, ready, shaped
from engines.common.speech.network import STRIDE, EvenBlock, SpeechNet, SpeechShape, convolved, pointwise
from engines.mouthbank.data import Basis
from engines.mouthbank.network import LOOK_AHEAD, GivesMotion, Made
from realtime_dub.errors import ConfigError
from realtime_dub.mouth.mouthbank.trunk import TAPS, Trunk, TrunkShape

DETAIL_DROPOUT = 0.3  # share of training rows from which the details are withheld
RANGES = ((2, 16), (16, 40), (40, 76))  # bands whose mean levels are told beside the posteriors


@dataclass(frozen=True)
class VoiceShape:
    """Sizes of the net, kept with its checkpoints."""

    speech: SpeechShape = field(default_factory=SpeechShape)
    width: int = 96
    kernel: int = 3
    dilations: tuple[int, ...] = (2, 4, 8, 16, 2, 4)
    details: int = 24
    components: int = 20
    points: int = 168
    dropout: float = 0.1
    look_aheads: tuple[int, ...] = (0, 4, 8, 16)  # frames of 10 ms, one head each

    @property
    def bands(self) -> int:
        return self.speech.bands

    @property
    def inputs(self) -> int:
        """Channels of the motion net's first layer."""
        return self.speech.classes + len(RANGES) + self.details

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class Head(nn.Module):
    """What was heard (b, m, width) to coefficients (b, m, components) and logits of speech (b, m)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.leave = nn.Conv1d(shape.width, shape.width, 1)
        self.motion = nn.Conv1d(shape.width, shape.components, 1)
        self.speech = nn.Conv1d(shape.width, 1, 1)
        # Of the features over speech; measured for a bundle, and kept in it alone.
        self.register_buffer("mean", torch.zeros(shape.width), persistent=False)
        self.register_buffer("scale", torch.ones(shape.width), persistent=False)

    def made_of(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(pointwise(x, self.leave), approximate="tanh")

    def features(self, x: Tensor) -> Tensor:
        """What motion is made of (b, m, width), each of mean 0 and mean square 1 over speech: for who adapts it."""
        return (self.made_of(x) - self.mean) / self.scale

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.made_of(x)
        return pointwise(x, self.motion), pointwise(x, self.speech)[..., 0]


class VoiceNet(GivesMotion):
    """Log-mel (b, n, bands) to displacement (b, n, points, 3) in mouth widths and speech probability (b, n)."""

    basis: Tensor  # (components, points * 3), coefficients of spread 1
    look_ahead: int  # frames, of the head that ``forward`` uses

    def __init__(self, shape: VoiceShape) -> None:
        super().__init__()
        self.shape = shape
        self.hear = SpeechNet(shape.speech)
        self.detail = nn.Conv1d(shape.speech.width, shape.details, 1)
        self.enter = CausalConv(shape.inputs, shape.width, shape.kernel, STRIDE)
        self.blocks = nn.ModuleList(EvenBlock(shape.width, shape.kernel, d, shape.dropout) for d in shape.dilations)
        self.heads = nn.ModuleList(Head(shape) for _ in shape.look_aheads)
        self.look_ahead = LOOK_AHEAD if LOOK_AHEAD in shape.look_aheads else shape.look_aheads[-1]
        self.register_buffer("basis", torch.zeros(shape.components, shape.points * 3))

    def ahead(self, frames: int) -> VoiceNet:
        """This net, its weights shared, with the head that looks ``frames`` ahead."""
        other = copy.copy(self)
        other.look_ahead = frames
        return other

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """Silence before the first frame."""
        shape = self.shape
        pasts = [(shape.inputs, (shape.kernel - 1) * STRIDE)]
        pasts += [(shape.width, (shape.kernel - 1) * d) for d in shape.dilations]
        return self.hear.initial_state(batch) + [torch.zeros(batch, channels, past) for channels, past in pasts]

    def _told(self, mel: Tensor, logits: Tensor, hidden: Tensor) -> Tensor:
        """What the motion net is told (b, n, inputs) of frames that the speech net has heard."""
        levels = self.hear.normalised(mel).transpose(1, 2)
        means = [levels[..., low:high].mean(2, keepdim=True) for low, high in RANGES]
        details = pointwise(hidden, self.detail)
        if self.training:
            details = details * (torch.rand(len(details), 1, 1, device=mel.device) >= DETAIL_DROPOUT)
        return torch.cat([torch.softmax(logits.float(), -1), *means, details.float()], 2)

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Motion in the basis (b, n, components), speech as a logit (b, n), and the state after the last frame."""
        _, x, after = self._heard(mel, state)
        motion, speech = self._head()(x)
        return motion, speech, after

    def featured(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, Made | None, list[Tensor]]:
        told, x, after = self._heard(mel, state)
        coefficients, logit = self._head()(x)
        made = Made(self._head().features(x), told)
        return self.displacement(coefficients), torch.sigmoid(logit), made, after

    def trunk(self) -> Trunk | None:
        if self.shape.kernel != TAPS:
            return None
        head = self._head()
        layers: dict[str, nn.Module] = {"enter": self.enter.conv, "leave": head.leave, "motion": head.motion}
        for i, block in enumerate(self.blocks):
            assert isinstance(block, EvenBlock)
            layers |= {f"{i}.norm": block.norm, f"{i}.dilated": block.dilated.conv, f"{i}.pointwise": block.pointwise}
        dilations = tuple(each // STRIDE for each in self.shape.dilations)
        shape = TrunkShape(self.shape.inputs, self.shape.width, len(self.basis), self.shape.details, dilations)
        flat = [_numbers(layers, name) for name, _ in shape.parts()]
        return Trunk(shape, np.concatenate(flat), self.basis.numpy())

    def measure_features(self, mels: list[Tensor]) -> None:
        """Find the features' mean and spread over sounds (1, n, bands), before a bundle is written."""
        head, speech = self._head(), []
        with torch.no_grad():
            for mel in mels:
                _, x, _ = self._heard(mel, self.initial_state())
                speech.append(head.made_of(x)[0])
        made_of = torch.cat(speech)
        head.mean.copy_(made_of.mean(0))
        head.scale.copy_(made_of.std(0) + 1e-3)

    def _head(self) -> Head:
        head = self.heads[self.shape.look_aheads.index(self.look_ahead)]
        assert isinstance(head, Head)
        return head

    def _heard(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """What the trunk is told (b, n, inputs), what heads read of it (b, n, width), and the state after that."""
        heard = 1 + len(self.shape.speech.dilations)
        logits, hidden, after = self.hear.heard(mel, state[:heard])
        told = self._told(mel, logits, hidden)
        x, past = self.enter(told.transpose(1, 2), state[heard])
        after = [*after, past]
        for block, before in zip(self.blocks, state[heard + 1 :], strict=True):
            x, past = block(x, before)
            after.append(past)
        return told, nn.functional.gelu(x.transpose(1, 2), approximate="tanh"), after

    def strided_forward(self, mel: Tensor) -> tuple[list[tuple[Tensor, Tensor]], Tensor, Tensor]:
        """Each head's coefficients and speech logits, the phoneme logits and what they are made of, at frames 0,
        STRIDE, ... of sounds.
        """
        logits, hidden = self.hear.sparse_heard(mel)
        x = convolved(self._told(mel[:, ::STRIDE], logits, hidden), self.enter.conv, 1).float()
        for block in self.blocks:
            x = block.strided_forward(x)
        x = nn.functional.gelu(x, approximate="tanh")
        return [head(x) for head in self.heads], logits, hidden


def _numbers(layers: dict[str, nn.Module], name: str) -> Array:
    """Weights as rows that frames side by side are multiplied with, or a bias, in one row."""
    layer, _, kind = name.rpartition(".")
    values: Tensor = getattr(layers[layer], kind).detach()
    if values.dim() == 3:  # (outputs, inputs, taps)
        values = values.permute(2, 1, 0)
    return np.asarray(values.reshape(-1).numpy(), np.float32)


def load_voice(path: Path) -> VoiceNet:
    """The voice net of a run (see :func:`located`)."""
    tensors, shape = read_net(located(path, "voice"))
    return ready(VoiceNet(shaped(VoiceShape, shape)), tensors)


def go_on(net: VoiceNet, earlier: VoiceNet, basis: Basis) -> None:
    """Put the motion net of ``earlier`` into ``net``, whose speech net, heads and basis may be others.

    Each head begins as the nearest one there was, its coefficients brought into the new ``basis``. A speech net of the
    same kind goes on as well, with what it has learnt beside the motion. Raises ConfigError where the nets differ in
    size.
    """
    same = {"width", "kernel", "dilations", "details", "points"}
    unlike = [name for name in sorted(same) if getattr(net.shape, name) != getattr(earlier.shape, name)]
    if unlike:
        values = ", ".join(f"{name} {getattr(earlier.shape, name)}" for name in unlike)
        raise ConfigError("cannot begin with", f"that voice net: it has {values}", "give the stage the same")
    for part in ("detail", "enter", "blocks"):
        getattr(net, part).load_state_dict(getattr(earlier, part).state_dict())
    if earlier.hear.shape == net.hear.shape:
        net.hear.load_state_dict(earlier.hear.state_dict())
    turned = earlier.basis @ torch.from_numpy(basis.analysis)  # (components there, components here)
    for head, frames in zip(net.heads, net.shape.look_aheads, strict=True):
        other = earlier.heads[_nearest(earlier.shape.look_aheads, frames)]
        head.leave.load_state_dict(other.leave.state_dict())
        head.speech.load_state_dict(other.speech.state_dict())
        with torch.no_grad():
            head.motion.weight.copy_((turned.T @ other.motion.weight[:, :, 0])[:, :, None])
            head.motion.bias.copy_(turned.T @ other.motion.bias)


def _nearest(look_aheads: tuple[int, ...], frames: int) -> int:
    """The place of the head that looks most nearly so far ahead."""
    return min(range(len(look_aheads)), key=lambda place: abs(look_aheads[place] - frames))
