"""The losses that HPMDubbing was trained with, of a padded batch, and one that leads its attention."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from engines.hpm.network import Given, Spoken

READING, MOOD = 0.01, 0.05  # shares of CTC and of the emotion
GUIDING = 1.0  # of which phoneme a frame hears: not published, see :func:`_guided`


@dataclass(frozen=True)
class Wanted:
    """Of a batch: what was measured. Pitch and energy in standard deviations."""

    mel: Tensor  # (b, 4t, 80)
    pitch: Tensor  # (b, 4t)
    energy: Tensor  # (b, 4t)
    frames: Tensor  # (b,) video frames of each clip
    phonemes: Tensor  # (b,) how many each clip has
    emotion: Tensor | None = None  # (b,) 0..7; -1 = unknown; None = of none
    places: Tensor | None = None  # (b, 4t) which of the given phonemes an aligner heard; -1 = unknown


def losses(spoken: Spoken, given: Given, wanted: Wanted) -> dict[str, Tensor]:
    """By name, each with its weight; their sum is minimised.

    The published emotion loss puts a softmax before a loss that has one; here the logits go in, once.
    """
    per_frame = wanted.mel.shape[1] // spoken.shares.shape[1]
    there = _there(wanted, per_frame)
    found = {
        "mel": _of_mel(functional.l1_loss, spoken.mel, wanted.mel, there),
        "refined": _of_mel(functional.l1_loss, spoken.refined, wanted.mel, there),
        "mel_square": _of_mel(functional.mse_loss, spoken.mel, wanted.mel, there),
        "refined_square": _of_mel(functional.mse_loss, spoken.refined, wanted.mel, there),
    }
    for name, made, real in (("pitch", spoken.pitch, wanted.pitch), ("energy", spoken.energy, wanted.energy)):
        found[name] = functional.mse_loss(made[there], real[there]) + functional.l1_loss(made[there], real[there])
    found["read"] = READING * _read(spoken.read, given.phonemes, wanted.frames, wanted.phonemes)
    found["heard"] = READING * _read(spoken.heard, given.phonemes, wanted.frames * per_frame, wanted.phonemes)
    if spoken.emotion is not None and wanted.emotion is not None:
        found["emotion"] = MOOD * functional.cross_entropy(spoken.emotion, wanted.emotion, ignore_index=-1)
    if wanted.places is not None:
        found["guided"] = GUIDING * _guided(spoken.shares, wanted.places, per_frame)
    return found


def _guided(shares: Tensor, places: Tensor, per_frame: int) -> Tensor:
    """How little a frame hears of the phonemes that are said in it, nats.

    The published network finds that by itself. A short training does not: an aligner tells it.
    """
    heard = functional.one_hot(places + 1, shares.shape[2] + 1)[..., 1:].to(shares.dtype).transpose(1, 2)
    wanted = functional.avg_pool1d(heard, per_frame + 2, per_frame, 1).transpose(1, 2)  # of a frame and around
    return -(wanted * (shares + 1e-6).log()).sum() / wanted.sum().clamp_min(1.0)


def _there(wanted: Wanted, per_frame: int) -> Tensor:
    """(b, 4t): True where a mel frame is no padding."""
    places = wanted.frames.new_ones(wanted.mel.shape[:2]).cumsum(1)
    return places <= wanted.frames[:, None] * per_frame


def _of_mel(measure: object, made: Tensor, real: Tensor, there: Tensor) -> Tensor:
    assert callable(measure)
    found: Tensor = measure(made[there], real[there])
    return found


def _read(logits: Tensor, phonemes: Tensor, frames: Tensor, counts: Tensor) -> Tensor:
    """CTC summed over the clips, per clip. Class 0 is the blank: phoneme ids 1.. are classes of the same number.

    A clip whose frames are fewer than its phonemes has none.
    """
    rows = logits.transpose(0, 1).log_softmax(2)
    summed = functional.ctc_loss(rows, phonemes, frames, counts, blank=0, reduction="sum", zero_infinity=True)
    return summed / len(phonemes)
