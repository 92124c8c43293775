"""Stages ``teacher`` and ``voice``: how the filmed speaker moves for known sounds, and a net that hears any voice.

First the teacher; then the motion net with the speech net in it, which learns along, held to its phonemes. It may stay
as it is for ``tune_from`` steps. Clips are put right by what the direct net has measured.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.augment import AUGMENTATIONS, Harshness
from engines.common.dataset import Dataset, Entry
from engines.common.engine import Engine, Samples, Work
from engines.common.grid import Clip
from engines.common.loop import Losses
from engines.common.metrics import lagged_correlation, openings
from engines.common.results import begun_from, located, read_net, shaped
from engines.common.speech.losses import load_speech
from engines.common.speech.network import STRIDE
from engines.mouthbank.align import aligned
from engines.mouthbank.data import Batches, MotionLoss, make_basis
from engines.mouthbank.direct import filmed, read_offsets
from engines.mouthbank.teacher import Teacher, TeacherShape, load_teacher
from engines.mouthbank.validation import held_clips, on_cpu, samples, validate
from engines.mouthbank.voice_losses import DistilledSpeech, TeacherTargets, teacher_loss, voice_loss
from engines.mouthbank.voice_net import VoiceNet, VoiceShape
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.alignment import TEMPLATE


class TeacherSettings(BaseModel):
    """``[teacher.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(24, ge=1)  # clips
    components: int = Field(20, ge=1)
    width: int = Field(96, ge=4)


class VoiceSettings(BaseModel):
    """``[voice.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filmed_rows: int = Field(5, ge=2)
    distilled_rows: int = Field(11, ge=1)
    frames: int = Field(400, ge=50)  # of a row, 10 ms each
    width: int = Field(96, ge=4)
    details: int = Field(24, ge=1)
    dilations: tuple[int, ...] = (2, 4, 8, 16, 2, 4)
    augmentation: Harshness = "strong"  # what is done to the sound
    tune_from: int = Field(0, ge=0)  # the step from which the speech net learns too
    start: Path | None = None  # an earlier voice net whose weights to begin with
    validation_tracks: int = Field(60, ge=1)
    validation_voices: int = Field(60, ge=1)  # tracks of people who are only heard


def own_clips(work: Work) -> list[Clip]:
    """The training clips, put right."""
    return aligned(filmed(work), read_offsets(work.results["direct"].parent))


class TeacherEngine(Engine):
    """Learns from the filmed clips whose phonemes are known."""

    def __init__(self, settings: TeacherSettings, work: Work) -> None:
        self._seed, self._batch = work.seed, settings.batch
        self._shape = TeacherShape(settings.components, settings.width)
        clips = own_clips(work)
        basis = make_basis(np.concatenate([clip.motion for clip in clips]), settings.components)
        self._loss = MotionLoss(basis).to(work.context.device)
        self._targets = TeacherTargets(clips, work.dataset, basis, LogMelSpec())

    def network(self) -> Teacher:
        torch.manual_seed(self._seed)
        return Teacher(self._shape)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Teacher)
        return teacher_loss(net, self._targets, self._loss, rng, self._batch)

    def amounts(self) -> dict[str, object]:
        return {"clips": len(self._targets)}


class VoiceEngine(Engine):
    """Learns from the filmed clips, and from everybody who is heard what the teacher would do."""

    score = "r"

    def __init__(self, settings: VoiceSettings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._spec, augmentation = LogMelSpec(), AUGMENTATIONS[settings.augmentation]
        self.turns = (settings.tune_from,) if settings.tune_from else ()
        self._teacher = load_teacher(work.results["teacher"])
        own = own_clips(work)
        components = self._teacher.shape.components
        self._basis = make_basis(np.concatenate([clip.motion for clip in own]), components)
        self._loss = MotionLoss(self._basis).to(work.context.device)
        # The filmed are among them, or the speech net would forget their sounds, of which their own rows tell nothing.
        heard = work.dataset.spoken("train")
        self._distilled = DistilledSpeech(work.dataset, heard, self._spec, work.seed, self._teacher, augmentation)
        rows = settings.filmed_rows, settings.frames
        self._filmed = Batches(own, self._basis, self._spec, *rows, work.seed, augmentation, own_every=3)
        self._held = held_clips(work.dataset, settings.validation_tracks)
        self._strangers = evenly(work.dataset.spoken("validation"), settings.validation_voices)
        self._amounts: dict[str, object] = {"own": len(own), "heard": len(heard), "held": len(self._strangers)}

    def network(self) -> VoiceNet:
        """A fresh motion net on the trained speech net."""
        hear, settings = load_speech(self._work.results["speech"]), self._settings
        shape = VoiceShape(
            speech=hear.shape,
            width=settings.width,
            dilations=settings.dilations,
            details=settings.details,
            components=len(self._basis.components),
        )
        torch.manual_seed(self._work.seed)
        net = VoiceNet(shape)
        net.hear.load_state_dict(hear.state_dict())
        net.basis.copy_(torch.from_numpy(self._basis.components))
        if settings.start is not None:
            tensors, earlier = read_net(located(settings.start, "voice"))
            begun_from(net, settings.start, tensors, shaped(VoiceShape, earlier))
        if self.turns:
            net.hear.requires_grad_(False).eval()
        return net

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        assert isinstance(net, VoiceNet)
        net.hear.requires_grad_(True).train()

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, VoiceNet)
        settings = self._settings
        rows = settings.distilled_rows, settings.frames
        return voice_loss(net, self._filmed, self._distilled, self._loss, rng, *rows)

    def check(self, net: nn.Module) -> dict[str, float]:
        measured = on_cpu(net)
        assert isinstance(measured, VoiceNet)
        others = agreement(measured, self._teacher, self._work.dataset, self._strangers, self._spec)
        return validate(measured, self._held, self._spec) | {"others": round(others, 4)}

    def samples(self, net: nn.Module) -> Samples:
        return samples(on_cpu(net), self._held, self._spec)

    def amounts(self) -> dict[str, object]:
        return self._amounts


def evenly(entries: list[Entry], most: int) -> list[Entry]:
    """Up to ``most`` of them, evenly chosen."""
    return [entries[i] for i in np.linspace(0, len(entries) - 1, min(most, len(entries))).astype(int)]


def agreement(net: VoiceNet, teacher: Teacher, dataset: Dataset, entries: list[Entry], spec: LogMelSpec) -> float:
    """Mean r of the lip opening between net and teacher on clips of voices kept out."""
    front_end, scores = LogMel(spec), []
    for entry in entries:
        log_power, labels = dataset.phones(entry)
        target = torch.from_numpy(teacher.teach(log_power, labels)[::STRIDE])
        mel = torch.from_numpy(front_end.compress(np.exp(log_power.astype(np.float32))))[None]
        with torch.no_grad():
            found = net.coefficients(mel, net.initial_state())[0][0, net.look_ahead :: STRIDE]
            pair = [openings(net.displacement(c[None])[0].numpy(), TEMPLATE) for c in (found, target[: len(found)])]
        scores.append(lagged_correlation([(pair[0], pair[1])], 0))
    return float(np.mean(scores)) if scores else 0.0
