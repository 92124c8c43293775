"""The command ``train-engine``: one way to train every engine, on one processor or several GPUs."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from engines.common import command
from engines.common import engine as engines
from engines.common.dataset import INDEX
from engines.common.runs import RunConfig, begun, check, done, launch
from realtime_dub.config import build
from realtime_dub.errors import ConfigError

CONFIG, FILM = "config.json", "film"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def train_engine(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The engine: a folder in engines/.")],
    data: Annotated[
        list[Path] | None, typer.Option(help="A folder made by prepare-dataset; several, one option each.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="How the folders lie, for an engine that reads others than prepare-dataset's.")
    ] = None,
    video: Annotated[
        Path | None, typer.Option(help="In place of --data, for an engine that learns one person: a film of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The run's folder; runs/NAME without it.")] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with what shall differ from engines/NAME/config.toml.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Make this stage alone; without it all, in their order.")] = None,
    given: Annotated[
        list[str] | None, typer.Option(metavar="STAGE=RUN", help="Take a stage's net from another run.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in --out.")] = False,
    gpus: Annotated[int | None, typer.Option(min=0, help="GPUs to use: all there are, without it; 0 = none.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Processes that train together where no GPU does.")] = 1,
) -> None:
    """Train an engine, stage by stage, and write its bundles to RUN/bundle."""
    folder = out or Path("runs") / name
    there = torch.cuda.device_count()
    wanted = there if gpus is None else gpus
    if wanted > there:
        raise ConfigError("cannot use", f"--gpus {wanted}: this machine has {there}", f"give --gpus {there}")
    nets = _given(name, given or [])
    cut_up = folder / str(getattr(engines.load(name), "FILM", FILM))
    if video is not None:
        data = [_film(name, video, data or [], cut_up)]
    elif resume and not data and (cut_up / INDEX).exists():
        data = [cut_up]  # the run's own film, wherever its folder was moved to
    run, todo = resolve(name, data or [], folder, config, stage, nets, resume, layout)
    if not todo:
        typer.echo(f"there is nothing left to do in {folder}")
    launch(run, folder, todo, wanted or processes, wanted > 0)


def _film(name: str, video: Path, data: list[Path], folder: Path) -> Path:
    """The data set that an engine makes of a film. Raises ConfigError where it learns from no film alone."""
    of_film = getattr(engines.load(name), "of_film", None)
    if of_film is None:
        raise ConfigError("cannot use --video with", name, "give --data, a folder made by prepare-dataset")
    if data:
        raise ConfigError("cannot use --video with", f"--data {data[0]}", "give one of them")
    made: Path = of_film(video, folder)
    return made


def resolve(
    name: str,
    data: list[Path],
    out: Path,
    config: Path | None = None,
    stage: str | None = None,
    given: dict[str, Path] | None = None,
    resume: bool = False,
    layout: str | None = None,
) -> tuple[RunConfig, list[str]]:
    """The run's configuration, checked and written down, and the stages to make.

    Raises UserError before anything is trained.
    """
    todo = engines.chosen(name, stage)
    kept = out / CONFIG
    nets = given or {}
    goes_on = kept.exists() and (resume or any(begun(out, each) or done(out, each) for each in engines.stages_of(name)))
    run = _kept(kept, name, data, nets, config, layout) if goes_on else _fresh(name, data, nets, config, layout)
    todo = [each for each in todo if each not in run.given]
    if not resume and (found := [each for each in todo if begun(out, each) or done(out, each)]):
        way = "give --resume to go on with it, or another --out"
        raise ConfigError("there is a run in", f"{out} ({', '.join(found)})", way)
    todo = [each for each in todo if not done(out, each)]
    check(run, out, todo)
    out.mkdir(parents=True, exist_ok=True)
    kept.write_text(run.model_dump_json(indent=1) + "\n")
    return run, todo


def _kept(
    path: Path, name: str, data: list[Path], given: dict[str, Path], config: Path | None, layout: str | None
) -> RunConfig:
    """The configuration of a run that goes on; its data may have moved."""
    if config is not None:
        raise ConfigError("cannot change", f"{path.parent} with --config", "a run that goes on keeps its configuration")
    run = RunConfig.model_validate_json(path.read_text())
    if run.name != name:
        raise ConfigError("cannot train", f"{name} in {path.parent}: it has a run of {run.name}", "give another --out")
    if layout not in (None, run.layout):
        what = f"{path.parent} with --layout {layout}"
        raise ConfigError("cannot change", what, f"a run that goes on keeps its layout, {run.layout}")
    return run.model_copy(update={"data": tuple(data) or run.data, "given": run.given | given})


def _fresh(name: str, data: list[Path], given: dict[str, Path], config: Path | None, layout: str | None) -> RunConfig:
    """A run's configuration: the engines' own, and over it that of the file ``config``."""
    if not data:
        raise ConfigError("no data:", "--data is missing", "name a folder made by prepare-dataset")
    values = defaults(name)
    if config is not None:
        values = _merged(values, _read(config))
    stages = engines.stages_of(name)
    about = {key: values.pop(key) for key in ("threads",) if key in values}
    if unknown := [key for key in values if key not in stages]:
        raise ConfigError("unknown stage", f"{unknown[0]!r} of {name}", f"choose one of {', '.join(stages)}")
    found = {each: values.get(each, {}) for each in stages}
    run = build(RunConfig, **about, name=name, data=data, layout=layout, given=given, stages=found)
    checked = {
        each: conf.model_copy(update={"engine": _settings(stages[each].settings, conf.engine)})
        for each, conf in run.stages.items()
    }
    return run.model_copy(update={"stages": checked})


def _settings(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    resolved: dict[str, Any] = json.loads(build(kind, **values).model_dump_json())
    return resolved


def defaults(name: str) -> dict[str, Any]:
    """What ``engines/NAME/config.toml`` says, over what borrowed stages have at home."""
    values: dict[str, Any] = {}
    for stage, about in engines.stages_of(name).items():
        if about.home:
            values[stage] = _read(engines.default_config(about.home)).get(stage, {})
    return _merged(values, _read(engines.default_config(name)))


def _given(name: str, options: list[str]) -> dict[str, Path]:
    """The nets of ``STAGE=RUN``. Raises ConfigError for what is not of that form."""
    nets = {}
    for text in options:
        stage, equals, path = text.partition("=")
        if not equals or not path:
            raise ConfigError("cannot use --given", repr(text), "give STAGE=RUN, such as speech=runs/speech")
        nets[engines.chosen(name, stage)[0]] = Path(path)
    return nets


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError("cannot read", f"{path}: {error}", "give a TOML file") from error


def _merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    tables = {key: _merged(values[key], others[key]) for key in others if isinstance(values.get(key), dict)}
    return {**values, **others, **tables}


if __name__ == "__main__":
    command.train_engine()
