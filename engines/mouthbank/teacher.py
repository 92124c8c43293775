"""How a mouth moves for known sounds: learnt from the one speaker who is filmed, told of every speaker who is heard.

The teacher reads the aligner's classes and the loudness, before and after the instant, and no spectrum: what it says of
a stranger's speech is how the filmed speaker would have moved for the same sounds at the same times. Those are the
targets from which the motion net learns to listen to many voices.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.results import located, read_net, ready, shaped
from engines.common.speech.inventory import CLASSES, VISEME_OF, VISEMES
from engines.common.speech.network import STRIDE

CLASS_DROPOUT = 0.3  # then only the viseme is told: sounds the filmed speaker never made are judged by it
QUIET = -7.0  # floor of the loudness below the clip's loud parts, natural logarithm of power


@dataclass(frozen=True)
class TeacherShape:
    """Sizes of the net, kept with its weights."""

    components: int = 20
    width: int = 96
    dilations: tuple[int, ...] = (1, 2, 4, 1)


class Teacher(nn.Module):
    """Classes (b, m) and loudness (b, m) at every ``STRIDE``-th frame to coefficients (b, m, components)."""

    visemes: Tensor

    def __init__(self, shape: TeacherShape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.register_buffer("visemes", torch.tensor(VISEME_OF))
        self.enter = nn.Conv1d(len(CLASSES) + len(VISEMES) + 1, width, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d, padding=d) for d in shape.dilations)
        self.motion = nn.Conv1d(width, shape.components, 1)

    def forward(self, labels: Tensor, loudness: Tensor) -> Tensor:
        classes = nn.functional.one_hot(labels, len(CLASSES)).float()
        if self.training:
            classes = classes * (torch.rand(*labels.shape[:1], 1, len(CLASSES), device=labels.device) > CLASS_DROPOUT)
        visemes = nn.functional.one_hot(self.visemes[labels], len(VISEMES)).float()
        x = self.enter(torch.cat([classes, visemes, loudness[..., None]], -1).transpose(1, 2))
        for block in self.blocks:
            x = x + block(nn.functional.gelu(x))
        return self.motion(nn.functional.gelu(x)).transpose(1, 2)

    def teach(self, log_power: Array, labels: Array) -> Array:
        """Coefficients (n, components) at all frames of a clip."""
        loud = torch.from_numpy(loudness(log_power)[::STRIDE].copy())[None]
        with torch.no_grad():
            found = self(torch.from_numpy(labels[::STRIDE].astype(np.int64))[None], loud)[0].numpy()
        return np.asarray(np.repeat(found, STRIDE, 0)[: len(labels)], np.float32)


def load_teacher(path: Path) -> Teacher:
    """The teacher of a run (see :func:`located`)."""
    tensors, shape = read_net(located(path, "teacher"))
    return ready(Teacher(shaped(TeacherShape, shape)), tensors)


def loudness(log_power: Array) -> Array:
    """Level (n,) of a clip relative to its own loud parts, of -1 to about 1."""
    total = np.log(np.exp(log_power.astype(np.float32)).mean(1) + 1e-12)
    return np.asarray(np.maximum(total - np.quantile(total, 0.9), QUIET) / -QUIET, np.float32)
