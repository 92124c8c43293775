"""Stage ``direct``: the motion net that goes from sound to mouth without knowing of phonemes.

After ``align_at`` steps the net itself measures by how much each training clip's picture is off its sound, and the
rest of the run uses clips put right (see ``align.py``). Validation and test stay as they are.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.bundle_files import described
from engines.common.engine import Engine, Samples, Work
from engines.common.grid import Clip
from engines.common.loop import Losses
from engines.common.speakers import in_one_measure
from engines.mouthbank.align import aligned, find_offsets
from engines.mouthbank.data import Basis, Batches, MotionLoss, make_basis
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import GivesMotion, MotionNet, Shape
from engines.mouthbank.validation import held_clips, on_cpu, samples, validate
from realtime_dub.audio.frontends.logmel import LogMelSpec

OFFSETS = "offsets.json"
Net = TypeVar("Net", bound=GivesMotion)


class Settings(BaseModel):
    """``[direct.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(16, ge=2)
    frames: int = Field(260, ge=50)  # of 10 ms
    width: int = Field(96, ge=4)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
    components: int = Field(20, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    align_at: int = Field(0, ge=0)  # step after which clips are put right; 0 = never
    validation_tracks: int = Field(60, ge=1)
    version: str = "1.0.0"


class DirectEngine(Engine):
    """Learns mouth motion from sound: see ``data.py`` for the batches and the loss."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._shape = Shape(
            width=settings.width,
            dilations=settings.dilations,
            components=settings.components,
            dropout=settings.dropout,
        )
        self.turns = (settings.align_at,) if settings.align_at else ()
        self._spec = LogMelSpec(bands=self._shape.bands)
        self._clips = filmed(work)
        self._held = held_clips(work.dataset, settings.validation_tracks)
        self._basis = make_basis(np.concatenate([clip.motion for clip in self._clips]), settings.components)
        self._measured = work.context.broadcast((work.out / OFFSETS).exists()) > 0
        self._batches = self._draws(read_offsets(work.out))
        self._loss = MotionLoss(self._basis).to(work.context.device)

    def _draws(self, offsets: dict[str, float]) -> Batches:
        clips, settings = aligned(self._clips, offsets), self._settings
        return Batches(clips, self._basis, self._spec, settings.batch, settings.frames, self._work.seed)

    def network(self) -> MotionNet:
        torch.manual_seed(self._work.seed)
        return fitted(MotionNet(self._shape), self._basis, self._batches)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, MotionNet)
        device = self._work.context.device
        mel, target, speech = (tensor.to(device) for tensor in self._batches.draw(rng))
        with device:  # the net makes its first state on the default device
            return self._loss(net, mel, target, speech)

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        path, context = self._work.out / OFFSETS, self._work.context
        if self._measured:
            return
        if context.first:
            measured = on_cpu(average)
            assert isinstance(measured, MotionNet)
            path.write_text(json.dumps(find_offsets(measured, self._clips, self._spec), indent=0))
        context.broadcast(0)  # the others wait for the file
        self._batches = self._draws(read_offsets(self._work.out))

    def check(self, net: nn.Module) -> dict[str, float]:
        return validate(on_cpu(net), self._held, self._spec)

    def samples(self, net: nn.Module) -> Samples:
        return samples(on_cpu(net), self._held, self._spec)

    def amounts(self) -> dict[str, object]:
        amount = {"train": len(self._clips), "validation": len(self._held)}
        return {"clips": amount, "explained": self._basis.explained}

    def export(self, net: nn.Module, out: Path) -> Path:
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(on_cpu(net), self._spec, out / "bundle", self._settings.version, corpora)


def filmed(work: Work) -> list[Clip]:
    """The training clips, everybody's motion in one measure."""
    return in_one_measure([work.dataset.clip(entry) for entry in work.dataset.part("train")])


def read_offsets(folder: Path) -> dict[str, float]:
    """What a run of the direct net has measured; nothing where it has not."""
    path = folder / OFFSETS
    found: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    return found


def fitted(net: Net, basis: Basis, batches: Batches) -> Net:
    """``net`` with basis and band statistics of the training clips in it."""
    mel = batches.all_mel()
    net.basis.copy_(torch.from_numpy(basis.components))
    net.band_mean.copy_(torch.from_numpy(mel.mean(0)))
    net.band_scale.copy_(torch.from_numpy(mel.std(0) + 0.1))
    return net
