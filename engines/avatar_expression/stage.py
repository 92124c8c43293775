"""Stages ``general`` (many people) and ``expression`` (one person, from there)."""

from __future__ import annotations

import copy
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.avatar_expression.data import Basis, Draws, Spoken, Windows, make_basis, spoken, weights
from engines.avatar_expression.export import export_bundle
from engines.avatar_expression.network import ExpressionNet, Shape
from engines.common import Array
from engines.common.avatar import Heard
from engines.common.bundle_files import described
from engines.common.dataset import Entry, evenly, of_each
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.metrics import lagged_correlation, lip_distance, openings
from engines.common.results import located, read_net, shaped
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS
from realtime_dub.mouth.avatar.hearing import ROW_MS

GENERAL = Path(__file__).parent / "general.safetensors"  # learnt of many people; the shipped start
SHOWN = 3  # validation tracks
FRAME_MS = 40


class Settings(BaseModel):
    """``[general.engine]`` and ``[expression.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look_ahead_ms: int = Field(160, ge=80, le=400, multiple_of=ROW_MS)  # of the voice; published: 320
    batch: int = Field(32, ge=1)
    frames: int = Field(16, ge=3)  # of a run: each but the ends has one before and one behind
    components: int = Field(24, ge=1, le=100)
    latent: int = Field(32, ge=1)
    noise: float = Field(0.2, ge=0)  # of the features, whose spread is 1
    temporal: float = Field(1.0, ge=0)  # share of the loss of what changes from frame to frame
    tracks: int = Field(0, ge=0)  # of each person at most; 0 = all
    validation_tracks: int = Field(60, ge=1)
    version: str = "1.0.0"


class OwnSettings(Settings):
    """``start``: a run whose stage ``general`` to begin with; without it the net that comes with the program."""

    start: Path | None = None


class GeneralEngine(Engine):
    """Learns points of the lower face and how they change, of many people at once."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._heard = Heard(work.dataset, work.out.parent / "heard")
        ahead = settings.look_ahead_ms - self._heard.hearing.look_ahead_ns // MS
        self._windows = Windows(Shape.steps, Shape.windows, ahead // ROW_MS)
        tracks = self._tracks("train")
        self._held = self._tracks("validation")
        self._basis = make_basis(np.concatenate([each.motion for each in tracks]), settings.components)
        self._draws = Draws(tracks, self._windows, self._heard.hearing.silence, settings.frames, settings.noise)
        self._count = len(tracks)
        weigh = weights()[:, None]
        self._weights = torch.from_numpy(weigh)
        motion = np.concatenate([each.motion for each in tracks[:200]])
        moved = np.concatenate([np.diff(each.motion, axis=0) for each in tracks[:200]])
        self._of_points, self._of_steps = (float(((each * weigh) ** 2).mean()) for each in (motion, moved))

    def _tracks(self, part: str) -> list[Spoken]:
        entries = self._work.dataset.part(part)
        most = self._settings.validation_tracks if part == "validation" else self._settings.tracks
        chosen: list[Entry] = entries
        if most:
            chosen = evenly(entries, most) if part == "validation" else of_each(entries, most)
        return spoken(self._work.dataset, chosen, self._heard)

    def _shape(self) -> Shape:
        features = self._heard.hearing.features
        people, settings = len(self._draws.people), self._settings
        return Shape(features=features, people=people, components=settings.components, latent=settings.latent)

    def network(self) -> ExpressionNet:
        torch.manual_seed(self._work.seed)
        net = ExpressionNet(self._shape())
        net.basis.copy_(torch.from_numpy(self._basis.components))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        """Of a run each frame counts, and each step from the frame before and to the next."""
        assert isinstance(net, ExpressionNet)
        heard, wanted, people = (each.to(self._weights.device) for each in self._draws.draw(rng, self._settings.batch))
        found = net.sequence(heard, people).float()
        apart = (found - wanted) * self._weights
        steps = apart.diff(dim=1).square().mean() / self._of_steps
        return {"points": apart.square().mean() / self._of_points, "steps": self._settings.temporal * steps}

    def check(self, net: nn.Module) -> dict[str, float]:
        net = on_cpu(net)
        own: dict[str, list[float]] = defaultdict(list)
        apart = []
        for track in self._held:
            found = self.predict(net, track)
            pair = openings(found, track.neutral), openings(track.motion, track.neutral)
            own[track.speaker].append(lagged_correlation([pair], 0))
            apart.append(float(lip_distance(found, track.motion).mean()))
        r = [float(np.mean(each)) for each in own.values()]
        distance = round(float(np.mean(apart)), 5)
        return {"r": round(float(np.mean(r)), 4), "r_least": round(min(r), 4), "distance": distance}

    def predict(self, net: ExpressionNet, track: Spoken) -> Array:
        """Motion (T, 168, 3) of a track, for the mean of all people."""
        return predict(net, track.rows, self._windows, self._heard.hearing.silence, len(track.motion))

    def samples(self, net: nn.Module) -> Samples:
        shown, net = Samples(), on_cpu(net)
        for track in self._held[:: max(1, len(self._held) // SHOWN)][:SHOWN]:
            found = openings(self.predict(net, track), track.neutral)
            shown.curves[f"opening/{track.name}"] = {"real": openings(track.motion, track.neutral), "found": found}
        return shown

    def amounts(self) -> dict[str, object]:
        net = ExpressionNet(self._shape())
        about = {"train": self._count, "validation": len(self._held), "people": len(self._draws.people)}
        weights = sum(each.numel() for each in net.parameters())
        return {"tracks": about, "explained": round(self._basis.explained, 5), "parameters": weights}


class OwnEngine(GeneralEngine):
    """Goes on with one person: their own components, and a map to them."""

    def __init__(self, settings: OwnSettings, work: Work) -> None:
        super().__init__(settings, work)
        self._start = located(settings.start, "general") if settings.start else GENERAL
        if (people := self._draws.people)[1:]:
            what = f"{work.dataset} with {len(people)} people: {', '.join(people[:3])}"
            raise ConfigError("cannot make one avatar of", what, "give the data of one, or --stage general")

    def network(self) -> ExpressionNet:
        tensors, values = read_net(self._start)
        earlier = shaped(Shape, values)
        net = super().network()
        mine = net.shape
        if replace(earlier, people=1, components=mine.components) != mine:
            what = f"{self._start}: it has {earlier.features} features and {earlier.latent} latents"
            raise ConfigError("cannot begin with", what, "give the net of a stage general of this version")
        own_map = own_map_of(tensors["map"], tensors["basis"], self._basis)
        kept = {name: value for name, value in tensors.items() if name not in ("map", "basis")}
        net.load_state_dict({**kept, "map": own_map, "basis": net.basis})
        return net

    def export(self, net: nn.Module, out: Path) -> Path:
        hearing, settings = self._heard.hearing, self._settings
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(
            on_cpu(net), out / "bundle", hearing.label, settings.look_ahead_ms, settings.version, corpora
        )


def own_map_of(maps: Tensor, basis: Tensor, own: Basis) -> Tensor:
    """The map (1, latent, components) that moves a face as the mean of ``maps`` (people, latent, k) do."""
    moved = maps.mean(0) @ basis
    return (moved @ torch.from_numpy(own.analysis))[None]


def predict(net: ExpressionNet, rows: Array, windows: Windows, silence: Array, count: int) -> Array:
    """Motion (count, 168, 3) at 25 frames a second of rows (n, features)."""
    heard = windows.of(rows, silence, 0, count)
    with torch.no_grad():
        found: Array = net.sequence(torch.from_numpy(heard)[None])[0].numpy()
    return found


def on_cpu(net: nn.Module) -> ExpressionNet:
    """A copy of a net to measure."""
    assert isinstance(net, ExpressionNet)
    return copy.deepcopy(net).cpu().eval()
