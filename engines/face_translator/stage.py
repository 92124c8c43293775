"""Stage ``translator``: from a film of one person to the bundle that paints them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.face_translator.bundles import about_film, export
from engines.face_translator.film import SIZE, Faces, read
from engines.face_translator.network import Shape, TranslatorNet
from realtime_dub.mouth.mouthbank.denoiser import SIDE
from realtime_dub.mouth.mouthbank.translator import DRAWING, PAINTED

SHOWN = 6  # pictures of a sheet
MOUTH_SIDE = 1.1  # template units: what counts more


class Settings(BaseModel):
    """``[translator.engine]`` of the configuration. ``mouth`` and ``edges`` weigh parts of the loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, int, int, int] = (16, 24, 48, 64)
    batch: int = Field(8, ge=1)
    mouth: float = Field(4.0, ge=0)  # as much more as the rest
    edges: float = Field(1.0, ge=0)
    version: str = "1.0.0"


class TranslatorEngine(Engine):
    """Learns pictures from drawings of them."""

    score = "closer"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._faces, self._held = read(work.dataset.roots[0]).parts()
        self._mean = self._faces.pictures.mean(0).transpose(2, 0, 1).astype(np.float32) / 255
        self._weight = 1 + settings.mouth * _middle()

    def network(self) -> TranslatorNet:
        torch.manual_seed(self._work.seed)
        net = TranslatorNet(Shape(self._settings.widths))
        net.mean.copy_(torch.from_numpy(self._mean))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        rows = rng.integers(0, len(self._faces.pictures), self._settings.batch)
        drawing, wanted = (each.to(self._work.context.device) for each in _batch(self._faces, rows))
        off = net(drawing) - wanted
        weight = self._weight.to(off)
        across, down = off.diff(dim=3) * weight[..., 1:], off.diff(dim=2) * weight[1:]
        return {
            "pixels": (off.abs() * weight).mean(),
            "edges": self._settings.edges * (across.abs().mean() + down.abs().mean()),
        }

    def check(self, net: nn.Module) -> dict[str, float]:
        """On other pictures: levels that the mouth is off, and how much nearer it is than the mean face's."""
        middle = _middle().numpy() > 0
        wanted = self._held.pictures.transpose(0, 3, 1, 2)[..., middle].astype(np.float32)
        found = painted(net, self._held)[..., middle] * 255
        off, still = (float(np.abs(each - wanted).mean()) for each in (found, self._mean[None][..., middle] * 255))
        return {"levels": round(off, 3), "closer": round(1 - off / still, 4)}

    def samples(self, net: nn.Module) -> Samples:
        return Samples(pictures={"faces": sheet(net, self._held)})

    def amounts(self) -> dict[str, object]:
        counts = {"train": len(self._faces.pictures), "validation": len(self._held.pictures)}
        return {"pictures": counts, "parameters": sum(each.numel() for each in self.network().parameters())}

    def export(self, net: nn.Module, out: Path) -> Path:
        told = "face-translator", self._settings.version
        about = about_film(len(self._faces.pictures))
        return export(copy.deepcopy(net), out / "bundle", told, (DRAWING, PAINTED), about)


def _middle() -> Tensor:
    """1 about the mouth, else 0 (SIZE, SIZE)."""
    away = round(SIZE * (1 - MOUTH_SIDE / SIDE) / 2)
    middle = torch.zeros(SIZE, SIZE)
    middle[away:-away, away:-away] = 1
    return middle


def _batch(faces: Faces, rows: Array) -> tuple[Tensor, Tensor]:
    """Drawings and pictures (b, 3, SIZE, SIZE), 0..1."""
    drawing, wanted = (
        torch.from_numpy(each[rows]).permute(0, 3, 1, 2) / 255 for each in (faces.drawings, faces.pictures)
    )
    return drawing, wanted


def painted(net: nn.Module, faces: Faces) -> Array:
    """What the net makes of each drawing (n, 3, SIZE, SIZE), 0..1."""
    device = next(net.parameters()).device
    numbers = np.array_split(np.arange(len(faces.pictures)), -(-len(faces.pictures) // 16))
    with torch.inference_mode():
        return np.concatenate([net(_batch(faces, rows)[0].to(device)).cpu().numpy() for rows in numbers])


def sheet(net: nn.Module, faces: Faces) -> Array:
    """Three rows (h, w, 3) RGB: drawn, painted, true."""
    rows = np.unique(np.linspace(0, len(faces.pictures) - 1, SHOWN).astype(int))
    few = Faces(faces.drawings[rows], faces.pictures[rows])
    made = np.rint(painted(net, few).transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    return np.concatenate([np.concatenate(list(each), 1) for each in (few.drawings, made, few.pictures)])[..., ::-1]
