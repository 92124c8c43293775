"""A run of ``train-engine``: what fixes it, and its stages one after another, each from where it was."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from pydantic import BaseModel, ConfigDict, Field

from engines.common import engine as engines
from engines.common.distributed import DistributedContext, process_group
from engines.common.engine import Engine, Join, Work
from engines.common.loop import CHECKPOINT, Plan, Trainer
from engines.common.results import NET, located, write_net
from realtime_dub.errors import ConfigError


class StageConfig(BaseModel):
    """What fixes one stage beside its data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan = Plan()
    engine: dict[str, Any] = {}  # as the stage's own Settings have it


class RunConfig(BaseModel):
    """Everything that fixes a run beside its data; kept in the run's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  # of the engine
    data: tuple[Path, ...]
    layout: str | None = None  # of the data, where it is not that of prepare-dataset
    given: dict[str, Path] = {}  # nets of stages that are not made here
    threads: int = Field(0, ge=0)  # of torch, per process; 0 = the processes share the cores
    stages: dict[str, StageConfig]


def begun(out: Path, stage: str) -> bool:
    return (out / stage / CHECKPOINT).exists()


def done(out: Path, stage: str) -> bool:
    return (out / stage / NET).exists()


def result(run: RunConfig, out: Path, stage: str) -> Path:
    """The net of a stage: the one given, else the one that this run has made. Raises ConfigError without one."""
    if stage in run.given:
        return located(run.given[stage], stage)
    if not done(out, stage):
        way = f"train it first: --stage {stage}, or give one: --given {stage}=RUN"
        raise ConfigError("there is no net of stage", f"{stage} in {out}", way)
    return out / stage / NET


def check(run: RunConfig, out: Path, todo: Sequence[str]) -> None:
    """Raise UserError where the stages ``todo`` lack data or the nets of earlier stages."""
    stages, dataset = engines.stages_of(run.name), engines.dataset_of(run.name, run.layout, run.data)
    for name in todo:
        for part in ("train", "validation"):
            if stages[name].filmed:
                dataset.part(part)
            if stages[name].spoken:
                dataset.spoken(part)
        for need in stages[name].needs:
            if need not in todo or need in run.given:
                result(run, out, need)


def launch(run: RunConfig, out: Path, todo: Sequence[str], world: int, gpus: bool) -> None:
    """Make the stages in this process, or in ``world`` new ones that work together."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"{folder}/meeting"
        if world == 1:
            work(0, 1, gpus, meeting, run, out, todo)
        else:
            torch.multiprocessing.spawn(work, (world, gpus, meeting, run, out, todo), nprocs=world)


def work(rank: int, world: int, gpus: bool, meeting: str, run: RunConfig, out: Path, todo: Sequence[str]) -> None:
    """One process of a run: the stages ``todo`` in their order."""
    if threads := run.threads or _share_of_cores(world):
        torch.set_num_threads(threads)
    stages, dataset = engines.stages_of(run.name), engines.dataset_of(run.name, run.layout, run.data)
    with process_group(rank, world, gpus, meeting) as context:
        for name in todo:
            config, stage = run.stages[name], stages[name]
            results = {need: result(run, out, need) for need in stage.needs}
            made = stage.make(
                stage.settings(**config.engine), Work(dataset, context, config.plan.seed, out / name, results)
            )
            if isinstance(made, Join):
                _join(made, out, context)
            else:
                train(made, config.plan, out / name, context)


def _share_of_cores(world: int) -> int:
    """Of each of several processes; more threads than cores wait for each other. 0 = leave it to torch."""
    return max(1, (os.cpu_count() or 1) // world) if world > 1 else 0


def _join(made: Join, out: Path, context: DistributedContext) -> None:
    if context.first:
        for path in made.join(out):
            print(f"bundle: {path}", flush=True)


def train(made: Engine, plan: Plan, out: Path, context: DistributedContext) -> Trainer:
    """One stage from its last checkpoint to the net that it hands on."""
    torch.manual_seed(plan.seed)
    with contextlib.ExitStack() as stack:
        watch = None
        if context.first:
            from engines.common.watch import TensorBoard

            watch = stack.enter_context(TensorBoard(out / "tensorboard", made.samples))
        score = made.score if plan.keep == "best" or plan.patience else None
        trainer = Trainer(made.network(), plan, out, context, score, watch)
        about = {"device": str(context.device), "processes": context.world, **made.amounts()}
        trainer.log({"stage": out.name, "resumed": trainer.resume(), **about})
        for step in made.turns:
            trainer.run(made.losses, made.check, min(step, plan.steps))
            if trainer.step >= step:
                made.turn(step, trainer.net, trainer.average)
        trainer.run(made.losses, made.check)
        if context.first:
            _finish(made, trainer, out)
        context.broadcast(0)  # the others wait for the file
    return trainer


def _finish(made: Engine, trainer: Trainer, out: Path) -> None:
    if trainer.best is not None and trainer.plan.keep == "best":
        trainer.load_best()
    average = trainer.average.cpu()
    bundle = made.export(average, out)
    write_net(out / NET, average)  # last: a stage that has it is done
    trainer.log({"best": trainer.best, "bundle": str(bundle) if bundle else None})
