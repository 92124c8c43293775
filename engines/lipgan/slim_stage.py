"""Stage ``slim``: the small painter that ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.bundle_files import described, rounded
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import begun_from, located, read_net, shaped
from engines.lipgan.disturbing import ROOM, Amounts, disturbed, middle
from engines.lipgan.draws import Draws
from engines.lipgan.export import export_bundle
from engines.lipgan.figures import collages, judged, mouth_box, mouth_weight, tracks_of
from engines.lipgan.fusing import fused
from engines.lipgan.hear_stage import FILMED, LISTENED_EACH, heard_beside, listen_as
from engines.lipgan.painters import SHOWN, amounts, faces_of
from engines.lipgan.slim import CROP, FIRST_ROW, FRAMES, Shape, SlimNet
from engines.lipgan.slim_losses import brought_apart, contrast_apart, edges_apart, movement_apart, told_apart
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec


class Settings(BaseModel):
    """``[slim.engine]`` of the configuration. ``mouth`` to ``told`` weigh parts of the loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    widths: tuple[int, int, int, int, int] = Shape.widths
    audio_widths: tuple[int, int, int, int] = Shape.audio_widths
    heard: int = Shape.heard
    tracks: int | None = Field(None, ge=1)  # of a person, at most
    batch: int = Field(32, ge=2)
    listened: int = Field(8, ge=1)  # stretches besides that are only listened to
    shut: float = Field(0.75, ge=0, le=1)  # share of rows whose other face has a mouth that is little open
    wide: float = Field(0.4, ge=0, le=1)  # share of rows whose own mouth is one of the most open
    evened: float = Field(0.5, ge=0, le=1)  # how far people are drawn alike, however many tracks they have
    light: float = Field(1.0, ge=0)  # how much faces are lit and coloured otherwise, see disturbing.py
    bent: float = Field(1.0, ge=0)
    shade: float = Field(0.2, ge=0)
    mouth: float = Field(8.0, ge=0)
    moved: float = Field(0.02, ge=0)
    edges: float = Field(0.5, ge=0)
    contrast: float = Field(0.0, ge=0)
    told: float = Field(0.05, ge=0)
    brought: float = Field(0.02, ge=0)
    validation_tracks: int = Field(10, ge=1)
    start: Path | None = None  # a run whose net to begin with, but for its hearing
    version: str = "1.0.0"


class SlimEngine(Engine):
    """Learns to paint, and to tell the motion that it hears."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        spec = PainterMelSpec()
        most = settings.tracks
        self._faces, self._held = (
            faces_of(work, part, CROP, spec, FRAMES, ROOM, most) for part in ("train", "validation")
        )
        self._heard = heard_beside(work)
        self._draws = Draws(
            self._faces, settings.batch, settings.shut, settings.wide, settings.evened, self._heard.voices
        )
        self._amounts = Amounts(settings.light, settings.bent, settings.shade)
        self._tracks = tracks_of(self._held, settings.validation_tracks)
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
        listen_as(net, self._work.results["hear"])
        return net.to(memory_format=torch.channels_last)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SlimNet)
        settings, device = self._settings, self._work.context.device
        batch = disturbed(self._draws.draw(rng), rng, self._amounts).to(device)
        face, reference = (each.contiguous(memory_format=torch.channels_last) for each in (batch.face, batch.reference))
        mel, wanted = (each.to(device) for each in self._heard.draw(rng, settings.listened, LISTENED_EACH, FILMED))
        motion = torch.from_numpy(self._faces.index.motion[batch.rows].astype(np.float32)).to(device)
        heard = net.hear(torch.cat([batch.mel, mel]))
        painted, brought = net.painted(heard[: len(batch.rows)], face, reference)
        found, real = (each[:, :, FIRST_ROW:].float() for each in (painted, face))
        mouths = [each[:, :, self._mouth[0], self._mouth[1]].float() for each in (painted, face, reference)]
        return {
            "l1": ((found - real).abs() * self._weight).mean(),
            "moved": settings.moved * movement_apart(*mouths),
            "edges": settings.edges * edges_apart(found, real, self._weight),
            "contrast": settings.contrast * contrast_apart(*mouths[:2]),
            "told": settings.told * told_apart(net, heard, torch.cat([net.to_tell(motion), wanted])),
            "brought": settings.brought * brought_apart(brought, batch.points),
        }

    def check(self, net: nn.Module) -> dict[str, float]:
        return judged(net, self._held, self._tracks, CROP, middle)

    def samples(self, net: nn.Module) -> Samples:
        return collages(net, self._held, self._tracks[:: max(1, len(self._tracks) // SHOWN)], middle)

    def amounts(self) -> dict[str, object]:
        return amounts(self._faces, self._held, self.network())

    def export(self, net: nn.Module, out: Path) -> Path:
        about = described(self._work.dataset)
        return export_slim(net, out / "bundle", self._settings.version, about)


def export_slim(net: nn.Module, out: Path, version: str, about: tuple = ()) -> Path:
    """Write the bundle ``out``, its weights in 16 bits."""
    return export_bundle(rounded(fused(net)), CROP, out, "lipgan-slim", version, about)
