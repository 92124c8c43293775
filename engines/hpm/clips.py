"""What the network learns from, wherever it came from: clips as phonemes, lips, prosody and a spectrogram; batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.hpm.losses import Wanted
from engines.hpm.network import Given

LEFT_S = 0.2  # of silence that a cut leaves
ROWS = ("phonemes", "lips", "face", "voice", "scene", "mel", "pitch", "energy")  # of a batch


@dataclass(frozen=True, eq=False)
class Clip:
    """A track of ``t`` video frames and ``n`` mel frames for each. Pitch and energy are as measured until
    :func:`normalised`.
    """

    name: str
    speaker: str
    phonemes: Array  # (p,)
    places: Array  # (nt,) which of them is said in each mel frame; -1 = unknown
    lips: Array  # (t, features)
    mel: Array  # (nt, 80)
    pitch: Array  # (nt,) log Hz, through where nothing is voiced
    energy: Array  # (nt,) log
    face: Array  # (t, 256), or (1, 256) where no net looked at it
    scene: Array  # (256,)
    voice: Array  # (256,)
    silent: tuple[int, ...] = ()  # the numbers of phonemes that are pauses
    emotion: int | None = None  # of EMOTIONS, where somebody has told it
    fps: float = 25.0

    @property
    def per_frame(self) -> int:
        """Mel frames of a video frame."""
        return len(self.mel) // len(self.lips)

    @property
    def spoken(self) -> Array:
        """(nt,) where a phoneme is said that is no pause."""
        return np.asarray((self.places >= 0) & ~np.isin(self.phonemes[self.places], self.silent))


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of pitch and energy over the training clips."""

    pitch: tuple[float, float]
    energy: tuple[float, float]


def cut(clip: Clip, rng: np.random.Generator) -> Clip:
    """A clip without some of the silence at its ends, so that nothing is learnt of when speech begins in a clip."""
    spoken, count = np.flatnonzero(clip.spoken), clip.per_frame
    if not len(spoken):
        return clip
    start, stop, left = spoken[0] // count, spoken[-1] // count + 1, round(LEFT_S * clip.fps)
    before, behind = max(0, start - left), max(0, len(clip.lips) - stop - left)
    kept = rng.random(2) ** 3 * (before + 1, behind + 1)  # mostly little: silence is soon learnt
    first, end = before - int(kept[0]), len(clip.lips) - behind + int(kept[1])
    part, mel = slice(first, end), slice(first * count, end * count)
    of_mel = {name: getattr(clip, name)[mel] for name in ("places", "mel", "pitch", "energy")}
    face = clip.face[part] if len(clip.face) > 1 else clip.face
    return replace(clip, lips=clip.lips[part], face=face, **of_mel)


def scale_of(clips: Sequence[Clip]) -> Scale:
    found = {name: np.concatenate([getattr(clip, name) for clip in clips]) for name in ("pitch", "energy")}
    return Scale(**{name: (float(each.mean()), float(each.std()) or 1.0) for name, each in found.items()})


def normalised(clips: Sequence[Clip], scale: Scale) -> list[Clip]:
    """Clips with pitch and energy in standard deviations."""

    def put(values: Array, about: tuple[float, float]) -> Array:
        return np.asarray((values - about[0]) / about[1], np.float32)

    return [replace(clip, pitch=put(clip.pitch, scale.pitch), energy=put(clip.energy, scale.energy)) for clip in clips]


def batch_of(clips: Sequence[Clip]) -> tuple[Given, Wanted]:
    """Clips side by side, the shorter ones padded."""
    frames, phonemes = (torch.tensor([len(getattr(clip, name)) for clip in clips]) for name in ("lips", "phonemes"))
    rows = {name: _padded([getattr(clip, name) for clip in clips]) for name in ROWS}
    places = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip.places) for clip in clips], True, -1)
    given = Given(
        rows["phonemes"],
        rows["lips"],
        rows["face"],
        rows["voice"],
        rows["scene"],
        torch.arange(int(phonemes.max()))[None] >= phonemes[:, None],
        torch.arange(int(frames.max()))[None] >= frames[:, None],
    )
    told = [-1 if clip.emotion is None else clip.emotion for clip in clips]
    emotions = torch.tensor(told) if max(told) >= 0 else None
    return given, Wanted(rows["mel"], rows["pitch"], rows["energy"], frames, phonemes, emotions, places)


def _padded(rows: Sequence[Array]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)
