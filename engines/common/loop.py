"""A training loop: AdamW, warm-up and cosine, gradient clipping, averaged weights, checkpoints that resume exactly.

Checkpoints are ``.safetensors``; nothing is pickled. The random numbers of a step depend on the seed
and the step alone, so that a resumed run goes on as the unbroken one would.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Losses = dict[str, Tensor]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    steps: int = 6000
    seed: int = 1
    rate: float = 2e-3
    warm_up: int = 200
    weight_decay: float = 0.02
    clip: float = 1.0
    average: float = 0.998  # decay of the averaged weights
    check_every: int = 500  # steps between validations and checkpoints

    def rate_at(self, step: int) -> float:
        """Learning rate of a step: a line up, then half a cosine down to a hundredth."""
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Trainer:
    """Trains ``net`` on ``losses(net, rng)``; ``average`` holds the averaged copy that is measured and exported."""

    def __init__(self, net: nn.Module, plan: Plan, out: Path) -> None:
        self.net, self.plan, self.out = net, plan, out
        self.average = copy.deepcopy(net).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
        self.step = 0
        out.mkdir(parents=True, exist_ok=True)

    def run(
        self,
        losses: Callable[[nn.Module, np.random.Generator], Losses],
        check: Callable[[nn.Module], dict[str, float]],
        until: int | None = None,
    ) -> None:
        """Train up to ``until`` (default: the plan's last step), logging, checking and saving on the way."""
        last = self.plan.steps if until is None else until
        started = time.monotonic()
        sums: dict[str, float] = {}
        first = self.step
        while self.step < last:
            values = self._advance(losses)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
            if self.step % self.plan.check_every == 0 or self.step == last:
                means = {name: round(total / (self.step - first), 5) for name, total in sums.items()}
                self.log({**means, **check(self.average), "seconds": round(time.monotonic() - started)})
                self.save()
                sums, first = {}, self.step

    def _advance(self, losses: Callable[[nn.Module, np.random.Generator], Losses]) -> dict[str, float]:
        torch.manual_seed(self.plan.seed * 1_000_003 + self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step)
        parts = losses(self.net, np.random.default_rng([self.plan.seed, self.step]))
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), self.plan.clip)
        self.optimizer.step()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    def _average(self) -> None:
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)

    def log(self, row: Mapping[str, object]) -> None:
        """One JSON line to ``log.jsonl`` and to the terminal."""
        line = json.dumps({"step": self.step, **row})
        print(line, flush=True)
        with (self.out / "log.jsonl").open("a") as stream:
            stream.write(line + "\n")

    def save(self) -> None:
        """Weights, averaged weights and the optimizer's moments; whole or not at all."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        partial = self.out / "checkpoint.part"
        contiguous = {k: v.detach().clone().contiguous() for k, v in tensors.items()}
        save_file(contiguous, partial, {"step": str(self.step), "plan": json.dumps(asdict(self.plan))})
        os.replace(partial, self.out / "checkpoint.safetensors")

    def resume(self) -> bool:
        """Go on from the checkpoint in ``out``; False where there is none."""
        path = self.out / "checkpoint.safetensors"
        if not path.exists():
            return False
        tensors = load_file(path)
        self.net.load_state_dict(_under(tensors, "net."))
        self.average.load_state_dict(_under(tensors, "average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "adam.").items():
            index, name = key.split(".")
            moments.setdefault(int(index), {})[name] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        self.step = _saved_step(path)
        return True


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def _saved_step(path: Path) -> int:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as stored:
        return int(stored.metadata()["step"])
