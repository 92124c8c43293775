"""Stage ``source``: a small vocoder of pulses and noise, from prepared sounds to a bundle, in an hour on one core.

Its sounds are compared with the real ones by their spectra, of four lengths; nobody judges them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from engines.common import Array
from engines.common.engine import Work
from engines.common.loop import Losses
from engines.common.results import begun_from, located, read_net, shaped
from engines.vocoder.pitch import pitch_of
from engines.vocoder.sounds import Clip, Mel, SoundEngine, SoundSettings, samples_at
from engines.vocoder.source_filter import SourceFilter, SourceShape
from engines.vocoder.spectra import Spectra
from realtime_dub.errors import ConfigError

STAGE = "source"
MEL, SPECTRA = 10.0, 10.0  # shares in the loss
WIDTH = 1.0  # standard deviation of the classes around the true pitch
UNVOICED = 0.1  # what a frame without a pitch of its own is worth to the ear
WRONG = 0.05  # a pitch that is further off, as a natural logarithm, is counted as wrong


class Settings(SoundSettings):
    """``[source.engine]`` of the configuration."""

    batch: int = Field(12, ge=1)
    frames: int = Field(64, ge=8)
    channels: int = Field(128, ge=8)
    blocks: int = Field(5, ge=1)
    start: Path | None = None  # a run whose net to begin with
    predicted: Path | None = None  # NAME.npy (n, 80): the spectrograms that another network makes of the clips
    share: float = Field(0.5, ge=0, le=1)  # of the pieces of clips that have such a one, those that are made of it


class SourceEngine(SoundEngine):
    """Learns pitch, and what of pulses and of noise is in a sound."""

    def __init__(self, settings: Settings, work: Work) -> None:
        super().__init__(settings, work)
        self._settings = settings
        self._mel, self._spectra = (part.to(work.context.device) for part in (Mel(), Spectra()))
        self._pitches: dict[str, tuple[Array, Array]] = {}
        self._predicted: dict[str, Array] = {} if settings.predicted is None else spectrograms_in(settings.predicted)

    def network(self) -> SourceFilter:
        torch.manual_seed(self._work.seed)
        net = SourceFilter(SourceShape(channels=self._settings.channels, blocks=self._settings.blocks))
        if self._settings.start is not None:
            path = located(self._settings.start, STAGE)
            tensors, shape = read_net(path)
            begun_from(net, path, tensors, shaped(SourceShape, shape))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SourceFilter)
        pieces = self._drawn(rng)
        heard = self._batch([self._shown(clip, rng)[frames] for clip, frames in pieces]).transpose(1, 2)
        real = self._batch([clip.sound[samples_at(frames)] for clip, frames in pieces])
        pitch, voiced = (self._batch([self._pitch(clip)[k][frames] for clip, frames in pieces]) for k in range(2))
        breath = self._batch([rng.standard_normal(each.shape[-1], np.float32) for each in real])
        made = net.sounded(heard, pitch, breath)
        return {
            "mel": MEL * (self._mel(made) - self._mel(real)).abs().mean(),
            "spectra": SPECTRA * self._spectra(made, real),
            "pitch": pitch_loss(net.ear(heard), pitch, voiced, net.steps),
        }

    def check(self, net: nn.Module) -> dict[str, float]:
        assert isinstance(net, SourceFilter)
        plain, off = net.plain(), []
        for clip in self._held:
            pitch, voiced = self._pitch(clip)
            with torch.no_grad():
                found = plain.pitch(plain.ear(torch.from_numpy(clip.mel.T.copy())[None]))[0].numpy()
            off.append(np.abs(found - pitch)[voiced])
        wrong = float((np.concatenate(off) > WRONG).mean())
        return {**super().check(net), "pitch_wrong": round(wrong, 4)}

    def _pitch(self, clip: Clip) -> tuple[Array, Array]:
        if clip.name not in self._pitches:
            log_hz, voiced = pitch_of(clip.sound, len(clip.mel))
            self._pitches[clip.name] = log_hz, voiced
        return self._pitches[clip.name]

    def _shown(self, clip: Clip, rng: np.random.Generator) -> Array:
        """Its spectrogram, or the one that another network makes of the clip."""
        other = self._predicted.get(clip.name)
        if other is None or rng.random() >= self._settings.share:
            return clip.mel
        return np.concatenate([other, clip.mel[len(other) :]])[: len(clip.mel)]


def pitch_loss(classes: Tensor, log_hz: Tensor, voiced: Tensor, steps: Tensor) -> Tensor:
    """Cross entropy of classes (b, n, pitches) to a bell around the true pitch (b, n)."""
    apart = (steps - log_hz[..., None]) / (steps[1] - steps[0]) / WIDTH
    wanted = functional.softmax(-(apart**2) / 2, -1)
    each = -(wanted * functional.log_softmax(classes, -1)).sum(-1)
    weight = torch.where(voiced, 1.0, UNVOICED)
    return (each * weight).sum() / weight.sum()


def spectrograms_in(folder: Path) -> dict[str, Array]:
    """Of each clip's name. Raises ConfigError for a folder that has none."""
    found = {path.stem: np.load(path, allow_pickle=False).astype(np.float32) for path in sorted(folder.glob("*.npy"))}
    if not found or any(each.ndim != 2 or each.shape[1] != SourceShape.bands for each in found.values()):
        raise ConfigError("no spectrograms in", str(folder), "give a folder of NAME.npy (n, 80), one for each clip")
    return found
