"""The mean of several motion nets as one net: each hears another part of a voice rightly.

``python -m engines.mouthbank.ensemble --net runs/mouthbank --voice runs/voice --speech CACHE --out engines/mouthbank``
writes the bundles that are shipped, one for each look-ahead.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from engines.mouthbank.export import export_bundle, rounded
from engines.mouthbank.network import LOOK_AHEAD, GivesMotion, MotionNet, Shape
from engines.mouthbank.train_voice import HEARD, described
from engines.mouthbank.voice_net import VoiceNet, VoiceShape
from engines.speech.cache import read_index, usable
from engines.speech.evaluate import averaged
from engines.speech.network import SpeechShape
from realtime_dub.audio.frontends.logmel import LogMelSpec

FRAME_MS = 10


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


def load_motion(run: Path) -> MotionNet:
    """The averaged net of a run of ``engines.mouthbank.train``."""
    tensors = averaged(run)
    net = MotionNet(Shape(width=tensors["leave.weight"].shape[0])).eval().requires_grad_(False)
    net.load_state_dict(tensors)
    return net


def load_voice(run: Path) -> VoiceNet:
    """The averaged net of a run of ``engines.mouthbank.train_voice``."""
    tensors = averaged(run)
    speech = SpeechShape(width=tensors["hear.enter.conv.weight"].shape[0])
    shape = VoiceShape(speech=speech, width=tensors["enter.conv.weight"].shape[0])
    net = VoiceNet(shape).eval().requires_grad_(False)
    net.load_state_dict(tensors)
    return net


def shipped(nets: list[GivesMotion], shares: list[float], speech: list[float] | None = None) -> dict[int, GivesMotion]:
    """By look-ahead in frames: the mean of all nets that need look no farther ahead."""
    found: dict[int, GivesMotion] = {}
    for frames in VoiceShape().look_aheads:
        able = [
            (at, share, heard)
            for net, share, heard in zip(nets, shares, speech or shares, strict=True)
            if (at := waiting(net, frames)) is not None
        ]
        if able and sum(heard for *_, heard in able) > 0:
            found[frames] = Mean(*map(list, zip(*able, strict=True))).eval()
    return found


def waiting(net: GivesMotion, frames: int) -> GivesMotion | None:
    """``net`` as far ahead as ``frames``, if need be by waiting; None where it looks farther."""
    own = net.shape.look_aheads if isinstance(net, VoiceNet) else (net.look_ahead,)
    nearer = [ahead for ahead in own if ahead <= frames]
    if not nearer:
        return None
    at = net.ahead(max(nearer)) if isinstance(net, VoiceNet) else net
    return at if max(nearer) == frames else Delayed(at, frames - max(nearer))


def main() -> None:
    parser = argparse.ArgumentParser(description="Join motion nets into the bundles that are shipped.")
    parser.add_argument("--net", type=Path, action="append", default=[], help="run of engines.mouthbank.train")
    parser.add_argument("--voice", type=Path, action="append", default=[], help="run of engines.mouthbank.train_voice")
    parser.add_argument("--share", type=float, action="append", help="of the motion, in the order of --net, --voice")
    parser.add_argument("--speech-share", type=float, action="append", help="of the logit of speech; else as of motion")
    parser.add_argument("--speech", type=Path, required=True, help="cache of engines.speech.prepare")
    parser.add_argument("--version", default="4.1.0")
    parser.add_argument("--look-ahead", type=int, action="append", help="ms; only these bundles, else all")
    parser.add_argument("--out", type=Path, required=True, help="folder for bundle and bundle-MS")
    arguments = parser.parse_args()
    nets: list[GivesMotion] = [*map(load_motion, arguments.net), *map(load_voice, arguments.voice)]
    data = described([e for e in usable(read_index(arguments.speech)) if e.corpus in HEARD and e.part == "train"])
    for frames, net in shipped(nets, arguments.share or [1.0] * len(nets), arguments.speech_share).items():
        if arguments.look_ahead and frames * FRAME_MS not in arguments.look_ahead:
            continue
        folder = arguments.out / ("bundle" if frames == LOOK_AHEAD else f"bundle-{frames * FRAME_MS}")
        export_bundle(rounded(net), LogMelSpec(), folder, arguments.version, data)


if __name__ == "__main__":
    main()
