"""The networks as a stage of ``train-engine``."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.bundle_files import described as corpora
from engines.common.dataset import Entry, evenly
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.landmark_dub import bundle_files
from engines.landmark_dub.data import REST, Batches, People, Rowing, talk_taught
from engines.landmark_dub.graph import model_of
from engines.landmark_dub.layers import BRIGHTEST, expected
from engines.landmark_dub.losses import landmark_losses
from engines.landmark_dub.network import LandmarkNet, Shape
from engines.landmark_dub.taught import chosen, taught
from engines.landmark_dub.validation import Held, samples, validate
from realtime_dub.audio.frontends.mfcc import per_frame

LICENCE = "Apache-2.0"
FIRST_MOTION = 0.1  # of what a fresh last layer gives


class Settings(BaseModel):
    """``[landmarks.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(24, ge=2)
    frames: int = Field(48, ge=8)  # of a row, 25 a second
    delay: int = Field(2, ge=0, le=10)  # frames of the voice that a mouth waits for
    openness: float = Field(1.0, ge=0)  # weight of the loss of whose face it is
    opening: float = Field(0.0, ge=0)  # and of how far lips are apart, which the points' own loss counts for little
    face: str = Field("rest", pattern="^(rest|seen)$")  # what is shown of it: at rest, or as it moves
    shrink: float = Field(0.0, ge=0, lt=1)  # of the face's size, either way; the authors' rows: 0.3
    shift_px: float = Field(0.0, ge=0, le=80)  # the authors' rows: 36
    taught: float = Field(0.0, ge=0, lt=1)  # share of rows of voices without a film: see taught.py
    taught_tracks: int = Field(1200, ge=1)  # at most
    validation_tracks: int = Field(60, ge=1)
    version: str = "1.0.0"


class LandmarkEngine(Engine):
    """Learns mouths from voices: see ``data.py`` for the rows, ``losses.py`` for the loss."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._spec = per_frame(bundle_files.FRAME_RATE)
        dataset = work.dataset
        tracks = [dataset.load(entry) for entry in dataset.part("train")]
        held = evenly(dataset.part("validation"), settings.validation_tracks)
        self._held = [Held.of(dataset.load(entry), self._spec) for entry in held]
        self._speakers = sorted({track.entry.speaker for track in tracks})
        self._tracks, self._taught = len(tracks), self._chosen()
        rowing = Rowing(
            settings.batch,
            settings.frames,
            settings.delay,
            settings.face == "rest",
            settings.shrink,
            settings.shift_px,
            settings.taught,
        )
        filmed = People.filmed(tracks, self._spec, work.seed)
        self._batches = Batches(filmed, self._spec, rowing, self._heard(filmed))

    def _chosen(self) -> list[Entry]:
        return chosen(self._work.dataset, self._settings.taught_tracks) if self._settings.taught else []

    def _heard(self, filmed: People) -> People | None:
        """Voices without a film, each on the face of somebody who was filmed; None where none is as long as a row."""
        work, rng = self._work, np.random.default_rng(self._work.seed)
        faces = [talk.resting for talk in filmed.talks[0]]
        lips = taught(work.dataset, self._taught, self._spec, work.out) if self._taught else []
        talks, speakers = [], []
        for entry, moved in zip(self._taught, lips, strict=True):
            if len(moved) > self._settings.frames + self._settings.delay:
                face = faces[rng.integers(len(faces))]
                talks.append(talk_taught(work.dataset.audio(entry), moved, face, self._spec))
                speakers.append(entry.speaker)
        return People.of([talks], speakers) if talks else None

    def network(self) -> LandmarkNet:
        torch.manual_seed(self._work.seed)
        return at_rest(LandmarkNet(Shape(self._settings.delay)))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, LandmarkNet)
        device = self._work.context.device
        cepstra, faces, mouths = (tensor.to(device) for tensor in self._batches.draw(rng))
        return landmark_losses(net, (cepstra, faces, mouths), self._settings.openness, self._settings.opening)

    def check(self, net: nn.Module) -> dict[str, float]:
        return validate(_on_cpu(net), self._held, self._spec)

    def samples(self, net: nn.Module) -> Samples:
        return samples(_on_cpu(net), self._held, self._spec)

    def amounts(self) -> dict[str, object]:
        count = sum(parameter.numel() for parameter in LandmarkNet().parameters())
        tracks = {"train": self._tracks, "taught": len(self._taught), "validation": len(self._held)}
        return {"tracks": tracks, "speakers": self._speakers, "parameters": count}

    def export(self, net: nn.Module, out: Path) -> Path:
        data = corpora(self._work.dataset, heard=bool(self._taught))
        return export_bundle(_on_cpu(net), out / "bundle", self._settings.version, data)


def at_rest(net: LandmarkNet) -> LandmarkNet:
    """``net`` with a mouth that rests, and hardly moves: it need not be looked for all over the crop first."""
    last = net.face_decoder.decoder[-2]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.mul_(FIRST_MOTION)
        last.bias.copy_(torch.logit(torch.from_numpy(REST.reshape(-1) / BRIGHTEST)))
    return net


def export_bundle(net: LandmarkNet, out: Path, version: str = "1.0.0", data: tuple[object, ...] = ()) -> Path:
    """Write the bundle folder ``out`` for ``net``; returns it."""
    weights = {name: net.state_dict()[name].numpy() for name in expected()}
    model = model_of(weights)
    spec = bundle_files.described("landmark-dub", version, model, net.shape.delay, LICENCE, data=data)  # type: ignore[arg-type]
    return bundle_files.write(out, spec, model)


def _on_cpu(net: nn.Module) -> LandmarkNet:
    """A copy to measure with."""
    assert isinstance(net, LandmarkNet)
    return copy.deepcopy(net).cpu().eval()
