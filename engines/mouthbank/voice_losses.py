"""What the net for any voice learns from: the filmed speakers, and many heard ones with a teacher's motion."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.grid import Clip, make_example
from engines.common.loop import Losses
from engines.common.prepare.phones import FLOOR
from engines.common.speakers import evened
from engines.common.speech.inventory import INDEX, SIL, VISEMES
from engines.common.speech.losses import class_weights, phone_loss
from engines.common.speech.network import STRIDE
from engines.common.speech.vectors import ListenedSpeech, looked_up, vector_loss
from engines.mouthbank.curve_rows import CurveRows
from engines.mouthbank.data import Basis, Batches, MotionLoss
from engines.mouthbank.teacher import Teacher, loudness
from engines.mouthbank.voice_net import VoiceNet
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.errors import ConfigError

WARM_UP = 8  # outputs at a row's start without a past
TAUGHT_WEIGHT = 0.6
PHONE_WEIGHT = 0.5
VECTOR_WEIGHT = 1.0
REST_WEIGHT = 0.3
AWAY = 10  # outputs from the nearest word in which lips need not rest
NEAR = 3  # outputs around speech in which the teacher still is believed
CLOSED = [INDEX[name] for name in VISEMES["closed"]]


class TeacherTargets:
    """The filmed clips that were listened to, as the teacher reads them. Raises ConfigError without any."""

    def __init__(self, clips: list[Clip], dataset: Dataset, basis: Basis, spec: LogMelSpec) -> None:
        entries = {entry.name: entry for entry in dataset.listened() if entry.filmed}
        known = [clip for clip in clips if clip.name in entries]
        if not known:
            raise ConfigError("no filmed track has vectors in", str(dataset), "prepare it again with --vectors")
        self._rows = [self._row(clip, dataset, entries[clip.name], basis, spec) for clip in known]
        self._length = min(len(row[0]) for row in self._rows)
        self._shares = evened([clip.speaker for clip in known])

    def __len__(self) -> int:
        return len(self._rows)

    def _row(self, clip: Clip, dataset: Dataset, entry: Entry, basis: Basis, spec: LogMelSpec) -> tuple[Array, ...]:
        example = make_example(clip, spec)
        loud = loudness(np.log(np.maximum(example.power, FLOOR)))
        strided = (loud, basis.coefficients(example.motion), example.speech)
        columns = (dataset.vectors(entry).astype(np.float32), *(column[::STRIDE] for column in strided))
        count = min(map(len, columns))
        return tuple(column[:count] for column in columns)

    def draw(self, rng: np.random.Generator, size: int) -> tuple[Tensor, ...]:
        """Vectors, loudness, coefficients and speech of ``size`` clips, cut to the shortest one's length."""
        chosen = [self._rows[i] for i in rng.choice(len(self._rows), size, p=self._shares)]
        columns = [np.stack([column[: self._length] for column in columns]) for columns in zip(*chosen, strict=True)]
        return tuple(torch.from_numpy(column) for column in columns)


def teacher_loss(
    teacher: Teacher, teacher_targets: TeacherTargets, loss: MotionLoss, rng: np.random.Generator, size: int = 24
) -> Losses:
    """How far the teacher is from the filmed speakers."""
    device = next(teacher.parameters()).device
    vectors, loud, target, speech = (tensor.to(device) for tensor in teacher_targets.draw(rng, size))
    loud = loud + torch.from_numpy(rng.normal(0, 0.05, (size, 1)).astype(np.float32)).to(device)
    found = teacher(vectors, loud)
    parts = loss.compare(found, torch.zeros_like(speech), target, speech, span=2)
    return {name: value for name, value in parts.items() if name != "speech"}


class TaughtSpeech(ListenedSpeech):
    """Many voices with the teacher's motion for what the encoder hears of them."""

    def __init__(self, teacher: Teacher, *parts: Any) -> None:
        self._teacher = teacher.eval()
        super().__init__(*parts)

    def told(self, entry: Entry, vectors: Array, log_power: Array) -> dict[str, Array]:
        return super().told(entry, vectors, log_power) | {"motion": self._teacher.teach(log_power, vectors)}


def voice_loss(
    net: VoiceNet,
    filmed: Batches,
    taught: TaughtSpeech,
    loss: MotionLoss,
    rng: np.random.Generator,
    size: int,
    frames: int,
    curves: CurveRows | None = None,
) -> Losses:
    """The parts of a batch: the filmed speakers' own motion, the teacher's for everybody else, and ``curves``; all
    heads.
    """
    device = next(net.parameters()).device
    mel, target, speech = (tensor.to(device) for tensor in filmed.draw(rng))
    other_mel, labels, places = (tensor.to(device) for tensor in taught.batch(rng, size, frames))
    other_target, known = looked_up(taught.tables["motion"].to(device), places)
    other_target = other_target * known[..., None]
    extra_mel, extra = curves.draw(rng) if curves else (other_mel[:0], other_mel[:0])
    heads, logits, hidden = net.strided_forward(torch.cat([mel, other_mel, extra_mel.to(device)]))
    taught_rows = slice(len(mel), len(mel) + len(other_mel))
    with torch.autocast(mel.device.type, enabled=False):
        full = [(found.float(), logit.float()) for found, logit in heads]
        told = [(found[: taught_rows.stop], logit[: taught_rows.stop]) for found, logit in full]
        parts = _head_losses(net, loss, told, (target, speech), (labels, other_target))
        if curves:
            found = [found[taught_rows.stop :] for found, _ in full]
            parts |= curves.loss(found, _delays(net), extra.to(device))
        phone = phone_loss(logits.float()[taught_rows], labels, class_weights().to(device))
        return parts | {"phone": PHONE_WEIGHT * phone, "vectors": _vectors(net, taught, hidden[taught_rows], places)}


def _vectors(net: VoiceNet, taught: TaughtSpeech, hidden: Tensor, places: Tensor) -> Tensor:
    """What was learnt of the encoder is not to be forgotten."""
    if net.hear.vector_map is None:
        return hidden.new_zeros(())
    table = taught.tables["vectors"].to(hidden.device)
    found = net.hear.listened(hidden.float())
    return VECTOR_WEIGHT * vector_loss(found, table, places, net.hear.vector_map.weight)


def _head_losses(
    net: VoiceNet,
    loss: MotionLoss,
    heads: list[tuple[Tensor, Tensor]],
    filmed: tuple[Tensor, Tensor],
    taught: tuple[Tensor, Tensor],
) -> Losses:
    """Mean over the heads; filmed rows come with (motion, speech), taught ones with (labels, motion)."""
    (target, speech), (labels, other_target) = filmed, taught
    spoken = (labels != INDEX[SIL]).float()
    own = len(target)
    parts: Losses = {}
    for late, (found, logit) in zip(_delays(net), heads, strict=True):
        told = _compare(loss, found[:own], logit[:own], target, speech, late)
        told["rest"] = REST_WEIGHT * _restless(loss, found[:own], speech, late)
        known = _where_known(found[own:], other_target, spoken, late)
        others = _compare(loss, known, logit[own:], other_target, spoken, late)
        told |= {f"taught_{name}": TAUGHT_WEIGHT * value for name, value in others.items()}
        told["closed"] = _closed(loss, found[own:], labels, late)
        for name, value in told.items():
            parts[name] = parts.get(name, torch.zeros((), device=value.device)) + value / len(heads)
    return parts


def _delays(net: VoiceNet) -> list[int]:
    """How many outputs each head is late."""
    return [frames // STRIDE for frames in net.shape.look_aheads]


def _where_known(found: Tensor, target: Tensor, spoken: Tensor, late: int) -> Tensor:
    """What was found, and the target itself in silence: of breaths and of lips made ready the teacher hears nothing."""
    near = nn.functional.max_pool1d(spoken[:, None, ::STRIDE], 2 * NEAR + 1, 1, NEAR)[:, 0, :, None] > 0
    count = found.shape[1] - late
    kept = torch.where(near[:, :count], found[:, late:], target[:, ::STRIDE][:, :count])
    return torch.cat([found[:, :late], kept], 1)


def _compare(loss: MotionLoss, found: Tensor, logit: Tensor, target: Tensor, speech: Tensor, late: int) -> Losses:
    target, speech = target[:, ::STRIDE], speech[:, ::STRIDE]
    count = found.shape[1] - late
    cut = slice(WARM_UP, None)
    return loss.compare(
        found[:, late:][:, cut], logit[:, late:][:, cut], target[:, :count][:, cut], speech[:, :count][:, cut], span=2
    )


def _restless(loss: MotionLoss, found: Tensor, speech: Tensor, late: int) -> Tensor:
    """Speed of the lips where nobody has spoken for a while and nobody soon will."""
    near = nn.functional.max_pool1d(speech[:, None, ::STRIDE], 2 * AWAY + 1, 1, AWAY)[:, 0]
    away = (near[:, 1 : found.shape[1] - late] == 0)[..., None]
    speed = (loss.lips(found[:, late + 1 :]) - loss.lips(found[:, late:-1])).abs()
    return (speed * away).sum() / (away.sum() * speed.shape[-1] + 1)


def _closed(loss: MotionLoss, found: Tensor, labels: Tensor, late: int) -> Tensor:
    """Lips that stand open in the middle of p, b or m."""
    labels = labels[:, ::STRIDE]
    closed = torch.isin(labels, torch.tensor(CLOSED, device=labels.device))
    inside = closed & closed.roll(1, 1) & closed.roll(-1, 1)
    count = found.shape[1] - late
    gap = torch.relu(loss.opened(found[:, late:]))[inside[:, :count]]
    return 0.5 * gap.sum() / max(1, len(gap))
