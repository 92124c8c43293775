"""How a mouth moves for what is heard: learnt from those who are filmed, told of everybody who is heard.

The teacher reads what the Whisper encoder hears (``engines/common/speech/whisper.py``) before and after the instant,
and how loud it is. The encoder knows a hundred languages and hardly hears whose voice it is. So what the teacher says
of a stranger's speech is how the filmed speakers would have moved for it; from that the motion net learns to listen to
many voices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.results import located, read_net, ready, shaped
from engines.common.speech.network import STRIDE
from engines.common.speech.vector_map import VectorMap
from realtime_dub.face.alignment import LOWER

NOISE = 0.3  # on the vectors' components, which are of mean square 1: few people are filmed
QUIET = -7.0  # floor of the loudness below the clip's loud parts, natural logarithm of power


@dataclass(frozen=True)
class TeacherShape:
    """Sizes of the net, kept with its weights."""

    components: int = 20
    width: int = 128
    vectors: int = 192  # components of the encoder's vectors
    dilations: tuple[int, ...] = (1, 2, 4, 1)
    dropout: float = 0.2


class Teacher(nn.Module):
    """Vectors (b, m, 512) and loudness (b, m), 50 a second, to coefficients (b, m, components)."""

    basis: Tensor  # (components, points * 3) of mouth motion

    def __init__(self, shape: TeacherShape) -> None:
        super().__init__()
        self.shape = shape
        self.vector_map = VectorMap(shape.vectors)
        self.enter = nn.Conv1d(shape.vectors + 1, shape.width, 5, padding=2)
        self.blocks = nn.ModuleList(
            nn.Conv1d(shape.width, shape.width, 3, dilation=d, padding=d) for d in shape.dilations
        )
        self.drop = nn.Dropout1d(shape.dropout)
        self.motion = nn.Conv1d(shape.width, shape.components, 1)
        self.register_buffer("basis", torch.zeros(shape.components, len(LOWER) * 3))

    def forward(self, vectors: Tensor, loudness: Tensor) -> Tensor:
        heard = self.vector_map(vectors)
        if self.training:
            heard = heard + NOISE * torch.randn_like(heard)
        x = self.enter(self.drop(torch.cat([heard, loudness[..., None]], -1).transpose(1, 2)))
        for block in self.blocks:
            x = x + self.drop(block(nn.functional.gelu(x)))
        return self.motion(nn.functional.gelu(x)).transpose(1, 2)

    def teach(self, log_power: Array, vectors: Array) -> Array:
        """Coefficients (m, components) at all vectors of a clip."""
        loud = np.resize(loudness(log_power)[::STRIDE], len(vectors))
        with torch.no_grad():
            found = self(torch.from_numpy(vectors.astype(np.float32))[None], torch.from_numpy(loud)[None])
        return np.asarray(found[0].numpy(), np.float32)

    def moved(self, log_power: Array, vectors: Array) -> Array:
        """The lower face (m, points, 3) in mouth widths, from the resting one, at all vectors of a clip."""
        coefficients = self.teach(log_power, vectors)
        return np.asarray((coefficients @ self.basis.numpy()).reshape(len(coefficients), len(LOWER), 3), np.float32)


def load_teacher(path: Path) -> Teacher:
    """The teacher of a run (see :func:`located`)."""
    tensors, shape = read_net(located(path, "teacher"))
    return ready(Teacher(shaped(TeacherShape, shape)), tensors)


def loudness(log_power: Array) -> Array:
    """Level (n,) of a clip relative to its own loud parts, of -1 to about 1."""
    total = np.log(np.exp(log_power.astype(np.float32)).mean(1) + 1e-12)
    return np.asarray(np.maximum(total - np.quantile(total, 0.9), QUIET) / -QUIET, np.float32)
