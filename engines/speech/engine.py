"""The speech net as a stage of ``train-engine``: alone, or as the first of the stages that end in a mouth."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.augment import AUGMENTATIONS, Harshness
from engines.common.dataset import evenly
from engines.common.engine import Engine, Stage, Work
from engines.common.loop import Losses
from engines.common.results import begun_from
from engines.common.speech.data import Speech
from engines.common.speech.listened import Listened, listened_losses
from engines.common.speech.losses import build_net, class_weights, load_speech, phone_loss
from engines.common.speech.network import SpeechNet, SpeechShape
from engines.common.speech.vectors import ListenedSpeech
from engines.speech.evaluate import frame_figures, recognise
from realtime_dub.audio.frontends.logmel import LogMelSpec


class Settings(BaseModel):
    """``[speech.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(10, ge=1)
    frames: int = Field(400, ge=50)  # of a row, 10 ms each
    width: int = Field(SpeechShape.width, ge=4)
    dilations: tuple[int, ...] = (2, 4, 8, 16, 32, 2, 4, 8, 16, 32)
    dropout: float = Field(0.1, ge=0, lt=1)
    vectors: int = Field(0, ge=0, le=512)  # components of the Whisper encoder's vectors to learn besides; 0 = none
    augmentation: Harshness = "mild"
    start: Path | None = None  # an earlier run whose speech net to go on from
    validation_tracks: int = Field(80, ge=1)


class SpeechEngine(Engine):
    """Learns from the aligned tracks which sound is spoken, and from all of them what the Whisper encoder hears."""

    score = "frames"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._shape = SpeechShape(
            width=settings.width, dilations=settings.dilations, dropout=settings.dropout, vectors=settings.vectors
        )
        self._spec = LogMelSpec(bands=self._shape.bands)
        heard, held = (work.dataset.spoken(part) for part in ("train", "validation"))
        self._held = evenly(held, settings.validation_tracks)
        self._amounts: dict[str, object] = {"tracks": len(heard), "held": len(self._held)}
        self._weights = class_weights().to(work.context.device)
        self._listened = Listened(work, settings.vectors, settings.validation_tracks) if settings.vectors else None
        augmentation = AUGMENTATIONS[settings.augmentation]
        parts = self._spec, work.seed, augmentation
        self._speech = self._listened.speech(*parts) if self._listened else Speech(work.dataset, heard, *parts)

    def network(self) -> SpeechNet:
        torch.manual_seed(self._work.seed)
        net = build_net(self._speech, self._shape, self._listened.map if self._listened else None)
        if self._settings.start is not None:
            earlier = load_speech(self._settings.start)
            begun_from(net, self._settings.start, earlier.state_dict(), earlier.shape, ("vectors",))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SpeechNet)
        size = self._settings.batch, self._settings.frames
        device = self._work.context.device
        if isinstance(self._speech, ListenedSpeech):
            return listened_losses(net, self._speech, rng, *size, self._weights)
        mel, labels = (tensor.to(device) for tensor in self._speech.draw(rng, *size))
        return {"phone": phone_loss(net.strided_forward(mel), labels, self._weights)}

    def check(self, net: nn.Module) -> dict[str, float]:
        measured = copy.deepcopy(net).cpu()
        assert isinstance(measured, SpeechNet)
        figures = frame_figures(recognise(measured, self._work.dataset, self._held, self._spec))
        return figures | (self._listened.figures(measured) if self._listened else {})

    def amounts(self) -> dict[str, object]:
        return self._amounts


STAGES = {"speech": Stage(Settings, SpeechEngine, spoken=True)}
