"""The command ``train-engine``: one way to train every engine, on one processor or several GPUs."""

from __future__ import annotations

import contextlib
import tempfile
import tomllib
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.multiprocessing
import typer
from pydantic import BaseModel, ConfigDict, Field

from engines.common import command
from engines.common import engine as engines
from engines.common.dataset import PARTS, Dataset
from engines.common.distributed import process_group
from engines.common.loop import CHECKPOINT, Plan, Trainer
from realtime_dub.config import build
from realtime_dub.errors import ConfigError

CONFIG = "config.json"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class RunConfig(BaseModel):
    """Everything that fixes a run beside its data; kept in the run's folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str  # of the engine
    data: Path
    plan: Plan = Plan()
    threads: int = Field(0, ge=0)  # of torch, per process; 0 = as many as there are cores
    engine: dict[str, Any] = {}  # as the engine's own Settings have it


@app.command()
def train_engine(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The engine: a folder in engines/.")],
    data: Annotated[Path, typer.Option(help="A folder made by prepare-dataset.")],
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/NAME without it.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with what shall differ from engines/NAME/config.toml.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in --out.")] = False,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs to use: all there are, without it; 0 = none.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that train together where no GPU does.")] = 1,
) -> None:
    """Train an engine and write its bundle to RUN/bundle."""
    folder = out or Path("runs") / name
    run = resolve_config(name, data, folder, config, resume)
    there = torch.cuda.device_count()
    wanted = there if gpus is None else gpus
    if wanted > there:
        raise ConfigError("cannot use", f"--gpus {wanted}: this machine has {there}", f"give --gpus {there}")
    launch(run, folder, wanted or processes, wanted > 0)


def resolve_config(name: str, data: Path, out: Path, config: Path | None, resume: bool) -> RunConfig:
    """The run's configuration, checked and written down. Raises UserError before anything is trained."""
    path = out / CONFIG
    if resume and path.exists():
        if config is not None:
            raise ConfigError("cannot change", f"{out} with --config", "a run that goes on keeps its configuration")
        return RunConfig.model_validate_json(path.read_text())
    if (out / CHECKPOINT).exists():
        raise ConfigError("there is a run in", str(out), "give --resume to go on with it, or another --out")
    values = _read(engines.default_config(engines.load(name).__name__.split(".")[1]))
    if config is not None:
        values = _merged(values, _read(config))
    run = build(RunConfig, **{**values, "name": name, "data": data})
    run = run.model_copy(update={"engine": build(engines.load(name).Settings, **run.engine).model_dump()})
    dataset = Dataset(data)
    for part in PARTS[:2]:
        dataset.part(part)
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(run.model_dump_json(indent=1) + "\n")
    return run


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("cannot read", f"{path}: {error}", "give a TOML file") from error


def _merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    tables = {key: _merged(values[key], others[key]) for key in others if isinstance(values.get(key), dict)}
    return {**values, **others, **tables}


def launch(run: RunConfig, out: Path, world: int, gpus: bool) -> None:
    """Train in this process, or in ``world`` new ones that work together."""
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"{folder}/meeting"
        if world == 1:
            train(0, 1, gpus, meeting, run, out)
        else:
            torch.multiprocessing.spawn(train, (world, gpus, meeting, run, out), nprocs=world)


def train(rank: int, world: int, gpus: bool, meeting: str, run: RunConfig, out: Path) -> None:
    """One process of a run, from its last checkpoint to the bundle."""
    if run.threads:
        torch.set_num_threads(run.threads)
    torch.manual_seed(run.plan.seed)
    module = engines.load(run.name)
    with process_group(rank, world, gpus, meeting) as context, contextlib.ExitStack() as stack:
        made: engines.Engine = module.make(module.Settings(**run.engine), Dataset(run.data), context, run.plan.seed)
        watch = None
        if context.first:
            from engines.common.watch import TensorBoard

            watch = stack.enter_context(TensorBoard(out / "tensorboard", made.samples))
        trainer = Trainer(made.network(), run.plan, out, context, made.score, watch)
        trainer.log({"resumed": trainer.resume(), "device": str(context.device), "processes": world})
        trainer.run(made.losses, made.check)
        if context.first:
            trainer.load_best()
            bundle = made.export(trainer.average.cpu(), out / "bundle")
            trainer.log({"best": trainer.best, "bundle": str(bundle)})


if __name__ == "__main__":
    command.train_engine()
