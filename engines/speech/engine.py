"""The speech net as a stage of ``train-engine``: alone, or as the first of the stages that end in a mouth."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.augment import AUGMENTATIONS, Harshness
from engines.common.engine import Engine, Stage, Work
from engines.common.loop import Losses
from engines.common.results import begun_from
from engines.common.speech.data import Speech
from engines.common.speech.losses import build_net, class_weights, load_speech, phone_loss
from engines.common.speech.network import SpeechNet, SpeechShape
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
    augmentation: Harshness = "mild"
    start: Path | None = None  # an earlier run whose speech net to go on from
    validation_tracks: int = Field(80, ge=1)


class SpeechEngine(Engine):
    """Learns from the aligned tracks which sound is spoken."""

    score = "frames"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._shape = SpeechShape(width=settings.width, dilations=settings.dilations, dropout=settings.dropout)
        self._spec = LogMelSpec(bands=self._shape.bands)
        heard, held = (work.dataset.spoken(part) for part in ("train", "validation"))
        chosen = np.linspace(0, len(held) - 1, min(settings.validation_tracks, len(held))).astype(int)
        self._held = [held[i] for i in chosen]
        augmentation = AUGMENTATIONS[settings.augmentation]
        self._speech = Speech(work.dataset, heard, self._spec, work.seed, augmentation)
        self._weights = class_weights().to(work.context.device)
        self._amounts: dict[str, object] = {"tracks": len(heard), "held": len(self._held)}

    def network(self) -> SpeechNet:
        torch.manual_seed(self._work.seed)
        net = build_net(self._speech, self._shape)
        if self._settings.start is not None:
            earlier = load_speech(self._settings.start)
            begun_from(net, self._settings.start, earlier.state_dict(), earlier.shape)
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SpeechNet)
        rows = self._speech.draw(rng, self._settings.batch, self._settings.frames)
        mel, labels = (tensor.to(self._work.context.device) for tensor in rows)
        return {"phone": phone_loss(net.strided_forward(mel), labels, self._weights)}

    def check(self, net: nn.Module) -> dict[str, float]:
        measured = copy.deepcopy(net).cpu()
        assert isinstance(measured, SpeechNet)
        return frame_figures(recognise(measured, self._work.dataset, self._held, self._spec))

    def amounts(self) -> dict[str, object]:
        return self._amounts


STAGES = {"speech": Stage(Settings, SpeechEngine, spoken=True)}
