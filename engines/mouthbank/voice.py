"""Stages ``teacher`` and ``voice``: how the filmed speakers move for what is heard, and a net that hears any voice.

First the teacher; then the motion net with the speech net in it, which learns along, held to its phonemes and to what
the encoder hears. It may stay as it is for ``tune_from`` steps. Clips are put right by what the direct net measured.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.augment import AUGMENTATIONS, Augmentation, Harshness
from engines.common.dataset import Dataset, Entry, evenly
from engines.common.engine import Engine, Samples, Work
from engines.common.grid import Clip
from engines.common.loop import Losses
from engines.common.metrics import lagged_correlation, lip_distance, openings
from engines.common.rates import places
from engines.common.speech.losses import load_speech
from engines.common.speech.network import STRIDE
from engines.common.speech.vector_map import VectorMap
from engines.common.video_metrics import correlation
from engines.mouthbank.align import aligned
from engines.mouthbank.curve_rows import CurveRows
from engines.mouthbank.data import Batches, MotionLoss, make_basis
from engines.mouthbank.direct import filmed, read_offsets
from engines.mouthbank.teacher import Teacher, TeacherShape, load_teacher
from engines.mouthbank.validation import held_clips, on_cpu, samples, validate
from engines.mouthbank.voice_losses import TaughtSpeech, TeacherTargets, teacher_loss, voice_loss
from engines.mouthbank.voice_net import VoiceNet, VoiceShape, go_on, load_voice
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.alignment import TEMPLATE

VECTOR_RATE = 50.0


class TeacherSettings(BaseModel):
    """``[teacher.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(24, ge=1)  # clips
    components: int = Field(20, ge=1)
    width: int = Field(128, ge=4)
    vectors: int = Field(192, ge=1, le=512)
    dropout: float = Field(0.2, ge=0, lt=1)
    validation_tracks: int = Field(60, ge=1)


class VoiceSettings(BaseModel):
    """``[voice.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    filmed_rows: int = Field(5, ge=2)
    taught_rows: int = Field(11, ge=1)
    frames: int = Field(400, ge=50)  # of a row, 10 ms each
    width: int = Field(96, ge=4)
    details: int = Field(24, ge=1)
    dilations: tuple[int, ...] = (2, 4, 8, 16, 2, 4)
    look_aheads: tuple[int, ...] = VoiceShape.look_aheads  # frames of 10 ms, one head each
    augmentation: Harshness = "strong"  # what is done to the sound
    tune_from: int = Field(0, ge=0)  # the step from which the speech net learns too
    start: Path | None = None  # a run whose motion net to begin with; the speech net is that of stage speech
    validation_tracks: int = Field(60, ge=1)
    validation_voices: int = Field(60, ge=1)  # tracks of people who are only heard
    curves: Path | None = None  # a folder of recordings with curves (``engines/mouthbank/curves.py``)
    curve_rows: int = Field(2, ge=1)
    curves_kept_out: tuple[str, ...] = ()  # recordings to measure by


def own_clips(work: Work) -> list[Clip]:
    """The training clips, put right."""
    return aligned(filmed(work), read_offsets(work.results["direct"].parent))


class TeacherEngine(Engine):
    """Learns from the filmed clips that the Whisper encoder has listened to."""

    score = "r"

    def __init__(self, settings: TeacherSettings, work: Work) -> None:
        self._seed, self._batch = work.seed, settings.batch
        self._shape = TeacherShape(settings.components, settings.width, settings.vectors, dropout=settings.dropout)
        self._work = work
        clips = own_clips(work)
        basis = make_basis(np.concatenate([clip.motion for clip in clips]), settings.components)
        self._loss = MotionLoss(basis).to(work.context.device)
        self._basis = basis
        self._targets = TeacherTargets(clips, work.dataset, basis, LogMelSpec())
        held = [entry for entry in work.dataset.part("validation") if entry.listened]
        self._held = evenly(held, settings.validation_tracks)

    def network(self) -> Teacher:
        torch.manual_seed(self._seed)
        net = Teacher(self._shape)
        net.vector_map.fit(self._work.dataset, self._work.dataset.listened("train"))
        net.basis.copy_(torch.from_numpy(self._basis.components))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Teacher)
        return teacher_loss(net, self._targets, self._loss, rng, self._batch)

    def amounts(self) -> dict[str, object]:
        return {"clips": len(self._targets)}

    def check(self, net: nn.Module) -> dict[str, float]:
        """On the validation tracks: r of the lip opening within a clip, and the lips' distance."""
        measured = copy.deepcopy(net).cpu()
        assert isinstance(measured, Teacher)
        figures = [taught_figures(measured, self._work.dataset, entry) for entry in self._held]
        r, distance = np.mean(figures, axis=0) if figures else (0.0, 0.0)
        return {"r": round(float(r), 4), "distance": round(float(distance), 4)}


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
        heard = work.dataset.listened("train")
        self._hear = load_speech(work.results["speech"])
        known = self._hear.vector_map or VectorMap(0)
        parts = work.dataset, heard, self._spec, work.seed, known, augmentation
        self._taught = TaughtSpeech(self._teacher, *parts)
        rows = settings.filmed_rows, settings.frames
        self._filmed = Batches(own, self._basis, self._spec, *rows, work.seed, augmentation, own_every=3)
        self._curves = self._curve_rows(augmentation)
        self._held = held_clips(work.dataset, settings.validation_tracks)
        self._strangers = evenly(work.dataset.listened("validation"), settings.validation_voices)
        self._amounts: dict[str, object] = {"own": len(own), "heard": len(heard), "held": len(self._strangers)}

    def _curve_rows(self, augmentation: Augmentation) -> CurveRows | None:
        settings = self._settings
        if settings.curves is None:
            return None
        size, basis = (settings.curve_rows, settings.frames), self._basis
        return CurveRows(
            settings.curves, settings.curves_kept_out, basis, self._spec, size, self._work.seed, augmentation
        )

    def network(self) -> VoiceNet:
        """A fresh motion net on the trained speech net."""
        hear, settings = self._hear, self._settings
        shape = VoiceShape(
            speech=hear.shape,
            width=settings.width,
            dilations=settings.dilations,
            details=settings.details,
            components=len(self._basis.components),
            look_aheads=settings.look_aheads,
        )
        torch.manual_seed(self._work.seed)
        net = VoiceNet(shape)
        net.hear.load_state_dict(hear.state_dict())
        net.basis.copy_(torch.from_numpy(self._basis.components))
        if settings.start is not None:
            go_on(net, load_voice(settings.start), self._basis)
        if self.turns:
            net.hear.requires_grad_(False).eval()
        return net

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        assert isinstance(net, VoiceNet)
        net.hear.requires_grad_(True).train()

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, VoiceNet)
        settings = self._settings
        rows = settings.taught_rows, settings.frames
        return voice_loss(net, self._filmed, self._taught, self._loss, rng, *rows, self._curves)

    def check(self, net: nn.Module) -> dict[str, float]:
        measured = on_cpu(net)
        assert isinstance(measured, VoiceNet)
        others = agreement(measured, self._teacher, self._work.dataset, self._strangers, self._spec)
        return validate(measured, self._held, self._spec) | {"others": round(others, 4)}

    def samples(self, net: nn.Module) -> Samples:
        return samples(on_cpu(net), self._held, self._spec)

    def amounts(self) -> dict[str, object]:
        return self._amounts


def taught_figures(teacher: Teacher, dataset: Dataset, entry: Entry) -> tuple[float, float]:
    """r of the teacher's lip opening within a filmed clip, and the lips' distance as a share of a still mouth's."""
    clip = dataset.clip(entry)
    taught = teacher.moved(dataset.power(entry), dataset.vectors(entry))
    at = places(len(clip.motion), clip.fps, VECTOR_RATE)
    at = at[at < len(taught)]
    found = taught[at]
    real = clip.motion[: len(at)]
    still = np.broadcast_to(real.mean(0), real.shape)
    r = correlation(openings(found, clip.neutral), openings(real, clip.neutral))
    return r, float(lip_distance(found, real).mean() / lip_distance(still, real).mean())


def agreement(net: VoiceNet, teacher: Teacher, dataset: Dataset, entries: list[Entry], spec: LogMelSpec) -> float:
    """Mean r of the lip opening between net and teacher on clips of voices kept out."""
    front_end, scores = LogMel(spec), []
    for entry in entries:
        log_power = dataset.power(entry)
        target = torch.from_numpy(teacher.teach(log_power, dataset.vectors(entry)))
        mel = torch.from_numpy(front_end.compress(np.exp(log_power.astype(np.float32))))[None]
        with torch.no_grad():
            found = net.coefficients(mel, net.initial_state())[0][0, net.look_ahead :: STRIDE]
            count = min(len(found), len(target))
            pair = [openings(net.displacement(c[None, :count])[0].numpy(), TEMPLATE) for c in (found, target)]
        scores.append(lagged_correlation([(pair[0], pair[1])], 0))
    return float(np.mean(scores)) if scores else 0.0
