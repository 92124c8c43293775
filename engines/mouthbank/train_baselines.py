"""Train the nets that ours is compared with, all in the same way: same clips, basis, loss, loop, seed and steps.

``python -m engines.mouthbank.train_baselines direct plain window recurrent --data CLIPS --cache LANDMARKS --offsets O``

``direct`` is mouthbank's direct net, which is ours without the speech net; ``plain`` the same net that hears s1's voice
alone, neither disturbed nor at other speeds than his own; ``window`` and ``recurrent`` are those of ``baselines.py``.
Each gets a folder under ``--out`` with its log and its bundle. A run that was broken off goes on from its last
checkpoint.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from engines.common.augment import mild, vary
from engines.common.grid import Clip
from engines.common.loop import Draw, Losses, Plan, Trainer
from engines.mouthbank.align import aligned
from engines.mouthbank.baselines import Baseline, RecurrentNet, RecurrentShape, WindowNet, WindowShape, parameters
from engines.mouthbank.data import Batches, MotionLoss, make_basis
from engines.mouthbank.export import export_bundle
from engines.mouthbank.network import LOOK_AHEAD, MotionNet, Shape
from engines.mouthbank.train import fitted, load_split, validate
from realtime_dub.audio.frontends.logmel import LogMelSpec

Net = MotionNet | Baseline
NETS: dict[str, Callable[[], Net]] = {
    "direct": lambda: MotionNet(Shape()),
    "plain": lambda: MotionNet(Shape()),
    "window": lambda: WindowNet(WindowShape()),
    "recurrent": lambda: RecurrentNet(RecurrentShape()),
}
UNDISTURBED = {"plain"}
ROWS, FRAMES = 16, 260  # of a batch
WINDOWS, STEP = 6, 4  # windows of a row and the frames between them: 96 a batch, as LipGAN's
Rows = tuple[Tensor, Tensor, Tensor]


def window_loss(net: WindowNet, loss: MotionLoss, rows: Rows, rng: np.random.Generator) -> Losses:
    """The loss at a few frames of each row, because each costs a window."""
    mel, target, speech = rows
    last = mel.shape[1] - (WINDOWS - 1) * STEP
    first = torch.from_numpy(rng.integers(LOOK_AHEAD, last, (len(mel), 1)))
    ends = first + STEP * torch.arange(WINDOWS)
    found, logit = net.strided_forward(mel, ends)
    at = torch.arange(len(mel))[:, None], ends - LOOK_AHEAD
    return loss.compare(found, logit, target[at], speech[at], span=4 // STEP)


def losses_of(batches: Batches, loss: MotionLoss) -> Draw:
    """What the loop asks for: the losses of a net on a batch."""

    def losses(net: nn.Module, rng: np.random.Generator) -> Losses:
        drawn = batches.draw(rng)
        if isinstance(net, WindowNet):
            return window_loss(net, loss, drawn, rng)
        assert isinstance(net, MotionNet | Baseline)
        return loss(net, *drawn)

    return losses


def train_one(
    name: str, clips: dict[str, list[Clip]], out: Path, plan: Plan, make: Callable[[], Net] | None = None,
    rows: int = ROWS, frames: int = FRAMES,
) -> Trainer:  # fmt: skip
    """One net from aligned clips to its bundle in ``out``; ``make`` gives another size than the table's."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    spec, fresh = LogMelSpec(), (make or NETS[name])()
    basis = make_basis(np.concatenate([clip.motion for clip in clips["train"]]), fresh.shape.components)
    augmentation, own_every = (vary, 1) if name in UNDISTURBED else (mild, 2)
    batches = Batches(clips["train"], basis, spec, rows, frames, plan.seed, augmentation, own_every)
    trainer = Trainer(fitted(fresh, basis, batches), plan, out)
    amount = {part: len(found) for part, found in clips.items()}
    trainer.log({"net": name, "parameters": parameters(fresh), "resumed": trainer.resume(), "clips": amount})
    started = time.process_time()
    trainer.run(losses_of(batches, MotionLoss(basis)), lambda net: validate(net, clips["validation"], spec))
    trainer.log({"net": name, "cpu_seconds": round(time.process_time() - started)})
    export_bundle(trainer.average, spec, out / "bundle")
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the nets that mouthbank's are compared with.")
    parser.add_argument("nets", nargs="+", choices=tuple(NETS))
    parser.add_argument("--data", type=Path, required=True, help="folder of talking clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder with their landmarks")
    parser.add_argument("--offsets", type=Path, help="offsets.json of a run of engines.mouthbank.train")
    parser.add_argument("--out", type=Path, default=Path("runs/baselines"))
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--seed", type=int, default=Plan.seed)
    arguments = parser.parse_args()
    clips = load_split(arguments.data, arguments.cache)
    offsets = json.loads(arguments.offsets.read_text()) if arguments.offsets else {}
    clips["train"] = aligned(clips["train"], offsets)
    plan = Plan(steps=arguments.steps, seed=arguments.seed)
    for name in arguments.nets:
        out = arguments.out / name
        out.mkdir(parents=True, exist_ok=True)
        (out / "command.json").write_text(json.dumps(sys.argv[1:]) + "\n")
        train_one(name, clips, out, plan)


if __name__ == "__main__":
    main()
