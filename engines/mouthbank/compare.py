"""Stages ``compare-...``: nets that ours are compared with, all made in the same way: clips, basis, loss, seed, steps.

``direct`` is mouthbank's direct net, which is ours without the speech net; ``plain`` the same net that hears the filmed
voice alone, neither disturbed nor at other speeds than its own; ``window`` and ``recurrent`` are those of
``baselines.py``. Clips are put right from the first step on, by what the direct net of the run has measured.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common.augment import mild, vary
from engines.common.bundle_files import described
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.mouthbank.align import aligned
from engines.mouthbank.baselines import Baseline, RecurrentNet, RecurrentShape, WindowNet, WindowShape, parameters
from engines.mouthbank.data import Batches, MotionLoss, make_basis
from engines.mouthbank.direct import filmed, fitted, read_offsets
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import LOOK_AHEAD, MotionNet, Shape
from engines.mouthbank.validation import held_clips, on_cpu, samples, validate
from realtime_dub.audio.frontends.logmel import LogMelSpec

Kind = Literal["direct", "plain", "window", "recurrent"]
KINDS: tuple[Kind, ...] = ("direct", "plain", "window", "recurrent")
Net = MotionNet | Baseline
Rows = tuple[Tensor, Tensor, Tensor]
WINDOWS, STEP = 6, 4  # windows of a row and the frames between them: 96 a batch, as LipGAN's


class Settings(BaseModel):
    """``[compare-KIND.engine]`` of the configuration. The widths make nets of about as many parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(16, ge=2)
    frames: int = Field(260, ge=50)  # of 10 ms
    components: int = Field(20, ge=1)
    width: int = Field(Shape.width, ge=4)  # of direct and plain
    recurrent_width: int = Field(RecurrentShape.width, ge=4)
    window_widths: tuple[int, int, int, int, int] = (9, 18, 36, 72, 144)
    validation_tracks: int = Field(60, ge=1)
    version: str = "1.0.0"


def fresh(kind: Kind, settings: Settings) -> Net:
    """An untrained net."""
    if kind == "window":
        return WindowNet(WindowShape(widths=settings.window_widths, components=settings.components))
    if kind == "recurrent":
        return RecurrentNet(RecurrentShape(width=settings.recurrent_width, components=settings.components))
    return MotionNet(Shape(width=settings.width, components=settings.components))


def window_loss(net: WindowNet, loss: MotionLoss, rows: Rows, rng: np.random.Generator) -> Losses:
    """The loss at a few frames of each row, because each costs a window."""
    mel, target, speech = rows
    last = mel.shape[1] - (WINDOWS - 1) * STEP
    first = torch.from_numpy(rng.integers(LOOK_AHEAD, last, (len(mel), 1))).to(mel.device)
    ends = first + STEP * torch.arange(WINDOWS, device=mel.device)
    found, logit = net.strided_forward(mel, ends)
    at = torch.arange(len(mel), device=mel.device)[:, None], ends - LOOK_AHEAD
    return loss.compare(found, logit, target[at], speech[at], span=4 // STEP)


class ComparedEngine(Engine):
    """One of the nets."""

    score = "r"

    def __init__(self, kind: Kind, settings: Settings, work: Work) -> None:
        self._kind, self._settings, self._work = kind, settings, work
        self._spec = LogMelSpec()
        clips = aligned(filmed(work), read_offsets(work.results["direct"].parent))
        self._held = held_clips(work.dataset, settings.validation_tracks)
        self._basis = make_basis(np.concatenate([clip.motion for clip in clips]), settings.components)
        augmentation, own_every = (vary, 1) if kind == "plain" else (mild, 2)
        rows = settings.batch, settings.frames
        self._batches = Batches(clips, self._basis, self._spec, *rows, work.seed, augmentation, own_every)
        self._loss = MotionLoss(self._basis).to(work.context.device)
        self._amounts: dict[str, object] = {"clips": {"train": len(clips), "validation": len(self._held)}}

    def network(self) -> Net:
        torch.manual_seed(self._work.seed)
        net = fitted(fresh(self._kind, self._settings), self._basis, self._batches)
        self._amounts["parameters"] = parameters(net)
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        device = self._work.context.device
        mel, target, speech = (tensor.to(device) for tensor in self._batches.draw(rng))
        with device:
            if isinstance(net, WindowNet):
                return window_loss(net, self._loss, (mel, target, speech), rng)
            assert isinstance(net, MotionNet | Baseline)
            return self._loss(net, mel, target, speech)

    def check(self, net: nn.Module) -> dict[str, float]:
        return validate(on_cpu(net), self._held, self._spec)

    def samples(self, net: nn.Module) -> Samples:
        return samples(on_cpu(net), self._held, self._spec)

    def amounts(self) -> dict[str, object]:
        return self._amounts

    def export(self, net: nn.Module, out: Path) -> Path:
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(on_cpu(net), self._spec, out / "bundle", self._settings.version, corpora)


def maker(kind: Kind) -> Callable[[Settings, Work], ComparedEngine]:
    """What makes the stage of a kind of net."""
    return lambda settings, work: ComparedEngine(kind, settings, work)
