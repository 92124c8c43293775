"""The speech net: log-mel features to the sound spoken, 100 times a second, with the look-ahead as a delay.

Causal dilated convolutions after the motion net of mouthbank. Every dilation is even, so that odd frames do not
touch even ones behind the first layer: training computes every other frame, for half the work, and the stream,
which computes all of them, gives the very same values there.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from engines.common.layers import CausalConv
from engines.common.speech.inventory import CLASSES
from engines.common.speech.vector_map import VectorMap

LOOK_AHEAD = 4  # frames of 10 ms
STRIDE = 2  # every how many-th frame training computes


@dataclass(frozen=True)
class SpeechShape:
    """Sizes of the net, kept with its checkpoints."""

    bands: int = 80
    width: int = 160
    kernel: int = 3
    enter: int = 5
    dilations: tuple[int, ...] = (2, 4, 8, 16, 32, 2, 4, 8, 16, 32)
    classes: int = len(CLASSES)
    dropout: float = 0.1
    vectors: int = 0  # components of the Whisper encoder's vectors that are learnt besides; not used afterwards

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def convolved(x: Tensor, conv: nn.Conv1d, dilation: int, stride: int = 1) -> Tensor:
    """A causal convolution over ``x`` (b, n, c) as one matrix product, on a CPU several times as fast as ``conv``.

    Before the first frame are zeros. In mixed precision the taps are gathered in the short type.
    """
    (kernel,), count = conv.kernel_size, x.shape[1]
    if torch.is_autocast_enabled(x.device.type):
        x = x.to(torch.get_autocast_dtype(x.device.type))
    x = nn.functional.pad(x, (0, 0, (kernel - 1) * dilation, 0))
    taps = torch.cat([x[:, k * dilation : k * dilation + count : stride] for k in range(kernel)], 2)
    return nn.functional.linear(taps, conv.weight.transpose(1, 2).flatten(1), conv.bias)


def pointwise(x: Tensor, conv: nn.Conv1d) -> Tensor:
    """A convolution of one tap over ``x`` (b, n, c)."""
    return nn.functional.linear(x, conv.weight[:, :, 0], conv.bias)


class EvenBlock(nn.Module):
    """A residual step whose dilation is even: normalise, dilated convolution, pointwise one."""

    def __init__(self, width: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        assert dilation % STRIDE == 0
        self.norm = nn.LayerNorm(width)
        self.dilated = CausalConv(width, width, kernel, dilation)
        self._dropout = dropout
        self.pointwise = nn.Conv1d(width, width, 1)
        nn.init.normal_(self.pointwise.weight, std=0.02)
        assert self.pointwise.bias is not None
        nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` (b, c, n) at the full rate after ``past``."""
        y, past = self.dilated(self.norm(x.transpose(1, 2)).transpose(1, 2), past)
        return x + self.pointwise(nn.functional.gelu(y, approximate="tanh")), past

    def strided_forward(self, x: Tensor) -> Tensor:
        """``x`` (b, m, c) at every other frame from the start of the sound on."""
        y = convolved(self.norm(x), self.dilated.conv, self.dilated.conv.dilation[0] // STRIDE)
        return x + pointwise(self._dropped(nn.functional.gelu(y, approximate="tanh")), self.pointwise)

    def _dropped(self, y: Tensor) -> Tensor:
        """Whole channels are withheld from a row: a random number for each value would take a tenth of the time."""
        if not self.training or self._dropout == 0:
            return y
        kept = (torch.rand(len(y), 1, y.shape[2], device=y.device) >= self._dropout).to(y.dtype)
        return y * kept / (1 - self._dropout)


class SpeechNet(nn.Module):
    """Log-mel (b, n, bands) to logits of the classes (b, n, classes); output n is about frame ``n - LOOK_AHEAD``."""

    band_mean: Tensor  # (bands,)
    band_scale: Tensor  # (bands,)

    def __init__(self, shape: SpeechShape) -> None:
        super().__init__()
        self.shape = shape
        self.enter = CausalConv(shape.bands, shape.width, shape.enter, 1)
        self.blocks = nn.ModuleList(EvenBlock(shape.width, shape.kernel, d, shape.dropout) for d in shape.dilations)
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Conv1d(shape.width, shape.classes, 1)
        self.listen = nn.Conv1d(shape.width, shape.vectors, 1) if shape.vectors else None
        self.vector_map = VectorMap(shape.vectors) if shape.vectors else None
        self.register_buffer("band_mean", torch.zeros(shape.bands))
        self.register_buffer("band_scale", torch.ones(shape.bands))

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """Silence before the first frame: one tensor (batch, channels, past) per dilated convolution."""
        shape = self.shape
        pasts = [(shape.bands, shape.enter - 1)] + [(shape.width, (shape.kernel - 1) * d) for d in shape.dilations]
        return [torch.zeros(batch, channels, past) for channels, past in pasts]

    def normalised(self, mel: Tensor) -> Tensor:
        """Features (b, n, bands) as channels (b, bands, n) of about unit spread."""
        return ((mel - self.band_mean) / self.band_scale).transpose(1, 2)

    def _leave(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, n, classes) and what they are made of (b, n, width), from ``x`` (b, n, width)."""
        hidden = nn.functional.gelu(self.norm(x), approximate="tanh")
        return pointwise(hidden, self.leave), hidden

    def heard(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Logits, what they are made of (b, n, width), and the state after the last frame."""
        x, past = self.enter(self.normalised(mel), state[0])
        after = [past]
        for block, before in zip(self.blocks, state[1:], strict=True):
            x, past = block(x, before)
            after.append(past)
        return *self._leave(x.transpose(1, 2)), after

    def forward(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Logits and the state after the last frame."""
        logits, _, after = self.heard(mel, state)
        return logits, after

    def sparse_heard(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (b, ceil(n / STRIDE), classes) and what they are made of, at frames 0, STRIDE, ... from the start."""
        x = convolved(self.normalised(mel).transpose(1, 2), self.enter.conv, 1, STRIDE).float()
        for block in self.blocks:
            x = block.strided_forward(x)
        return self._leave(x)

    def listened(self, hidden: Tensor) -> Tensor:
        """Components of vectors (b, m, vectors), of what a net that learns them has heard (b, m, width)."""
        assert self.listen is not None
        return pointwise(hidden, self.listen)

    def strided_forward(self, mel: Tensor) -> Tensor:
        """The logits of :meth:`sparse_heard`."""
        return self.sparse_heard(mel)[0]
