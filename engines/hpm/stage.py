"""Stage ``speech``: from prepared tracks to a bundle that speaks."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.bundle_files import described
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.hpm.data import PHONEMES, Clip, batch_of, normalised, read_clips, scale_of
from engines.hpm.export import spec_of, write_bundle
from engines.hpm.losses import Wanted, losses
from engines.hpm.mcd import mel_distortion
from engines.hpm.network import Given, Hpm, Prosody
from engines.hpm.shapes import FILMS, LECTURES, SMALL, Shape
from realtime_dub.audio.frontends.voice_mel import AT_16K
from realtime_dub.voice.hpm.griffin_lim import griffin_lim

PROFILES = {"films": FILMS, "lectures": LECTURES, "small": SMALL}
SHOWN = 2  # validation clips
Batch = TypeVar("Batch", Given, Wanted)


class Settings(BaseModel):
    """``[speech.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["films", "lectures", "small"] = "small"
    batch: int = Field(16, ge=1)
    validation_clips: int = Field(24, ge=1)


class HpmEngine(Engine):
    """Learns the spectrogram, and on the way what is read off the lips, pitch and energy."""

    score = "closeness"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        train = read_clips(work.dataset, "train")
        scale = scale_of(train)
        held = read_clips(work.dataset, "validation")[: settings.validation_clips]
        self._train, self._held = normalised(train, scale), normalised(held, scale)
        lips = self._train[0].lips.shape[1]
        own = PROFILES[settings.profile]
        self._shape: Shape = replace(own, phonemes=len(PHONEMES), lips=lips, speakers=0, emotion_rows=0)

    def network(self) -> Hpm:
        torch.manual_seed(self._work.seed)
        return Hpm(self._shape)

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        chosen = rng.integers(0, len(self._train), self._settings.batch)
        batch = batch_of([self._train[k] for k in chosen])
        given, wanted = self._there(batch[0]), self._there(batch[1])
        spoken = net(given, Prosody(wanted.pitch, wanted.energy))
        found = losses(spoken, given, wanted)
        if spoken.emotion is not None:  # nobody told which it is, and every parameter has its share
            found["emotion"] = 0.0 * spoken.emotion.sum()
        return found

    def check(self, net: nn.Module) -> dict[str, float]:
        net = on_cpu(net)
        found = [mel_distortion(speak(net, clip), clip.mel) for clip in self._held]
        mcd = float(np.mean(found))
        return {"mcd": round(mcd, 3), "closeness": round(-mcd, 3)}

    def samples(self, net: nn.Module) -> Samples:
        shown, net = Samples(), on_cpu(net)
        for clip in self._held[:SHOWN]:
            made = speak(net, clip)
            shown.pictures[f"mel/{clip.name}"] = drawn(clip.mel, made)
            shown.curves[f"loudness/{clip.name}"] = {"real": clip.mel.mean(1), "made": made.mean(1)}
            shown.sounds[f"sound/{clip.name}"] = (np.clip(griffin_lim(made, AT_16K), -1, 1), AT_16K.rate)
        return shown

    def amounts(self) -> dict[str, object]:
        weights = sum(each.numel() for each in Hpm(self._shape).parameters() if each.requires_grad)
        return {"clips": {"train": len(self._train), "validation": len(self._held)}, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        net, data = on_cpu(net), described(self._work.dataset, heard=False)
        licence = data[0].licence if len({each.licence for each in data}) == 1 else "as the owners of its data have it"
        spec = spec_of(net, PHONEMES, AT_16K.rate, AT_16K.window, AT_16K.hop, licence, "", data)
        return write_bundle(net, out / "bundle", spec)

    def _there(self, batch: Batch) -> Batch:
        device = self._work.context.device
        return replace(
            batch, **{name: each.to(device) for name, each in vars(batch).items() if isinstance(each, Tensor)}
        )


def speak(net: Hpm, clip: Clip) -> Array:
    """The spectrogram (4t, 80) of a clip that the network has only seen and read."""
    given, _ = batch_of([clip])
    with torch.no_grad():
        return np.asarray(net(given).refined[0].numpy())


def drawn(real: Array, made: Array) -> Array:
    """Two spectrograms (n, 80), the real one above, as a picture (160, n, 3)."""
    rows = np.concatenate([real[:, ::-1].T, made[:, ::-1].T])
    grey = np.clip((rows + 11.5) / 13.5 * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def on_cpu(net: nn.Module) -> Hpm:
    """A copy of a net to measure."""
    assert isinstance(net, Hpm)
    return copy.deepcopy(net).cpu().eval()
