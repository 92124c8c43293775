"""Stage ``ensemble``: the mean of several motion nets as one net, each of which hears another part of a voice rightly.

It writes the bundles that are shipped, one for each look-ahead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from engines.common.bundle_files import described, rounded
from engines.common.engine import Join, Work
from engines.common.results import located, read_net, ready, shaped
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import LOOK_AHEAD, GivesMotion, Made, MotionNet, Shape
from engines.mouthbank.usual import some_sounds, tell
from engines.mouthbank.voice_net import VoiceNet, load_voice
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.inference.spec import DataSpec
from realtime_dub.mouth.mouthbank.trunk import Trunk

FRAME_MS = 10


class Shares(BaseModel):
    """Of each net, as far as the look-ahead allows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    direct: Annotated[float, Field(ge=0)] = 1.0
    voice: Annotated[float, Field(gt=0)] = 4.0  # the one that can look ahead as little as is wanted


class Settings(BaseModel):
    """``[ensemble.engine]`` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    motion: Shares = Shares()
    speech: Shares | None = None  # of the logit of speech; as of motion, without it
    look_aheads_ms: tuple[int, ...] = (0, 40, 80, 160)  # the bundles to write
    version: str = "1.0.0"
    also: tuple[DataSpec, ...] = ()  # what the nets were trained on beside the prepared folders


class Ensemble(Join):
    """Joins the direct net and the voice net."""

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._data = settings, (*described(work.dataset), *settings.also)
        self._dataset = work.dataset
        self._nets: list[GivesMotion] = [load_motion(work.results["direct"]), load_voice(work.results["voice"])]

    def join(self, out: Path) -> list[Path]:
        motion, speech = self._settings.motion, self._settings.speech or self._settings.motion
        sounds, front_end = some_sounds(self._dataset), LogMelSpec()
        mels = [torch.from_numpy(LogMel(front_end).process(sound))[None] for sound in sounds]
        nets = shipped(self._nets, [motion.direct, motion.voice], [speech.direct, speech.voice])
        written = []
        for frames, net in nets.items():
            if frames * FRAME_MS in self._settings.look_aheads_ms:
                for voice in (each for each in net.modules() if isinstance(each, VoiceNet)):
                    voice.measure_features(mels)
                folder = out / ("bundle" if frames == LOOK_AHEAD else f"bundle-{frames * FRAME_MS}")
                export_bundle(rounded(net), front_end, folder, self._settings.version, self._data)
                written.append(tell(folder, sounds, known=True))
        return written


class Mean(GivesMotion):
    """Nets that look equally far ahead, each with a share of the motion and one of the logit of speech."""

    def __init__(self, nets: list[GivesMotion], shares: list[float], speech: list[float] | None = None) -> None:
        super().__init__()
        if len({net.look_ahead for net in nets}) != 1:
            raise ValueError("these nets do not look equally far ahead")
        self.nets = nn.ModuleList(nets)
        self.shares = [share / sum(shares) for share in shares]
        speech = speech or shares
        self.speech_shares = [share / sum(speech) for share in speech]
        self.shape, self.look_ahead = nets[0].shape, nets[0].look_ahead

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """The states of all nets, one after another."""
        return [tensor for net in self.nets for tensor in net.initial_state(batch)]

    def featured(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, Made | None, list[Tensor]]:
        """The features are those of the one net that tells them; a mean of several has none."""
        if len(self.nets) > 1:
            return super().featured(mel, state)
        net = self.nets[0]
        assert isinstance(net, GivesMotion)
        return net.featured(mel, state)

    def trunk(self) -> Trunk | None:
        net = self.nets[0]
        assert isinstance(net, GivesMotion)
        return net.trunk() if len(self.nets) == 1 else None

    def forward(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        displacement, logit, first = torch.zeros(()), torch.zeros(()), 0
        after: list[Tensor] = []
        for net, share, heard in zip(self.nets, self.shares, self.speech_shares, strict=True):
            count = len(net.initial_state())
            coefficients, own, past = net.coefficients(mel, state[first : first + count])
            displacement = displacement + share * net.displacement(coefficients)
            logit, first, after = logit + heard * own, first + count, [*after, *past]
        return displacement, torch.sigmoid(logit), after


class Delayed(GivesMotion):
    """A net that waits ``frames`` longer than it must, to join others that look farther ahead."""

    def __init__(self, net: GivesMotion, frames: int) -> None:
        super().__init__()
        self.net, self.frames = net, frames
        self.shape, self.look_ahead = net.shape, net.look_ahead + frames

    def initial_state(self, batch: int = 1) -> list[Tensor]:
        """The net's own, and its last results."""
        return [*self.net.initial_state(batch), torch.zeros(batch, self.frames, self.shape.components + 1)]

    def displacement(self, coefficients: Tensor) -> Tensor:
        return self.net.displacement(coefficients)

    def coefficients(self, mel: Tensor, state: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        found, logit, after = self.net.coefficients(mel, state[:-1])
        waiting = torch.cat([state[-1], torch.cat([found, logit[..., None]], 2)], 1)
        given = waiting[:, : -self.frames]
        return given[..., :-1], given[..., -1], [*after, waiting[:, -self.frames :]]


def load_motion(path: Path) -> MotionNet:
    """The direct net of a run (see :func:`located`)."""
    tensors, shape = read_net(located(path, "direct"))
    return ready(MotionNet(shaped(Shape, shape)), tensors)


def shipped(nets: list[GivesMotion], shares: list[float], speech: list[float] | None = None) -> dict[int, GivesMotion]:
    """By look-ahead in frames: the mean of all nets that need look no farther ahead."""
    found: dict[int, GivesMotion] = {}
    for frames in sorted({ahead for net in nets for ahead in look_aheads_of(net)}):
        able = [
            (at, share, heard)
            for net, share, heard in zip(nets, shares, speech or shares, strict=True)
            if (share or heard) and (at := waiting(net, frames)) is not None
        ]
        if able and sum(heard for *_, heard in able) > 0:
            found[frames] = Mean(*map(list, zip(*able, strict=True))).eval()
    return found


def waiting(net: GivesMotion, frames: int) -> GivesMotion | None:
    """``net`` as far ahead as ``frames``, if need be by waiting; None where it looks farther."""
    nearer = [ahead for ahead in look_aheads_of(net) if ahead <= frames]
    if not nearer:
        return None
    at = net.ahead(max(nearer)) if isinstance(net, VoiceNet) else net
    return at if max(nearer) == frames else Delayed(at, frames - max(nearer))


def look_aheads_of(net: GivesMotion) -> tuple[int, ...]:
    return net.shape.look_aheads if isinstance(net, VoiceNet) else (net.look_ahead,)
