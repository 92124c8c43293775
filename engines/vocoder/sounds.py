"""What every vocoder's stage is made of: prepared sounds with their spectrograms, how near it comes, a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.bundle_files import described, rounded
from engines.common.dataset import Entry
from engines.common.engine import Engine, Samples, Work
from engines.vocoder.export import spec_of, write_bundle
from engines.vocoder.sounding import Sounding
from realtime_dub.audio.frontends.framing import hann
from realtime_dub.audio.frontends.voice_mel import AT_16K, LEAST, VoiceMel
from realtime_dub.errors import ConfigError

SHOWN = 2  # validation clips
EDGE = 2  # the last frames of a spectrogram reach beyond what was made


class SoundSettings(BaseModel):
    """What each stage of a vocoder is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    batch: int = Field(16, ge=1)
    frames: int = Field(50, ge=8)  # of a piece
    filmed: float | None = Field(None, ge=0, le=1)  # share of the pieces that are of filmed clips; None = by number
    validation_clips: int = Field(16, ge=1)
    validation_frames: int = Field(200, ge=8)


@dataclass(frozen=True, eq=False)
class Clip:
    name: str
    sound: Array  # (n * hop,)
    mel: Array  # (n, 80)


class Mel(nn.Module):
    """The front end ``VoiceMel``, through which gradients go."""

    window: Tensor
    filters: Tensor

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


class SoundEngine(Engine):
    """Learns sounds of their spectrograms; each is read when it is first drawn, and kept."""

    score = "closeness"

    def __init__(self, settings: SoundSettings, work: Work) -> None:
        self._work, self._about = work, settings
        train = self._entries("train")
        by_kind = [[each for each in train if each.filmed], [each for each in train if not each.filmed]]
        self._kinds = [train] if settings.filmed is None else by_kind
        self._clips: dict[str, Clip] = {}
        self._held = [self._clip(each) for each in self._entries("validation")[: settings.validation_clips]]

    def check(self, net: nn.Module) -> dict[str, float]:
        plain, mel = _plain(net), Mel()
        apart = []
        for clip in self._held:
            wanted = clip.mel[: self._about.validation_frames]
            with torch.no_grad():
                found = mel(torch.from_numpy(sound_of(plain, wanted))[None])[0].numpy()
            apart.append(np.abs(found - wanted)[EDGE:-EDGE].mean())
        value = float(np.mean(apart))
        return {"mel_apart": round(value, 4), "closeness": round(-value, 4)}

    def samples(self, net: nn.Module) -> Samples:
        shown, plain = Samples(), _plain(net)
        for clip in self._held[:SHOWN]:
            wanted = clip.mel[: self._about.validation_frames]
            shown.sounds[f"made/{clip.name}"] = sound_of(plain, wanted), AT_16K.rate
            shown.sounds[f"real/{clip.name}"] = clip.sound[: len(wanted) * AT_16K.hop], AT_16K.rate
        return shown

    def amounts(self) -> dict[str, object]:
        weights = sum(each.numel() for each in _plain(self.network()).parameters())
        clips = {"train": sum(map(len, self._kinds)), "validation": len(self._held)}
        return {"clips": clips, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        data = described(self._work.dataset, sounds=True)
        licence = data[0].licence if len({each.licence for each in data}) == 1 else "as the owners of its data have it"
        plain = rounded(_plain(net))
        return write_bundle(plain, out / "bundle", spec_of(plain, licence, "", data))

    def _entries(self, part: str) -> list[Entry]:
        """Those that are long enough. Raises ConfigError where there is none."""
        found = [
            each
            for each in self._work.dataset.entries
            if each.part == part and each.length_s() * AT_16K.rate >= self._about.frames * AT_16K.hop
        ]
        if not found:
            do = f"prepare some of {self._about.frames * 10} ms or more"
            raise ConfigError("no sounds for", f"{part} in {self._work.dataset}", do)
        return found

    def _clip(self, entry: Entry) -> Clip:
        if entry.name not in self._clips:
            sound = self._work.dataset.audio(entry)
            sound = sound[: len(sound) // AT_16K.hop * AT_16K.hop]
            front_end = VoiceMel(AT_16K)
            mel = np.concatenate([front_end.process(sound), front_end.finish()])[: len(sound) // AT_16K.hop]
            self._clips[entry.name] = Clip(entry.name, sound, mel)
        return self._clips[entry.name]

    def _drawn(self, rng: np.random.Generator) -> list[tuple[Clip, slice]]:
        """Pieces of training clips, as many as a batch has: which frames of which."""
        found = []
        for _ in range(self._about.batch):
            kind = self._kinds[0 if rng.random() < (self._about.filmed or 0) or not self._kinds[-1] else -1]
            clip = self._clip(kind[int(rng.integers(len(kind)))])
            first = int(rng.integers(0, len(clip.mel) - self._about.frames + 1))
            found.append((clip, slice(first, first + self._about.frames)))
        return found

    def _batch(self, rows: list[Array]) -> Tensor:
        return torch.from_numpy(np.stack(rows)).to(self._work.context.device)


def samples_at(frames: slice) -> slice:
    return slice(frames.start * AT_16K.hop, frames.stop * AT_16K.hop)


def sound_of(net: nn.Module, mel: Array) -> Array:
    """Samples (n * hop,) of a spectrogram (n, 80)."""
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(mel.T.copy())[None])[0].numpy())


def _plain(net: nn.Module) -> Sounding:
    """As it is used, on the CPU."""
    made: Sounding = net.plain()
    return made
