"""Stage ``hear``: the slim painter's hearing, which learns from far more voices than there are faces to paint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from engines.common.dataset import evenly, of_each
from engines.common.engine import Engine, Samples, Work
from engines.common.loop import Losses
from engines.common.results import located, read_net
from engines.common.video_metrics import correlation
from engines.lipgan.heard import Heard, gathered
from engines.lipgan.slim import Listener, Shape
from engines.lipgan.slim_losses import opening_of, told_apart
from realtime_dub.errors import ConfigError

FILES = "heard-{}.npz"  # in the stage's folder, made once
LISTENED_EACH = 6  # windows of a stretch
FILMED = 0.4  # share of the stretches whose talker is filmed


class Settings(BaseModel):
    """``[hear.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    audio_widths: tuple[int, int, int, int] = Shape.audio_widths
    heard: int = Shape.heard
    tracks: int | None = Field(None, ge=1)  # of a person who is filmed, at most
    voices: int = Field(4_000, ge=0)  # tracks of those who are only heard, at most
    stretches: int = Field(24, ge=1)
    validation_tracks: int = Field(60, ge=1)
    start: Path | None = None  # a run of stage slim whose hearing to begin with


class HearEngine(Engine):
    """Learns to tell how the lower face moves."""

    score = "r"

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        voices = {"train": settings.voices, "validation": 0}
        self._heard, self._held = (heard_of(work, part, settings.tracks, most) for part, most in voices.items())

    def network(self) -> Listener:
        torch.manual_seed(self._work.seed)
        settings = self._settings
        net = Listener(Shape(audio_widths=settings.audio_widths, heard=settings.heard))
        if settings.start is not None:
            _take_over(net, located(settings.start, "slim"), "audio.")
        net.directed(*(torch.from_numpy(each) for each in (self._heard.index.mean, self._heard.index.lines)))
        return net

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, Listener)
        device = self._work.context.device
        drawn = self._heard.draw(rng, self._settings.stretches, LISTENED_EACH, FILMED)
        mel, wanted = (each.to(device) for each in drawn)
        return {"told": told_apart(net, net.hear(mel), wanted)}

    def check(self, net: nn.Module) -> dict[str, float]:
        """``r`` of the lips' opening, told and filmed: the mean over people, and that of each."""
        assert isinstance(net, Listener)
        index, by_speaker = self._held.index, dict[str, list[float]]()
        filmed = np.flatnonzero(index.filmed)
        for track in filmed[:: max(1, len(filmed) // self._settings.validation_tracks)]:
            by_speaker.setdefault(str(index.speakers[track]), []).append(self._r(net, int(track)))
        means = {name: float(np.mean(each)) for name, each in sorted(by_speaker.items())}
        return {"r": round(float(np.mean(list(means.values()))), 4)} | {
            f"r_{name}": round(value, 4) for name, value in means.items()
        }

    def _r(self, net: Listener, track: int) -> float:
        opening = self._held.opening(track)
        mel = torch.from_numpy(self._held.windows(track, np.arange(len(opening))))
        with torch.inference_mode():
            told = net.told(net.hear(mel.to(self._work.context.device))).float() @ opening_of(net)
        return correlation(opening, told.cpu().numpy())

    def samples(self, net: nn.Module) -> Samples:
        return Samples()

    def amounts(self) -> dict[str, object]:
        parts = {"train": self._heard.index, "validation": self._held.index}
        return {
            "tracks": {name: [int(each.filmed.sum()), int((~each.filmed).sum())] for name, each in parts.items()},
            "pictures": {name: len(each.told) for name, each in parts.items()},
            "parameters": sum(each.numel() for each in self.network().parameters()),
        }


def heard_of(work: Work, part: str, tracks: int | None, voices: int) -> Heard:
    """What is heard in a part; the first process gathers it, once in a run."""
    path = work.out / FILES.format(part)
    if work.context.first and not path.exists():
        filmed = work.dataset.part(part)
        others = [each for each in work.dataset.entries if each.part == part and not each.filmed]
        filmed = filmed if tracks is None else of_each(filmed, tracks)
        gathered(work.dataset, filmed, evenly(others, voices), Shape.motion, work.seed, path)
    work.context.broadcast(0)  # the others wait for the file
    return Heard(path, work.seed)


def heard_beside(work: Work) -> Heard:
    """What the stage ``hear`` that was made before has heard in training."""
    path = work.results["hear"].parent / FILES.format("train")
    if not path.is_file():
        raise ConfigError("no voices beside", str(work.results["hear"]), "keep the folder of stage hear whole")
    return Heard(path, work.seed)


def listen_as(net: Listener, path: Path) -> None:
    """Put the hearing of stage ``hear`` into ``net``. Raises ConfigError where it has another shape."""
    _take_over(net, path, "audio.", "motion.", "motion_mean", "motion_lines")


def _take_over(net: Listener, path: Path, *parts: str) -> None:
    tensors, _ = read_net(path)
    own = net.state_dict()
    found = {name: each for name, each in tensors.items() if name.startswith(parts)}
    wrong = [name for name, each in found.items() if name not in own or own[name].shape != each.shape]
    if wrong or not found:
        what = f"{path}: {wrong[0] if wrong else parts[0]} is of another shape"
        raise ConfigError("cannot listen as", what, "give both stages the same, or no start")
    net.load_state_dict(own | found)
