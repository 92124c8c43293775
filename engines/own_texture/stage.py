"""Stage ``lips``: the recurrent net, from prepared tracks to a bundle."""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common import Array
from engines.common.bundle_files import described
from engines.common.dataset import evenly
from engines.common.engine import Engine, Samples, Work
from engines.common.grid import Clip
from engines.common.loop import Losses
from engines.common.metrics import lagged_correlation, lip_distance, openings
from engines.common.rates import places
from engines.common.speakers import in_one_measure
from engines.own_texture.basis import make_basis
from engines.own_texture.draws import SPEC, VERSIONS, Draws, features_of
from engines.own_texture.export import export_bundle
from engines.own_texture.network import HOP_MS, LipNet, Shape

SHOWN = 3  # validation tracks
HOPS_A_SECOND = 1000 / HOP_MS


class Settings(BaseModel):
    """``[lips.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_ms: int = Field(200, ge=40, le=200, multiple_of=HOP_MS)
    batch: int = Field(100, ge=1)
    frames: int = Field(100, ge=10)  # of a sequence
    hidden: int = Field(60, ge=4)
    components: int = Field(20, ge=1, le=40)
    dropout: float = Field(0.2, ge=0, lt=1)
    versions: int = Field(len(VERSIONS), ge=1, le=len(VERSIONS))  # of each track; 1 = as it was filmed
    validation_tracks: int = Field(100, ge=1)
    version: str = "1.0.0"


class LipsEngine(Engine):
    """Learns the lips' shape from cepstra, by its mean square error."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._shape = Shape(
            hidden=settings.hidden,
            components=settings.components,
            delay=settings.delay_ms // HOP_MS,
            dropout=settings.dropout,
        )
        clips = in_one_measure([work.dataset.clip(entry) for entry in work.dataset.part("train")])
        entries = evenly(work.dataset.part("validation"), settings.validation_tracks)
        self._held = [work.dataset.clip(entry) for entry in entries]
        self._count = len(clips)
        self._basis = make_basis(np.concatenate([clip.motion for clip in clips]), settings.components)
        frames = settings.frames + self._shape.delay
        self._draws = Draws(clips, self._basis, settings.batch, frames, settings.versions, work.seed)

    def network(self) -> LipNet:
        torch.manual_seed(self._work.seed)
        net = LipNet(self._shape)
        mean, spread = self._draws.statistics()
        net.mean.copy_(torch.from_numpy(mean))
        net.scale.copy_(torch.from_numpy(spread))
        net.basis.copy_(torch.from_numpy(self._basis.components))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        """Outputs count from the first on that has an instant of the sequence."""
        features, wanted = (each.to(self._work.context.device) for each in self._draws.draw(rng))
        found, _ = net(features, (zeros := torch.zeros(1, len(features), self._shape.hidden).to(features), zeros))
        delay = self._shape.delay
        return {"mse": (found[:, delay:].float() - wanted[:, : len(wanted[0]) - delay]).square().sum(-1).mean()}

    def check(self, net: nn.Module) -> dict[str, float]:
        net = on_cpu(net)
        found = [predict(net, clip) for clip in self._held]
        pairs = [
            (openings(each, clip.neutral), openings(clip.motion[: len(each)], clip.neutral))
            for each, clip in zip(found, self._held, strict=True)
        ]
        apart = [lip_distance(each, clip.motion[: len(each)]) for each, clip in zip(found, self._held, strict=True)]
        own: dict[str, list[float]] = defaultdict(list)
        for clip, pair in zip(self._held, pairs, strict=True):
            own[clip.speaker].append(lagged_correlation([pair], 0))
        return {
            "r": round(float(np.mean([np.mean(each) for each in own.values()])), 4),  # over people
            "r_least": round(float(min(np.mean(each) for each in own.values())), 4),
            "distance": round(float(np.concatenate(apart).mean()), 5),
        }

    def samples(self, net: nn.Module) -> Samples:
        shown, net = Samples(), on_cpu(net)
        for clip in self._held[:SHOWN]:
            found = predict(net, clip)
            real = openings(clip.motion[: len(found)], clip.neutral)
            shown.curves[f"opening/{clip.name}"] = {"real": real, "found": openings(found, clip.neutral)}
            shown.sounds[f"sound/{clip.name}"] = (clip.audio, SPEC.rate)
        return shown

    def amounts(self) -> dict[str, object]:
        count = {"train": self._count, "validation": len(self._held)}
        weights = sum(each.numel() for each in LipNet(self._shape).parameters() if each.requires_grad)
        return {"clips": count, "explained": round(self._basis.explained, 5), "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(on_cpu(net), out / "bundle", self._settings.version, corpora)


def predict(net: LipNet, clip: Clip) -> Array:
    """The net's motion (T, 168, 3) at the pictures of a clip."""
    features = torch.from_numpy(features_of(clip.audio))[None]
    with torch.no_grad():
        found = net.displacement(net(features, net.initial_state())[0])[0].numpy()
    at = places(len(clip.motion), clip.fps, HOPS_A_SECOND) + net.shape.delay
    return np.asarray(found[at[at < len(found)]])


def on_cpu(net: nn.Module) -> LipNet:
    """A copy of a net to measure."""
    assert isinstance(net, LipNet)
    return copy.deepcopy(net).cpu().eval()
