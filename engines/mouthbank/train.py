"""Train the motion net and write its bundle.

``python -m engines.mouthbank.train --data CLIPS --cache LANDMARKS --out runs/mouthbank``

CLIPS holds talking clips and, beside it, ``CLIPS.words.tsv``; landmarks are extracted into LANDMARKS first where they
are missing. A run that was broken off goes on from its last checkpoint. The bundle is in ``OUT/bundle``.

After ``--align-at`` steps the net itself measures by how much each training clip's picture is off its sound, and the
rest of the run uses clips put right (see ``align.py``). Validation and test stay as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from engines.common.grid import Clip, load_clip, make_example, read_words, split
from engines.common.landmarks import clips_in, extract_all
from engines.common.loop import Losses, Plan, Trainer
from engines.common.metrics import lagged_correlation, lip_distance, openings
from engines.common.rates import places
from engines.mouthbank.align import aligned, find_offsets
from engines.mouthbank.data import Basis, Batches, MotionLoss, make_basis
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import GivesMotion, MotionNet, Shape
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

ALIGN_AT = 1200  # steps
Net = TypeVar("Net", bound=GivesMotion)


def load_split(data: Path, cache: Path) -> dict[str, list[Clip]]:
    """Training and validation clips; the test clips are not even read."""
    words = read_words(data.with_name(f"{data.name}.words.tsv"))
    names = split([path.stem for path in clips_in(data)])
    loaded = {
        part: [load_clip(cache / f"{name}.npz", words.get(name)) for name in names[part]]
        for part in ("train", "validation")
    }
    return {part: [clip for clip in clips if clip is not None] for part, clips in loaded.items()}


def fitted(net: Net, basis: Basis, batches: Batches) -> Net:
    """``net`` with basis and band statistics of the training clips in it."""
    mel = batches.all_mel()
    net.basis.copy_(torch.from_numpy(basis.components))
    net.band_mean.copy_(torch.from_numpy(mel.mean(0)))
    net.band_scale.copy_(torch.from_numpy(mel.std(0) + 0.1))
    return net


def build_net(basis: Basis, batches: Batches, shape: Shape) -> MotionNet:
    """A fresh net with basis and band statistics of the training clips in it."""
    return fitted(MotionNet(shape), basis, batches)


def validate(net: GivesMotion, clips: list[Clip], spec: LogMelSpec) -> dict[str, float]:
    """r of the lip opening, lip distance and accuracy of speech at the video's frames."""
    pairs, distances, right = [], [], []
    late = net.look_ahead
    front_end = LogMel(spec)
    for clip in clips:
        example = make_example(clip, spec)
        mel = torch.from_numpy(front_end.compress(example.power))[None]
        with torch.no_grad():
            displacement, speech, _ = net(mel, net.initial_state())
        right.append((speech[0, late:].numpy() > 0.5) == (example.speech[: len(example.speech) - late] > 0.5))
        at = places(len(clip.motion), clip.fps, spec.rate / spec.hop) + late
        at = at[at < len(example.power)]
        found, real = displacement[0, at].numpy(), clip.motion[: len(at)]
        pairs.append((openings(found, clip.neutral), openings(real, clip.neutral)))
        distances.append(lip_distance(found, real))
    return {
        "r": round(lagged_correlation(pairs, 0), 4),
        "distance": round(float(np.concatenate(distances).mean()), 5),
        "speech_accuracy": round(float(np.concatenate(right).mean()), 4),
    }


def train(
    data: Path,
    cache: Path,
    out: Path,
    plan: Plan,
    shape: Shape,
    batch: int = 16,
    frames: int = 260,
    align_at: int = ALIGN_AT,
    until: int | None = None,
) -> Trainer:
    """A whole run from clips to bundle, or as far as step ``until``."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    spec = LogMelSpec(bands=shape.bands)
    clips = load_split(data, cache)
    basis = make_basis(np.concatenate([clip.motion for clip in clips["train"]]), shape.components)
    loss = MotionLoss(basis)
    offsets = out / "offsets.json"

    def make_batches() -> Batches:
        found = json.loads(offsets.read_text()) if offsets.exists() else {}
        return Batches(aligned(clips["train"], found), basis, spec, batch, frames, plan.seed)

    def losses(net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, MotionNet)
        return loss(net, *batches.draw(rng))

    def check(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, MotionNet)
        return validate(net, clips["validation"], spec)

    batches = make_batches()
    trainer = Trainer(build_net(basis, batches, shape), plan, out)
    last = plan.steps if until is None else until
    resumed = trainer.resume()
    amount = {part: len(found) for part, found in clips.items()}
    trainer.log({"resumed": resumed, "clips": amount, "explained": basis.explained})
    assert isinstance(trainer.average, MotionNet)
    if not offsets.exists():
        trainer.run(losses, check, min(align_at, last))
    if not offsets.exists() and trainer.step >= align_at:
        offsets.write_text(json.dumps(find_offsets(trainer.average, clips["train"], spec), indent=0))
        batches = make_batches()
    trainer.run(losses, check, last)
    export_bundle(trainer.average, spec, out / "bundle")
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train mouthbank's motion net.")
    parser.add_argument("--data", type=Path, required=True, help="folder of talking clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder for their landmarks")
    parser.add_argument("--out", type=Path, default=Path("runs/mouthbank"))
    parser.add_argument("--workers", type=int, default=1, help="processes that extract landmarks")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--align-at", type=int, default=ALIGN_AT, help="step after which clips are put right")
    parser.add_argument("--width", type=int, default=Shape.width)
    arguments = parser.parse_args()
    extract_all(arguments.data, arguments.cache, arguments.workers)
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "command.json").write_text(json.dumps(sys.argv[1:]) + "\n")
    shape = Shape(width=arguments.width)
    train(arguments.data, arguments.cache, arguments.out, plan, shape, align_at=arguments.align_at)


if __name__ == "__main__":
    main()
