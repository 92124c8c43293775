"""mouthbank's motion net as an engine of ``train-engine``."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.dataset import Dataset, Entry, Track
from engines.common.distributed import DistributedContext
from engines.common.engine import Samples
from engines.common.grid import Clip
from engines.common.loop import Losses
from engines.common.metrics import LIPS_AT, openings
from engines.common.rates import places
from engines.mouthbank.data import Batches, MotionLoss, make_basis
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import LOOK_AHEAD, MotionNet, Shape
from engines.mouthbank.train import build_net, validate
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.alignment import LOWER, mouth_width, neutral_shape
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER

SHOWN = 3  # validation tracks
MOMENTS = 8  # drawn of each
SIDE = 120  # pixels of a drawing, 1.6 mouth widths
REAL, FOUND = (0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)


class Settings(BaseModel):
    """``[engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(16, ge=2)
    frames: int = Field(260, ge=50)
    width: int = Field(96, ge=4)
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
    components: int = Field(20, ge=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    validation_tracks: int = Field(60, ge=1)
    version: str = "1.0.0"


class MouthbankEngine:
    """Learns mouth motion from sound: see ``data.py`` for the batches and the loss."""

    score = "r"

    def __init__(self, settings: Settings, dataset: Dataset, context: DistributedContext, seed: int) -> None:
        self._settings, self._context, self._seed = settings, context, seed
        self._shape = Shape(
            width=settings.width,
            dilations=settings.dilations,
            components=settings.components,
            dropout=settings.dropout,
        )
        self._spec = LogMelSpec(bands=self._shape.bands)
        clips = [as_clip(dataset.load(entry)) for entry in dataset.part("train")]
        self._held = [as_clip(dataset.load(entry)) for entry in self._chosen(dataset.part("validation"))]
        self._basis = make_basis(np.concatenate([clip.motion for clip in clips]), settings.components)
        self._batches = Batches(clips, self._basis, self._spec, settings.batch, settings.frames, seed)
        self._loss = _moved(MotionLoss(self._basis), context.device)

    def _chosen(self, entries: list[Entry]) -> list[Entry]:
        places = np.linspace(0, len(entries) - 1, min(self._settings.validation_tracks, len(entries)))
        return [entries[int(place)] for place in places]

    def network(self) -> MotionNet:
        torch.manual_seed(self._seed)
        return build_net(self._basis, self._batches, self._shape)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, MotionNet)
        mel, target, speech = (tensor.to(self._context.device) for tensor in self._batches.draw(rng))
        with self._context.device:  # the net makes its first state on the default device
            return self._loss(net, mel, target, speech)

    def check(self, net: nn.Module) -> dict[str, float]:
        return validate(_on_cpu(net), self._held, self._spec)

    def samples(self, net: nn.Module) -> Samples:
        net, shown = _on_cpu(net), Samples()
        for clip in self._held[:SHOWN]:
            found = predict(net, clip, self._spec)
            real = clip.motion[: len(found)]
            curves = {"real": openings(real, clip.neutral), "found": openings(found, clip.neutral)}
            shown.curves[f"opening/{clip.name}"] = curves
            shown.pictures[f"lips/{clip.name}"] = draw_lips(real, found, clip.neutral)
            shown.sounds[f"sound/{clip.name}"] = (clip.audio, self._spec.rate)
        return shown

    def export(self, net: nn.Module, out: Path) -> Path:
        return export_bundle(_on_cpu(net), self._spec, out, self._settings.version)


def make(settings: Settings, dataset: Dataset, context: DistributedContext, seed: int) -> MouthbankEngine:
    """The engine for ``train-engine``."""
    return MouthbankEngine(settings, dataset, context, seed)


def as_clip(track: Track) -> Clip:
    """A track as mouthbank's batches take it: motion in mouth widths from the track's own neutral shape."""
    neutral = neutral_shape(track.canonical[track.seen])
    width = mouth_width(neutral)
    motion = ((track.canonical[:, LOWER] - neutral[LOWER]) / width).astype(np.float32)
    return Clip(track.entry.track, track.audio, motion, track.fps, neutral / width, track.entry.words or None)


def predict(net: MotionNet, clip: Clip, spec: LogMelSpec) -> Array:
    """The net's motion (T, 168, 3) at the pictures of a clip."""
    mel = torch.from_numpy(LogMel(spec).process(clip.audio))[None]
    with torch.no_grad():
        displacement = net(mel, net.initial_state())[0][0].numpy()
    at = places(len(clip.motion), clip.fps, spec.rate / spec.hop) + LOOK_AHEAD
    return displacement[at[at < len(displacement)]]


def draw_lips(real: Array, found: Array, neutral: Array) -> Array:
    """Outlines of real and found lips at several moments, side by side (SIDE, MOMENTS * SIDE, 3) RGB."""
    centre = neutral[LIPS, :2].mean(0)
    moments = np.linspace(0, len(real) - 1, MOMENTS).astype(int)
    tiles = []
    for moment in moments:
        tile = np.full((SIDE, SIDE, 3), 255, np.uint8)
        for motion, colour in ((real, REAL), (found, FOUND)):
            points = (neutral[LIPS, :2] + motion[moment, LIPS_AT, :2] - centre) * (SIDE / 1.6) + SIDE / 2
            rings = [ring.round().astype(np.int32) for ring in np.split(points, [len(LIPS_OUTER)])]
            cv2.polylines(tile, rings, True, colour, 1, cv2.LINE_AA)
        tiles.append(tile)
    return np.concatenate(tiles, 1)


def _on_cpu(net: nn.Module) -> MotionNet:
    assert isinstance(net, MotionNet)
    return copy.deepcopy(net).cpu()


def _moved(loss: MotionLoss, device: torch.device) -> MotionLoss:
    for name, value in vars(loss).items():
        if isinstance(value, Tensor):
            setattr(loss, name, value.to(device))
    return loss
