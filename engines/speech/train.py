"""Train the speech net.

``python -m engines.speech.train --cache CACHE --out runs/speech [--steps N]``

CACHE is made by ``engines.speech.prepare``. A run that was broken off goes on from its last checkpoint; the averaged
weights in it are the net.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.common.loop import Losses, Plan, Trainer
from engines.speech.cache import read_index, usable
from engines.speech.data import AUGMENTATIONS, Speech
from engines.speech.evaluate import frame_figures, load_net, recognise
from engines.speech.inventory import INDEX, SIL, VISEMES
from engines.speech.network import LOOK_AHEAD, STRIDE, SpeechNet, SpeechShape
from realtime_dub.audio.frontends.logmel import LogMelSpec

CHECKED = 80  # held-out clips per validation
WARM_UP = 20  # outputs at a row's start that have no past to judge by
SMOOTHING = 0.05


def class_weights() -> Tensor:
    """Silence is plenty; lips that must touch count more."""
    weights = torch.ones(len(INDEX))
    weights[INDEX[SIL]] = 0.5
    for name in (*VISEMES["closed"], *VISEMES["lip on teeth"]):
        weights[INDEX[name]] = 1.5
    return weights


def phone_loss(logits: Tensor, labels: Tensor, weights: Tensor, stride: int = STRIDE) -> Tensor:
    """Cross entropy of logits (b, m, classes) at every ``stride``-th frame with labels (b, n), the delay taken off."""
    late = LOOK_AHEAD // stride
    spoken = labels[:, ::stride][:, : logits.shape[1] - late]
    found = logits[:, late:][:, WARM_UP:]
    return nn.functional.cross_entropy(
        found.transpose(1, 2), spoken[:, WARM_UP:], weight=weights, label_smoothing=SMOOTHING
    )


def build_net(speech: Speech, shape: SpeechShape) -> SpeechNet:
    """A fresh net with the bands' statistics in it."""
    net = SpeechNet(shape)
    mel = speech.mel()
    net.band_mean.copy_(torch.from_numpy(mel.mean(0)))
    net.band_scale.copy_(torch.from_numpy(mel.std(0) + 0.1))
    return net


def train(
    cache: Path,
    out: Path,
    plan: Plan,
    shape: SpeechShape,
    batch: int = 10,
    frames: int = 400,
    until: int | None = None,
    augmentation: str = "mild",
    start: Path | None = None,
) -> Trainer:
    """A whole run, or as far as step ``until``, on from the net of the run ``start`` if one is named."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    spec = LogMelSpec(bands=shape.bands)
    entries = usable(read_index(cache))
    speech = Speech(
        cache, [entry for entry in entries if entry.part == "train"], spec, plan.seed, AUGMENTATIONS[augmentation]
    )
    held = [entry for entry in entries if entry.part == "held"]
    held = [held[i] for i in np.linspace(0, len(held) - 1, min(CHECKED, len(held))).astype(int)]
    weights = class_weights()

    def losses(net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, SpeechNet)
        mel, labels = speech.draw(rng, batch, frames)
        return {"phone": phone_loss(net.strided_forward(mel), labels, weights)}

    def check(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, SpeechNet)
        return frame_figures(recognise(net, cache, held, spec))

    fresh = build_net(speech, shape)
    if start is not None:
        fresh.load_state_dict(load_net(start).state_dict())
    trainer = Trainer(fresh, plan, out)
    trainer.log({"resumed": trainer.resume(), "clips": len(entries), "held": len(held)})
    trainer.run(losses, check, until)
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the speech net.")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("runs/speech"))
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument(
        "--augmentation", choices=tuple(AUGMENTATIONS), default="strong", help="what is done to the sound"
    )
    parser.add_argument("--start", type=Path, help="an earlier run whose speech net to go on from")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate at its highest")
    parser.add_argument("--width", type=int, default=SpeechShape.width)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "command.json").write_text(json.dumps(sys.argv[1:]) + "\n")
    train(
        arguments.cache,
        arguments.out,
        Plan(steps=arguments.steps, seed=arguments.seed, rate=arguments.rate),
        SpeechShape(width=arguments.width),
        augmentation=arguments.augmentation,
        start=arguments.start,
    )


if __name__ == "__main__":
    main()
