"""Stage ``slim``: the small painter that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from engines.common import Array
from engines.common.bundle_files import described, rounded
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import begun_from, located, read_net, shaped
from engines.lipgan.draws import Batch, Draws
from engines.lipgan.export import export_bundle
from engines.lipgan.figures import collages, judged, mouth_box, mouth_weight, tracks_of
from engines.lipgan.fusing import fused
from engines.lipgan.painters import SHOWN, amounts, faces_of
from engines.lipgan.slim import BANDS, CROP, FIRST_ROW, FRAMES, SIZE, Shape, SlimNet
from engines.lipgan.slim_losses import contrast_apart, edges_apart, movement_apart
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec

ROOM = 4  # pixels around the crop, by which it is moved about
OTHER_ROOM = 1  # ..., the other face apart from it
MANY = 6_000  # faces that the motion's directions are found on
LIGHT, COLOUR, GAMMA = 0.25, 0.12, 0.25  # by how much faces are made lighter, of another colour, of another contrast


class Settings(BaseModel):
    """``[slim.engine]`` of the configuration. ``mouth`` to ``told`` weigh parts of the loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, int, int, int, int] = Shape.widths
    audio_widths: tuple[int, int, int, int] = Shape.audio_widths
    heard: int = Shape.heard
    batch: int = Field(32, ge=2)
    listened: int = Field(48, ge=0)  # rows besides that are only listened to
    shut: float = Field(0.75, ge=0, le=1)  # share of rows whose other face has a mouth that is little open
    wide: float = Field(0.4, ge=0, le=1)  # share of rows whose own mouth is one of the most open
    evened: float = Field(0.5, ge=0, le=1)  # how far people are drawn alike, however many tracks they have
    light: float = Field(1.0, ge=0)  # how much faces are lit and coloured otherwise: LIGHT, COLOUR, GAMMA times this
    mouth: float = Field(8.0, ge=0)
    moved: float = Field(0.02, ge=0)
    edges: float = Field(0.5, ge=0)
    contrast: float = Field(0.0, ge=0)
    told: float = Field(0.05, ge=0)
    validation_tracks: int = Field(10, ge=1)
    start: Path | None = None  # a run whose net to begin with
    version: str = "1.0.0"


class SlimEngine(Engine):
    """Learns to paint, and to tell the motion that it hears."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        spec = PainterMelSpec()
        self._faces, self._held = (faces_of(work, part, CROP, spec, FRAMES, ROOM) for part in ("train", "validation"))
        self._draws = Draws(self._faces, settings.batch, settings.shut, settings.wide, settings.evened)
        self._tracks = tracks_of(self._held, settings.validation_tracks)
        self._motion = Motion(self._faces.index.motion, Shape.motion)
        top, bottom, left, right = mouth_box(CROP)
        self._mouth = slice(top, bottom), slice(left, right)
        self._weight = mouth_weight(CROP, settings.mouth)[:, :, FIRST_ROW:].to(work.context.device)

    def network(self) -> SlimNet:
        torch.manual_seed(self._work.seed)
        settings = self._settings
        net = SlimNet(Shape(settings.widths, settings.audio_widths, settings.heard))
        if settings.start is not None:
            path = located(settings.start, "slim")
            tensors, shape = read_net(path)
            begun_from(net, path, tensors, shaped(Shape, shape))
        return net.to(memory_format=torch.channels_last)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SlimNet)
        batch = disturbed(self._draws.draw(rng), rng, self._settings.light).to(self._work.context.device)
        face, reference = (each.contiguous(memory_format=torch.channels_last) for each in (batch.face, batch.reference))
        more = self._draws.rows(rng, self._settings.listened)
        wanted = self._motion.of(np.concatenate([batch.rows, more]).astype(int)).to(batch.mel.device)
        heard = net.hear(torch.cat([batch.mel, self._windows(more).to(batch.mel.device)]))
        painted, _ = net.painted(heard[: len(batch.rows)], face, reference)
        found, real = (each[:, :, FIRST_ROW:].float() for each in (painted, face))
        mouths = [each[:, :, self._mouth[0], self._mouth[1]].float() for each in (painted, face, reference)]
        return {
            "l1": ((found - real).abs() * self._weight).mean(),
            "moved": self._settings.moved * movement_apart(*mouths),
            "edges": self._settings.edges * edges_apart(found, real, self._weight),
            "contrast": self._settings.contrast * contrast_apart(*mouths[:2]),
            "told": self._settings.told * functional.smooth_l1_loss(net.told(heard).float(), wanted),
        }

    def _windows(self, rows: list[int]) -> Tensor:
        return torch.from_numpy(self._faces.windows(rows)) if rows else torch.zeros(0, FRAMES, BANDS)

    def check(self, net: nn.Module) -> dict[str, float]:
        return judged(net, self._held, self._tracks, CROP, middle)

    def samples(self, net: nn.Module) -> Samples:
        return collages(net, self._held, self._tracks[:: max(1, len(self._tracks) // SHOWN)], middle)

    def amounts(self) -> dict[str, object]:
        return amounts(self._faces, self._held, self.network())

    def export(self, net: nn.Module, out: Path) -> Path:
        about = described(self._work.dataset, heard=False)
        return export_slim(net, out / "bundle", self._settings.version, about)


def export_slim(net: nn.Module, out: Path, version: str, about: tuple = ()) -> Path:
    """Write the bundle ``out``, its weights in 16 bits."""
    return export_bundle(rounded(fused(net)), CROP, out, "lipgan-slim", version, about)


class Motion:
    """How the lower face moves, in a few directions, each of spread 1."""

    def __init__(self, motion: Array, count: int) -> None:
        few = motion[:: max(1, len(motion) // MANY)].reshape(-1, motion[0].size).astype(np.float32)
        self._mean = few.mean(0)
        spread, lines = np.linalg.svd(few - self._mean, full_matrices=False)[1:]
        self._lines = lines[:count].T * (np.sqrt(len(few)) / np.maximum(spread[:count], 1e-6))
        self._motion = motion

    def of(self, rows: Array) -> Tensor:
        """Of these faces (b, count)."""
        flat = self._motion[rows].reshape(len(rows), -1).astype(np.float32)
        return torch.from_numpy(np.asarray((flat - self._mean) @ self._lines, np.float32))


def middle(batch: Batch) -> Batch:
    """What the net is shown in use: without the room around it."""
    inside = slice(ROOM, ROOM + SIZE)
    return Batch(batch.rows, batch.mel, batch.face[:, :, inside, inside], batch.reference[:, :, inside, inside])


def disturbed(batch: Batch, rng: np.random.Generator, light: float = 1.0) -> Batch:
    """Moved about, mirrored, in other light and of other colours: both faces of a row alike."""
    faces, others = [], []
    for face, other in zip(batch.face, batch.reference, strict=True):
        y, x = rng.integers(OTHER_ROOM, 2 * ROOM - OTHER_ROOM + 1, 2)
        v, u = np.array([y, x]) + rng.integers(-OTHER_ROOM, OTHER_ROOM + 1, 2)
        pair = torch.stack([face[:, y : y + SIZE, x : x + SIZE], other[:, v : v + SIZE, u : u + SIZE]])
        faces.append(pair[0])
        others.append(pair[1])
    both = torch.stack([torch.stack(faces), torch.stack(others)], 1)  # (b, 2, 3, size, size)
    return _lit(Batch(batch.rows, batch.mel, both[:, 0], both[:, 1]), rng, light)


def _lit(batch: Batch, rng: np.random.Generator, light: float) -> Batch:
    count = len(batch.rows)
    brighter, tinted = light * rng.uniform(-LIGHT, LIGHT, (count, 1)), light * rng.uniform(-COLOUR, COLOUR, (count, 3))
    gains = (1 + brighter) * (1 + tinted)
    gains = torch.from_numpy(gains.astype(np.float32))[:, :, None, None]
    gammas = torch.from_numpy(np.exp(light * rng.uniform(-GAMMA, GAMMA, count)).astype(np.float32))[:, None, None, None]
    mirrored = torch.from_numpy(rng.random(count) < 0.5)[:, None, None, None]
    faces = []
    for each in (batch.face, batch.reference):
        lit = (each.clamp_min(1e-4) ** gammas * gains).clamp(0, 1)
        faces.append(torch.where(mirrored, lit.flip(3), lit))
    return Batch(batch.rows, batch.mel, *faces)
