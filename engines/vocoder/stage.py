"""Stage ``vocoder``: from prepared sounds to a bundle that turns spectrograms into sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from engines.common import Array
from engines.common.bundle_files import described
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.vocoder.discriminators import Discriminators, alike, believed, told_apart
from engines.vocoder.export import spec_of, write_bundle
from engines.vocoder.network import PUBLISHED_16K, SMALL, Generator, Shape
from engines.vocoder.spectra import Spectra
from realtime_dub.audio.frontends.framing import hann
from realtime_dub.audio.frontends.voice_mel import AT_16K, LEAST, VoiceMel
from realtime_dub.errors import ConfigError

PROFILES = {"published": PUBLISHED_16K, "small": SMALL}
MEL, FEATURES = 45.0, 2.0  # shares in the generator's loss
SPECTRA = 10.0  # likewise, while nobody judges it
SHOWN = 2  # validation clips


class Settings(BaseModel):
    """``[vocoder.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["published", "small"] = "small"
    alone: int = Field(0, ge=0)  # first steps without the discriminators, by spectra; none as published
    narrow: int = Field(4, ge=1, le=32)  # divides the discriminators' channels; 1 as published
    batch: int = Field(16, ge=1)
    frames: int = Field(50, ge=8)  # of a piece
    validation_clips: int = Field(16, ge=1)
    validation_frames: int = Field(200, ge=8)


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


@dataclass(frozen=True, eq=False)
class Clip:
    name: str
    sound: Array  # (n * hop,)
    mel: Array  # (n, 80)


class Mel(nn.Module):
    """The front end ``VoiceMel``, through which gradients go."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(hann(AT_16K.window).astype(np.float32)))
        self.register_buffer("filters", torch.from_numpy(AT_16K.filters()))

    def forward(self, sound: Tensor) -> Tensor:
        """Sounds (b, n * hop) to (b, n, 80)."""
        with torch.autocast(sound.device.type, enabled=False):
            half = AT_16K.window // 2
            pieces = nn.functional.pad(sound.float(), (half, half)).unfold(-1, AT_16K.window, AT_16K.hop)
            found = torch.fft.rfft(pieces[:, : sound.shape[-1] // AT_16K.hop] * self.window, AT_16K.fft)
            magnitude = (found.real**2 + found.imag**2 + 1e-12).sqrt()
            return (magnitude @ self.filters).clamp_min(LEAST).log()


class VocoderEngine(Engine):
    """Learns sounds of their spectrograms, judged by what they are and by discriminators."""

    score = "closeness"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._train = read_clips(work, "train", settings.frames)
        self._held = read_clips(work, "validation", settings.frames)[: settings.validation_clips]
        self._mel, self._spectra = (part.to(work.context.device) for part in (Mel(), Spectra()))
        self.turns, self._judged = ((settings.alone,), False) if settings.alone else ((), True)

    def network(self) -> Gan:
        torch.manual_seed(self._work.seed)
        return Gan(GanShape(PROFILES[self._settings.profile], self._settings.narrow))

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Gan)
        mel, real = self._pieces(rng)
        made = net.generator(mel.transpose(1, 2))
        nearness = MEL * (self._mel(made) - self._mel(real)).abs().mean()
        if not self._judged:
            waiting = torch.stack([0.0 * each.sum() for each in net.judges.parameters()]).sum()
            return {"mel": nearness, "spectra": SPECTRA * self._spectra(made, real), "judges": waiting}
        apart = told_apart(net.judges.judge(real), net.judges.judge(made.detach()))
        with _held(net.judges):  # the generator's loss moves the generator alone
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

    def _pieces(self, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Spectrograms (b, frames, 80) and their sounds (b, frames * hop)."""
        count, mels, sounds = self._settings.frames, [], []
        for chosen in rng.integers(0, len(self._train), self._settings.batch):
            clip = self._train[chosen]
            first = int(rng.integers(0, len(clip.mel) - count + 1))
            mels.append(clip.mel[first : first + count])
            sounds.append(clip.sound[first * AT_16K.hop : (first + count) * AT_16K.hop])
        device = self._work.context.device
        return torch.from_numpy(np.stack(mels)).to(device), torch.from_numpy(np.stack(sounds)).to(device)

    def check(self, net: nn.Module) -> dict[str, float]:
        assert isinstance(net, Gan)
        plain, mel = net.plain(), Mel()
        apart = []
        for clip in self._held:
            wanted = clip.mel[: self._settings.validation_frames]
            with torch.no_grad():
                found = mel(torch.from_numpy(sound_of(plain, wanted))[None])[0].numpy()
            apart.append(np.abs(found - wanted)[2:-2].mean())  # the last frames reach beyond what was made
        value = float(np.mean(apart))
        return {"mel_apart": round(value, 4), "closeness": round(-value, 4)}

    def samples(self, net: nn.Module) -> Samples:
        assert isinstance(net, Gan)
        shown, plain = Samples(), net.plain()
        for clip in self._held[:SHOWN]:
            wanted = clip.mel[: self._settings.validation_frames]
            shown.sounds[f"made/{clip.name}"] = sound_of(plain, wanted), AT_16K.rate
            shown.sounds[f"real/{clip.name}"] = clip.sound[: len(wanted) * AT_16K.hop], AT_16K.rate
        return shown

    def amounts(self) -> dict[str, object]:
        weights = sum(each.numel() for each in self.network().plain().parameters())
        return {"clips": {"train": len(self._train), "validation": len(self._held)}, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        assert isinstance(net, Gan)
        data = described(self._work.dataset)
        licence = data[0].licence if len({each.licence for each in data}) == 1 else "as the owners of its data have it"
        plain = net.plain()
        return write_bundle(plain, out / "bundle", spec_of(plain, licence, "", data))


def read_clips(work: Work, part: str, least: int) -> list[Clip]:
    """The sounds of at least ``least`` frames. Raises ConfigError where there is none."""
    found = []
    for entry in (each for each in work.dataset.entries if each.part == part):
        sound = work.dataset.audio(entry)
        sound = sound[: len(sound) // AT_16K.hop * AT_16K.hop]
        front_end = VoiceMel(AT_16K)
        mel = np.concatenate([front_end.process(sound), front_end.finish()])[: len(sound) // AT_16K.hop]
        if len(mel) >= least:
            found.append(Clip(entry.name, sound, mel))
    if not found:
        raise ConfigError("no sounds for", f"{part} in {work.dataset}", f"prepare some of {least * 10} ms or more")
    return found


def sound_of(net: Generator, mel: Array) -> Array:
    """Samples (n * hop,) of a spectrogram (n, 80)."""
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(mel.T.copy())[None])[0].numpy())


@contextmanager
def _held(part: nn.Module) -> Iterator[None]:
    """Its weights get no gradients meanwhile."""
    part.requires_grad_(False)
    try:
        yield
    finally:
        part.requires_grad_(True)
