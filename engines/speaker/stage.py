"""Stage ``speaker``: from sounds of people with names to a bundle that tells voices apart."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common import Array
from engines.common.bundle_files import described_as, licence_of, rounded
from engines.common.engine import Engine, Work
from engines.common.loop import Losses
from engines.speaker.data import Said, changed, equal_errors, pairs, piece, read_said
from engines.speaker.export import spec_of, write_bundle
from engines.speaker.network import Learner, LearnerShape, Shape, SpeakerNet, margin_loss


class Settings(BaseModel):
    """``[speaker.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(128, ge=8)
    batch: int = Field(64, ge=2)
    frames: tuple[int, int] = (100, 200)  # of a piece, from and to
    most: int = Field(12, ge=1)  # clips of a speaker
    scale: float = Field(30.0, gt=0)  # of cosines in the softmax
    margin: float = Field(0.2, ge=0, lt=1)


class SpeakerEngine(Engine):
    """Learns which of the speakers it is; measured on people it does not know."""

    score = "told_apart"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._train = read_said(work.dataset, "train", settings.most)
        names = sorted({each.speaker for each in self._train})
        held = read_said(work.dataset, "validation", settings.most, alone=False)
        self._held = [each for each in held if each.speaker not in set(names)]
        self._own = [[each for each in self._train if each.speaker == name] for name in names]

    def network(self) -> Learner:
        torch.manual_seed(self._work.seed)
        return Learner(LearnerShape(Shape(width=self._settings.width), len(self._own)))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Learner)
        who = rng.integers(0, len(self._own), self._settings.batch)  # every person as often
        frames = int(rng.integers(*self._settings.frames, endpoint=True))
        mels = [self._some(self._own[each], frames, rng) for each in who]
        device = self._work.context.device
        cosines = net.cosines(torch.from_numpy(np.stack(mels)).to(device))
        told = torch.from_numpy(who).to(device)
        return {"margin": margin_loss(cosines.float(), told, self._settings.scale, self._settings.margin)}

    @staticmethod
    def _some(clips: list[Said], frames: int, rng: np.random.Generator) -> Array:
        return changed(piece(clips[rng.integers(len(clips))].mel, frames, rng), rng)

    def check(self, net: nn.Module) -> dict[str, float]:
        assert isinstance(net, Learner)
        plain = copy.deepcopy(net.net).cpu().eval()
        errors = equal_errors(*pairs(vectors_of(plain, self._held), self._held))
        return {"equal_errors": round(errors, 4), "told_apart": round(-errors, 4)}

    def amounts(self) -> dict[str, object]:
        clips = {"train": len(self._train), "validation": len(self._held)}
        held = len({each.speaker for each in self._held})
        weights = sum(each.numel() for each in self.network().net.parameters())
        return {"clips": clips, "speakers": {"train": len(self._own), "validation": held}, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        assert isinstance(net, Learner)
        data = described_as([each.entry for each in self._train])
        plain = rounded(copy.deepcopy(net.net).cpu().eval())
        return write_bundle(plain, out / "bundle", spec_of(plain, licence_of(data), "", data))


def vectors_of(net: SpeakerNet, said: list[Said]) -> Array:
    """Of whole clips: (n, 256)."""
    with torch.no_grad():
        found = [net(torch.from_numpy(each.mel.astype(np.float32))[None])[0].numpy() for each in said]
    return np.stack(found)
