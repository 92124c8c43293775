"""Stage ``vocoder``: HiFi-GAN, from prepared sounds to a bundle that turns spectrograms into sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from engines.common.engine import Work
from engines.common.layers import held
from engines.common.loop import Losses
from engines.vocoder.discriminators import Discriminators, alike, believed, told_apart
from engines.vocoder.network import PUBLISHED_16K, SMALL, Generator, Shape
from engines.vocoder.sounds import Mel, SoundEngine, SoundSettings, samples_at
from engines.vocoder.spectra import Spectra

PROFILES = {"published": PUBLISHED_16K, "small": SMALL}
MEL, FEATURES = 45.0, 2.0  # shares in the generator's loss
SPECTRA = 10.0  # likewise, while nobody judges it


class Settings(SoundSettings):
    """``[vocoder.engine]`` of the configuration."""

    profile: Literal["published", "small"] = "small"
    alone: int = Field(0, ge=0)  # first steps without the discriminators, by spectra; none as published
    narrow: int = Field(4, ge=1, le=32)  # divides the discriminators' channels; 1 as published


@dataclass(frozen=True)
class GanShape:
    """Of what is trained together."""

    generator: Shape = field(default_factory=Shape)
    narrow: int = 1


class Gan(nn.Module):
    """A generator with weight norms, and who judges it."""

    def __init__(self, shape: GanShape) -> None:
        super().__init__()
        self.shape = shape
        self.generator, self.judges = Generator(shape.generator), Discriminators(shape.narrow)
        for part in list(self.generator.modules()):
            if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
                weight_norm(part)

    def plain(self) -> Generator:
        """The generator on the CPU, its weight norms folded in."""
        net = Generator(self.shape.generator).eval().requires_grad_(False)
        parts = dict(self.generator.named_modules())
        for name, part in net.named_modules():
            if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
                part.weight.copy_(parts[name].weight.detach())
                part.bias.copy_(parts[name].bias.detach())
        return net


class VocoderEngine(SoundEngine):
    """Judged by what the sounds are and by discriminators."""

    def __init__(self, settings: Settings, work: Work) -> None:
        super().__init__(settings, work)
        self._settings = settings
        self._mel, self._spectra = (part.to(work.context.device) for part in (Mel(), Spectra()))
        self.turns, self._judged = ((settings.alone,), False) if settings.alone else ((), True)

    def network(self) -> Gan:
        torch.manual_seed(self._work.seed)
        return Gan(GanShape(PROFILES[self._settings.profile], self._settings.narrow))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Gan)
        pieces = self._drawn(rng)
        mel = self._batch([clip.mel[frames] for clip, frames in pieces])
        real = self._batch([clip.sound[samples_at(frames)] for clip, frames in pieces])
        made = net.generator(mel.transpose(1, 2))
        nearness = MEL * (self._mel(made) - self._mel(real)).abs().mean()
        if not self._judged:
            waiting = torch.stack([0.0 * each.sum() for each in net.judges.parameters()]).sum()
            return {"mel": nearness, "spectra": SPECTRA * self._spectra(made, real), "judges": waiting}
        apart = told_apart(net.judges.judge(real), net.judges.judge(made.detach()))
        with held(net.judges):  # the generator's loss moves the generator alone
            seen, found = net.judges.judge(real), net.judges.judge(made)
        return {
            "judges": apart,
            "believed": believed(found),
            "features": FEATURES * alike(seen, found),
            "mel": nearness,
        }

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        """The discriminators begin to judge."""
        self._judged = True
