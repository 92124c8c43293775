"""Stage ``head``: the WaveNet of one person's head, and what the recording says of them beside it."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.avatar_head.data import Draws, Line, line_of, windows_of
from engines.avatar_head.export import export_bundle
from engines.avatar_head.network import HeadNet, Shape, surprise
from engines.avatar_head.recording import person_of, places_of
from engines.common import Array
from engines.common.avatar import Heard, blurred, by_speaker, neutral_of
from engines.common.bundle_files import described
from engines.common.dataset import Track
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS
from realtime_dub.mouth.avatar.head import Wander
from realtime_dub.mouth.avatar.hearing import ROW_MS
from realtime_dub.mouth.avatar.person import Person

ROUNDS = 4  # in which the temperatures are found
COLDEST, HOTTEST = 0.05, 2.0
LISTENED = 750  # frames by which it is found


class Settings(BaseModel):
    """``[head.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    look_ahead_ms: int = Field(240, ge=80, le=400, multiple_of=ROW_MS)  # of the voice; published: 250
    batch: int = Field(8, ge=1)
    frames: int = Field(320, ge=4)  # of a stretch
    told: int = Field(128, ge=4)
    channels: int = Field(128, ge=4)
    skip: int = Field(256, ge=4)
    dropout: float = Field(0.1, ge=0, lt=1)
    noise: float = Field(0.05, ge=0)  # of what it is told of the frame before
    version: str = "1.0.0"


class HeadEngine(Engine):
    """Learns how probable each next place and velocity of the head is."""

    score = "likelihood"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._heard = Heard(work.dataset, work.out.parent / "heard")
        train, held = (work.dataset.part(part) for part in ("train", "validation"))
        if (people := list(by_speaker(train)))[1:]:
            what = f"{work.dataset} with {len(people)} people: {', '.join(people[:3])}"
            raise ConfigError("cannot make one avatar of", what, "give the data of one")
        tracks = [work.dataset.load(entry) for entry in train]
        self.person, self.blinking = person_of(tracks, neutral_of(work.dataset, train))
        self._train = self._line(tracks)
        self._held = self._line([work.dataset.load(entry) for entry in held])
        self._draws = Draws(self._train, settings.frames, settings.noise)

    def _line(self, tracks: list[Track]) -> Line:
        hearing = self._heard.hearing
        ahead = (self._settings.look_ahead_ms - hearing.look_ahead_ns // MS) // ROW_MS
        windows = [
            windows_of(self._heard(track.entry), hearing.silence, Shape.steps, ahead, len(track.scale))
            for track in tracks
        ]
        return line_of(self.person, tracks, places_of(self.person, tracks), windows)

    def _shape(self) -> Shape:
        one = self._settings
        sizes = {"told": one.told, "channels": one.channels, "skip": one.skip, "dropout": one.dropout}
        return Shape(features=self._heard.hearing.features, **sizes)  # type: ignore[arg-type]

    def network(self) -> HeadNet:
        torch.manual_seed(self._work.seed)
        return HeadNet(self._shape())

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, HeadNet)
        device = net.feature_mean.device
        heard, before, real, counts = (each.to(device) for each in self._draws.draw(rng, self._settings.batch))
        mean, spread, _ = net.sequence(heard, before, net.initial_state(len(heard)))
        counted = counts[..., None] / counts.sum() / real.shape[-1]
        return {"surprise": (surprise(mean.float(), spread.float(), real) * counted).sum()}

    def check(self, net: nn.Module) -> dict[str, float]:
        """How probable the validation tracks are, and how much faster than they the head goes by itself."""
        net = on_cpu(net)
        heard = torch.from_numpy(self._held.windows.astype(np.float32))[None]
        moves = torch.from_numpy(self._held.moves)[None]
        with torch.no_grad():
            mean, spread, _ = net.sequence(heard[:, 1:], moves[:, :-1], net.initial_state())
            apart = surprise(mean, spread, moves[:, 1:])[0].mean(-1).numpy()
        counts = self._held.counts[1:]
        found = simulate(net, self.person, self._held.windows[:LISTENED])
        speed = float(speed_of(found / self.person.spread).mean() / self._recorded_speed().mean())
        return {"likelihood": round(-float((apart * counts).sum() / counts.sum()), 4), "speed": round(speed, 3)}

    def _recorded_speed(self) -> Array:
        """Mean speed of the recording (6,), spreads a frame: as far as it counts, and as smooth as what is shown."""
        line = self._train
        steps = np.abs(np.diff(line.moves[:, :6], axis=0))[line.counts[1:] > 0]
        return np.asarray(steps.mean(0))

    def samples(self, net: nn.Module) -> Samples:
        found = simulate(on_cpu(net), self.person, self._held.windows[:LISTENED]) / self.person.spread
        names = ("pitch", "yaw", "roll", "right", "down", "near")
        real = self._held.moves[: len(found)]
        curves = {f"head/{name}": {"real": real[:, i], "found": found[:, i]} for i, name in enumerate(names)}
        return Samples(curves=curves)

    def amounts(self) -> dict[str, object]:
        shape = self._shape()
        about = {"train": len(self._train), "validation": len(self._held)}
        weights = sum(each.numel() for each in HeadNet(shape).parameters())
        blinks = {"seen": self.blinking.seen, "per_minute": round(self.blinking.per_minute, 1)}
        return {"frames": about, "blinks": blinks, "receptive_field": shape.receptive_field, "parameters": weights}

    def export(self, net: nn.Module, out: Path) -> Path:
        net, hearing, settings = on_cpu(net), self._heard.hearing, self._settings
        replace(self.person, temperature=self._temperature(net)).write(out)
        corpora = described(self._work.dataset, heard=False)
        return export_bundle(net, out / "bundle", hearing.label, settings.look_ahead_ms, settings.version, corpora)

    def _temperature(self, net: HeadNet) -> Array:
        """By which the net's spread is multiplied (6,), so that the head is as fast as recorded, in every direction."""
        found, wanted = np.ones(6, np.float32), self._recorded_speed()
        for _ in range(ROUNDS):
            person = replace(self.person, temperature=found)
            speed = speed_of(simulate(net, person, self._train.windows[:LISTENED]) / person.spread)
            found = np.clip(found * (wanted / np.maximum(speed, 1e-6)), COLDEST, HOTTEST).astype(np.float32)
        return found


def simulate(net: HeadNet, person: Person, windows: Array, seed: int = 0) -> Array:
    """The places (n, 6) that are shown for windows (n, steps, features), one frame after another, as live."""
    wander, past, found = Wander(person, seed), net.initial_state(), []
    with torch.no_grad():
        for frame, window in enumerate(windows.astype(np.float32)):
            before = torch.from_numpy(wander.before)[None]
            mean, spread, *past = net(torch.from_numpy(window)[None], before, *past)
            found.append(wander(mean[0].numpy(), spread[0].numpy(), frame))
    return np.stack(found)


def speed_of(places: Array) -> Array:
    """Mean absolute change a frame (6,), as smooth as the recording's is measured."""
    return np.asarray(np.abs(np.diff(blurred(places), axis=0)).mean(0))


def on_cpu(net: nn.Module) -> HeadNet:
    """A copy of a net to measure."""
    assert isinstance(net, HeadNet)
    return copy.deepcopy(net).cpu().eval()
