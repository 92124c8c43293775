"""Stage ``speech``: from prepared tracks to a bundle that speaks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common import Array
from engines.common.bundle_files import described, licence_of, rounded
from engines.common.dataset import Dataset
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.hpm import data, published
from engines.hpm.clips import Clip, batch_of, cut, normalised, scale_of
from engines.hpm.export import Knows, spec_of, write_bundle
from engines.hpm.losses import Wanted, losses
from engines.hpm.mcd import mel_distortion
from engines.hpm.moods import moods_of
from engines.hpm.network import Given, Hpm, Prosody, Spoken
from engines.hpm.shapes import FILMS, LECTURES, SMALL, Shape
from engines.hpm.slots import OTHERS, Slots, found_in
from engines.hpm.sound import Sound
from realtime_dub.voice.hpm.griffin_lim import griffin_lim

PROFILES = {"films": FILMS, "lectures": LECTURES, "small": SMALL}
SHOWN = 2  # validation clips
Batch = TypeVar("Batch", Given, Wanted, Spoken)


class Settings(BaseModel):
    """``[speech.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["films", "lectures", "small"] = "small"
    batch: int = Field(16, ge=1)
    validation_clips: int = Field(24, ge=1)
    half: bool = False  # products of matrices in bfloat16 on a CPU, too
    # What fills the slots where no files of other nets lie beside the tracks: see ``slots.py``.
    voice: Literal["bands", "net"] = "bands"
    face: Literal["none", "rule"] = "none"
    scene: Literal["none", "rule"] = "none"
    pitch: Literal["own", "world"] = "own"  # who tracks it; world: DIO and StoneMask, as published, of pyworld
    sound: Sound | None = None  # 16 kHz in hops of 160 at 25 fps; without it that of the data's layout


class HpmEngine(Engine):
    """Learns the spectrogram, and on the way what is read off the lips, pitch and energy."""

    score = "closeness"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._sound = settings.sound or sound_of(work.dataset)
        self._slots = slots_of(work.dataset, Slots(settings.voice, settings.face, settings.scene))
        reading = data.Reading(self._sound, self._slots, settings.pitch)
        self._phonemes, train = learnt_from(work.dataset, "train", reading)
        scale = scale_of(train)
        held = learnt_from(work.dataset, "validation", reading)[1][: settings.validation_clips]
        self._train, self._held = normalised(train, scale), normalised(held, scale)
        own = PROFILES[settings.profile]
        self._shape: Shape = replace(
            own,
            phonemes=len(self._phonemes),
            lips=self._train[0].lips.shape[1],
            upsampling=self._sound.per_frame,
            positions=max(own.positions, *(len(clip.mel) for clip in (*self._train, *self._held))),
            speakers=0,
            emotion_rows=0,
        )

    def network(self) -> Hpm:
        torch.manual_seed(self._work.seed)
        net = Hpm(self._shape)
        with torch.no_grad():  # steps are few: they need not look for the mean
            net.mel_linear.bias.copy_(torch.from_numpy(np.concatenate([clip.mel for clip in self._train]).mean(0)))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        chosen = rng.integers(0, len(self._train), self._settings.batch)
        batch = batch_of([cut(self._train[k], rng) for k in chosen])
        given, wanted = self._there(batch[0]), self._there(batch[1])
        with self._half():
            spoken = net(given, Prosody(wanted.pitch, wanted.energy))
        found = losses(with_tensors(spoken, Tensor.float), given, wanted)
        if spoken.emotion is not None and "emotion" not in found:  # every parameter has its share
            found["emotion"] = 0.0 * spoken.emotion.sum()
        return found

    def check(self, net: nn.Module) -> dict[str, float]:
        net = on_cpu(net)
        made = [(spoken_of(net, clip), clip) for clip in self._held]
        mcd = float(np.mean([mel_distortion(found.refined[0].numpy(), clip.mel) for found, clip in made]))
        asked = float(np.mean([asks_right(found.shares[0].numpy(), clip) for found, clip in made]))
        told = [
            float(int(found.emotion.argmax()) == clip.emotion)
            for found, clip in made
            if found.emotion is not None and clip.emotion is not None
        ]
        moods = {"moods": round(float(np.mean(told)), 4)} if told else {}  # the share that the scene tells
        return {"mcd": round(mcd, 3), "asked": round(asked, 4), **moods, "closeness": round(-mcd, 3)}

    def samples(self, net: nn.Module) -> Samples:
        shown, net = Samples(), on_cpu(net)
        for clip in self._held[:SHOWN]:
            spoken = spoken_of(net, clip)
            made, shares = (each[0].numpy() for each in (spoken.refined, spoken.shares))
            shown.pictures[f"mel/{clip.name}"] = drawn(clip.mel, made)
            shown.pictures[f"attention/{clip.name}"] = drawn_shares(shares, clip.places)
            shown.curves[f"loudness/{clip.name}"] = {"real": clip.mel.mean(1), "made": made.mean(1)}
            sound = np.clip(griffin_lim(made, self._sound.spec), -1, 1)
            shown.sounds[f"sound/{clip.name}"] = sound, self._sound.played_rate
        return shown

    def amounts(self) -> dict[str, object]:
        weights = sum(each.numel() for each in Hpm(self._shape).parameters() if each.requires_grad)
        return {"clips": {"train": len(self._train), "validation": len(self._held)}, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        net, corpora = rounded(on_cpu(net)), described(self._work.dataset, heard=False)
        voices = [np.mean([clip.voice for clip in own], 0) for own in by_speaker(self._train).values()]
        usual = np.mean(voices, 0).round(4).tolist()
        moods = moods_of(self._train) if net.shape.scene else ()
        knows = Knows(len(voices), usual, moods, self._slots)
        spec = spec_of(net, self._phonemes, self._sound, licence_of(corpora), "", corpora, knows)
        return write_bundle(net, out / "bundle", spec)

    def _half(self) -> AbstractContextManager[object]:
        device = self._work.context.device.type
        return torch.autocast(device, torch.bfloat16) if self._settings.half else nullcontext()

    def _there(self, batch: Batch) -> Batch:
        return with_tensors(batch, lambda each: each.to(self._work.context.device))


def sound_of(dataset: Dataset) -> Sound:
    """That of a layout; 16 kHz for what prepare-dataset has written."""
    return dataset.layout.sound if isinstance(dataset, published.PublishedSet) else Sound()


def slots_of(dataset: Dataset, wanted: Slots) -> Slots:
    """What fills the slots. Raises ConfigError where that differs between clips."""
    if isinstance(dataset, published.PublishedSet):
        return OTHERS
    return found_in([each for part in ("train", "validation") for each in data.learnt_from(dataset, part)], wanted)


def learnt_from(dataset: Dataset, part: str, reading: data.Reading) -> tuple[tuple[str, ...], list[Clip]]:
    """Names of phonemes by number, and clips. Raises ConfigError."""
    if isinstance(dataset, published.PublishedSet):
        return published.PHONEMES, dataset.read(part, reading.sound)
    return data.PHONEMES, data.read_clips(dataset, part, reading)


def by_speaker(clips: Sequence[Clip]) -> dict[str, list[Clip]]:
    found: dict[str, list[Clip]] = {}
    for clip in clips:
        found.setdefault(clip.speaker, []).append(clip)
    return found


def with_tensors(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    """A batch whose tensors are changed."""
    return replace(batch, **{name: change(each) for name, each in vars(batch).items() if isinstance(each, Tensor)})


def spoken_of(net: Hpm, clip: Clip) -> Spoken:
    """What the network makes of a clip that it has only seen and read."""
    given, _ = batch_of([clip])
    with torch.no_grad():
        found: Spoken = net(given)
    return found


def speak(net: Hpm, clip: Clip) -> Array:
    """Its spectrogram (4t, 80)."""
    return np.asarray(spoken_of(net, clip).refined[0].numpy())


def asks_right(shares: Array, clip: Clip) -> float:
    """Of the frames that speak, how many ask their own phoneme most (t, p)."""
    at = slice(clip.per_frame // 2, None, clip.per_frame)
    places, spoken = clip.places[at], clip.spoken[at]
    return float((shares.argmax(1) == places)[spoken].mean()) if spoken.any() else 0.0


def drawn(real: Array, made: Array) -> Array:
    """Two spectrograms (n, 80), the real one above, as a picture (160, n, 3)."""
    rows = np.concatenate([real[:, ::-1].T, made[:, ::-1].T])
    grey = np.clip((rows + 11.5) / 13.5 * 255, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, 2)


def drawn_shares(shares: Array, places: Array) -> Array:
    """Shares (t, p), time to the right, and in red where the aligner heard each phoneme (4t,): (8p, 4t, 3)."""
    grey = np.repeat((255 * np.clip(shares.T[::-1], 0, 1)).astype(np.uint8)[..., None], 3, 2)
    grey = grey.repeat(len(places) // len(shares), 1)
    for at in np.flatnonzero(places >= 0):
        grey[len(grey) - 1 - places[at], at, 0] = 255
    return grey.repeat(8, 0)


def on_cpu(net: nn.Module) -> Hpm:
    """A copy of a net to measure."""
    assert isinstance(net, Hpm)
    return copy.deepcopy(net).cpu().eval()
