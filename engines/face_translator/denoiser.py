"""Stage ``denoiser``: a small net behind the paste, from the same film and the translator that was made of it.

It learns pairs: a picture of the film with another one's painted mouth pasted into it as a square with hard edges, and
the same under the round soft mask. As its authors have it, noise is laid over what goes in, and the loss is the mean
square error. They fit a deep net to each frame, and stop early; this one has six thousand weights, and learns once. It
cannot tell noise from detail by stopping: theirs is four times as strong, and would blur what is painted here.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import read_net, ready, shaped
from engines.face_translator.bundles import about_film, export
from engines.face_translator.film import SIZE, Faces, read
from engines.face_translator.network import Shape as TranslatorShape
from engines.face_translator.network import TranslatorNet
from realtime_dub.mouth.mouthbank.denoiser import PASTED, SMOOTHED, fitted, pasted, round_mask

NOISE = 0.008  # of the brightest: laid over what goes in
NEAR = 50  # pictures between one whose mouth is painted and the one that it is laid into, at most
SHOWN = 6  # pictures of a sheet


@dataclass(frozen=True)
class Shape:
    """What fixes the net beside its weights."""

    channels: int = 16


class DenoiserNet(nn.Module):
    """``pasted`` (n, 3, size, size) to ``smoothed``, both BGR 0..1: what has to be added is found at half the size."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.channels
        self.layers = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(12, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        nn.init.zeros_(self.layers[-2].weight)
        nn.init.zeros_(self.layers[-2].bias)

    def forward(self, laid: Tensor) -> Tensor:
        smoothed: Tensor = (laid + self.layers(laid)).clamp(0, 1)
        return smoothed


class Settings(BaseModel):
    """``[denoiser.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: int = Field(16, ge=4, le=64)
    batch: int = Field(8, ge=1)
    noise: float = Field(NOISE, ge=0, le=0.5)
    version: str = "1.0.0"


class DenoiserEngine(Engine):
    """Learns smooth pastes from hard ones."""

    score = "nearer"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        tensors, shape = read_net(work.results["translator"])
        translator = ready(TranslatorNet(shaped(TranslatorShape, shape)), tensors)
        self._faces, self._held = (Pasting.of(each, translator) for each in read(work.dataset.roots[0]).parts())

    def network(self) -> DenoiserNet:
        torch.manual_seed(self._work.seed)
        return DenoiserNet(Shape(self._settings.channels))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        rows = rng.integers(0, len(self._faces.painted), self._settings.batch)
        beside = self._faces.beside(rows, rng)
        laid, wanted = (each.to(self._work.context.device) for each in self._faces.pairs(rows, beside))
        noisy = laid + torch.randn(laid.shape).to(laid) * self._settings.noise
        return {"mse": (net(noisy) - wanted).square().mean() * 255**2}

    def check(self, net: nn.Module) -> dict[str, float]:
        """On other pictures: levels off the smooth paste (root mean square), and how much nearer than the hard one."""
        laid, wanted = self._held.pairs(*self._held.fixed())
        found = smoothed(net, laid)
        off, hard = (float((each - wanted).square().mean().sqrt()) * 255 for each in (found, laid))
        return {"levels": round(off, 3), "nearer": round(1 - off / hard, 4)}

    def samples(self, net: nn.Module) -> Samples:
        laid, wanted = self._held.pairs(*(rows[:SHOWN] for rows in self._held.fixed()))
        strips = [torch.cat(list(each), 2) for each in (laid, smoothed(net, laid), wanted)]
        sheet = (torch.cat(strips, 1).permute(1, 2, 0).numpy() * 255).astype(np.uint8)
        return Samples(pictures={"pasted, smoothed, wanted": np.ascontiguousarray(sheet[..., ::-1])})

    def amounts(self) -> dict[str, object]:
        counts = {"train": len(self._faces.painted), "validation": len(self._held.painted)}
        return {"pictures": counts, "parameters": sum(each.numel() for each in self.network().parameters())}

    def export(self, net: nn.Module, out: Path) -> Path:
        about = about_film(len(self._faces.painted))
        told = "face-denoiser", self._settings.version
        return export(copy.deepcopy(net), out / "bundle", told, (PASTED, SMOOTHED), about)


@dataclass(frozen=True, eq=False)
class Pasting:
    """Pictures of a film, and what the translator paints of their drawings; both (n, SIZE, SIZE, 3) BGR."""

    pictures: Array
    painted: Array

    @classmethod
    def of(cls, faces: Faces, translator: nn.Module) -> Pasting:
        found = [_painted(translator, drawings) for drawings in np.array_split(faces.drawings, _parts(faces.drawings))]
        return cls(faces.pictures, np.concatenate(found))

    def beside(self, rows: Array, rng: np.random.Generator) -> Array:
        """For each row another picture of about the same time: the mouth that is seen is not the one that is said."""
        return np.clip(rows + rng.integers(-NEAR, NEAR + 1, len(rows)), 0, len(self.pictures) - 1)

    def fixed(self) -> tuple[Array, Array]:
        """The same rows each time."""
        rows = np.unique(np.linspace(0, len(self.painted) - 1, 40).astype(int))
        return rows, self.beside(rows, np.random.default_rng(0))

    def pairs(self, rows: Array, beside: Array) -> tuple[Tensor, Tensor]:
        """Hard pastes and smooth ones (b, 3, SIZE, SIZE), 0..1."""
        mask = round_mask(SIZE)[..., None]
        laid, wanted = [], []
        for row, at in zip(rows, beside, strict=True):
            below = self.pictures[at]
            painted = fitted(below, self.painted[row])
            laid.append(pasted(below, painted).astype(np.float32))
            wanted.append(mask * painted + (1 - mask) * below)
        hard, smooth = (torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) / 255 for each in (laid, wanted))
        return hard, smooth


def smoothed(net: nn.Module, laid: Tensor) -> Tensor:
    """What the net makes of pastes, on the CPU."""
    with torch.inference_mode():
        found: Tensor = net(laid.to(next(net.parameters()).device)).cpu()
    return found


def _painted(translator: nn.Module, drawings: Array) -> Array:
    with torch.inference_mode():
        found = translator(torch.from_numpy(drawings).permute(0, 3, 1, 2) / 255)
    return np.rint(found.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)


def _parts(rows: Array) -> int:
    return -(-len(rows) // 16)
