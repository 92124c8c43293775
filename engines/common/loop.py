"""A training loop: AdamW, warm-up and cosine, gradient clipping, averaged weights, checkpoints that resume exactly.

Checkpoints are ``.safetensors``; nothing is pickled. The random numbers of a step depend on the seed, the step and the
process alone, so that a resumed run goes on as the unbroken one would. With several processes each draws its own
batches and the gradients are averaged; the first one measures, logs and saves.
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
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from pydantic import ConfigDict
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engines.common.distributed import DistributedContext

Losses = dict[str, Tensor]
Draw = Callable[[nn.Module, np.random.Generator], Losses]
Check = Callable[[nn.Module], dict[str, float]]

CHECKPOINT, BEST, LOG = "checkpoint.safetensors", "best.safetensors", "log.jsonl"


@dataclass(frozen=True)
class Plan:
    """How long and how fast to train."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    steps: int = 6000
    seed: int = 1
    rate: float = 2e-3
    warm_up: int = 200
    decay: Literal["cosine", "epochs", "root", "none"] = "cosine"  # of the rate, behind the warm-up
    epoch: int = 30  # steps, after each of which "epochs" takes a hundredth of the rate away
    weight_decay: float = 0.02
    betas: tuple[float, float] = (0.9, 0.999)  # of Adam's means
    clip: float = 1.0
    average: float = 0.998  # decay of the averaged weights
    check_every: int = 500  # steps between validations and checkpoints
    keep: Literal["last", "best"] = "last"  # the averaged weights of the last step, or those with the best score
    patience: int = 0  # validations without a better score before the end; 0 = all steps
    minutes: float = 0.0  # of training, at most, however many runs it took; 0 = all steps

    def rate_at(self, step: int, seconds: float = 0.0) -> float:
        """Learning rate of a step: a line up, then half a cosine down to a hundredth, or as ``decay`` says.

        ``seconds``: how long was trained; where ``minutes`` is the nearer end, the cosine leads there.
        """
        if step < self.warm_up:
            return self.rate * (step + 1) / self.warm_up
        if self.decay == "none":
            return self.rate
        if self.decay == "root":
            return float(self.rate * math.sqrt(max(1, self.warm_up) / (step + 1)))
        if self.decay == "epochs":
            return float(self.rate * 0.99 ** (step // self.epoch))
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        if self.minutes:
            done = max(done, seconds / (60 * self.minutes))
        return self.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Watch(Protocol):
    """Sees what a run does, on the first process."""

    def row(self, step: int, values: Mapping[str, float]) -> None:
        """Mean losses since the last row, and what the validation gave."""

    def net(self, step: int, net: nn.Module) -> None:
        """The averaged net after a validation."""


class _Losses(nn.Module):
    """The losses of a net as a forward pass: what DistributedDataParallel wants to wrap."""

    def __init__(self, net: nn.Module, losses: Draw) -> None:
        super().__init__()
        self.net, self._losses = net, losses

    def forward(self, rng: np.random.Generator) -> Losses:
        return self._losses(self.net, rng)


class Trainer:
    """Trains ``net`` on ``losses(net, rng)``; ``average`` holds the averaged copy that is measured and exported.

    ``score`` names the value of the validation that should rise; without it nothing is kept as best.
    """

    def __init__(
        self,
        net: nn.Module,
        plan: Plan,
        out: Path,
        context: DistributedContext | None = None,
        score: str | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.context = context or DistributedContext()
        self.net, self.plan, self.out = net.to(self.context.device), plan, out
        self._score, self._watch = score, watch
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(
            self.net.parameters(), lr=plan.rate, betas=plan.betas, weight_decay=plan.weight_decay
        )
        self._scaler = self.context.scaler()
        self.step = 0
        self.best: float | None = None
        self.since_best = 0  # validations
        self.seconds = 0.0  # trained, of this run and those before it
        out.mkdir(parents=True, exist_ok=True)

    @property
    def ended(self) -> bool:
        """All steps are done, the time is over, or the score has stopped to rise."""
        if 0 < self.plan.minutes <= self.seconds / 60:
            return True
        return self.step >= self.plan.steps or 0 < self.plan.patience <= self.since_best

    def run(self, losses: Draw, check: Check, until: int | None = None) -> None:
        """Train up to ``until`` (default: the plan's last step), logging, checking and saving on the way."""
        last = self.plan.steps if until is None else until
        module = self.context.wrap(_Losses(self.net, losses))
        started = time.monotonic()
        sums: dict[str, float] = {}
        first = self.step
        while self.step < last and not self.ended:
            began = time.monotonic()
            for name, value in self._advance(module).items():
                sums[name] = sums.get(name, 0.0) + value
            self.seconds += time.monotonic() - began
            if self.plan.minutes:  # all processes end together
                self.seconds = self.context.broadcast(round(1000 * self.seconds)) / 1000
            if self.step % self.plan.check_every == 0 or self.step == last or self.ended:
                means = {name: round(total / (self.step - first), 5) for name, total in sums.items()}
                self._checkpoint(means, check, round(time.monotonic() - started))
                sums, first = {}, self.step

    def _advance(self, module: nn.Module) -> dict[str, float]:
        seed, rank = self.plan.seed, self.context.rank
        torch.manual_seed(seed * 1_000_003 + self.step + rank * 7_368_787)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate_at(self.step, self.seconds)
        with self.context.autocast():
            parts = module(np.random.default_rng([seed, self.step, rank] if rank else [seed, self.step]))
            total = torch.stack(list(parts.values())).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        self._scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.net.parameters(), self.plan.clip)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self._average()
        self.step += 1
        return {name: float(value.detach()) for name, value in parts.items()}

    def _average(self) -> None:
        decay = min(self.plan.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, now in zip(self.average.parameters(), self.net.parameters(), strict=True):
                mean.lerp_(now, 1 - decay)
            for mean, now in zip(self.average.buffers(), self.net.buffers(), strict=True):
                mean.copy_(now)

    def _checkpoint(self, means: dict[str, float], check: Check, seconds: int) -> None:
        """Measure, log and save on the first process; the others wait to hear how it goes on."""
        if self.context.first:
            found = check(self.average)
            self._judge(found)
            self.log({**means, **found, "seconds": seconds})
            self.save()
            if self._watch is not None:
                self._watch.row(self.step, {**means, **found, "rate": self.plan.rate_at(self.step, self.seconds)})
                self._watch.net(self.step, self.average)
        self.since_best = self.context.broadcast(self.since_best)

    def _judge(self, found: Mapping[str, float]) -> None:
        if self._score is None:
            return
        score = found[self._score]
        if self.best is None or score > self.best:
            self.best, self.since_best = score, 0
            _write(self.out / BEST, dict(self.average.state_dict()), {"step": str(self.step), self._score: str(score)})
        else:
            self.since_best += 1

    def log(self, row: Mapping[str, object]) -> None:
        """One JSON line to ``log.jsonl`` and to the terminal."""
        if not self.context.first:
            return
        line = json.dumps({"step": self.step, **row})
        print(line, flush=True)
        with (self.out / LOG).open("a") as stream:
            stream.write(line + "\n")

    def save(self) -> None:
        """Weights, averaged weights and the optimizer's moments; whole or not at all."""
        tensors = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for index, moments in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{k}": torch.as_tensor(v) for k, v in moments.items()}
        state = {"step": self.step, "best": self.best, "since_best": self.since_best, "seconds": self.seconds}
        state["scaler"] = self._scaler.state_dict()
        _write(self.out / CHECKPOINT, tensors, {"state": json.dumps(state), "plan": json.dumps(asdict(self.plan))})

    def resume(self) -> bool:
        """Go on from the checkpoint in ``out``; False where there is none."""
        path = self.out / CHECKPOINT
        if not path.exists():
            return False
        tensors = load_file(path, device=str(self.context.device))
        self.net.load_state_dict(_under(tensors, "net."))
        self.average.load_state_dict(_under(tensors, "average."))
        moments: dict[int, dict[str, Tensor]] = {}
        for key, value in _under(tensors, "adam.").items():
            index, name = key.split(".")
            # AdamW counts its steps on the CPU.
            moments.setdefault(int(index), {})[name] = value.cpu() if name == "step" else value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": moments})
        with safe_open(str(path), framework="pt") as stored:
            state = json.loads(stored.metadata()["state"])
        self.step, self.best, self.since_best = state["step"], state["best"], state["since_best"]
        self.seconds = state.get("seconds", 0.0)
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
        return True

    def load_best(self) -> None:
        """Put the weights that scored best into ``average``, if any were kept."""
        path = self.out / BEST
        if path.exists():
            self.average.load_state_dict(load_file(path, device=str(self.context.device)))


def _write(path: Path, tensors: dict[str, Tensor], about: dict[str, str]) -> None:
    partial = path.with_suffix(".part")
    contiguous = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, partial, about)
    os.replace(partial, path)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
