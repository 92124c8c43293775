"""What an engine brings to ``train-engine``. A new one is a folder beside this one: ``engine.py``, ``config.toml``.

``engine.py`` has ``STAGES``: by name, in the order in which they are made, what is trained or joined. A stage hands its
net on as a file, ``RUN/STAGE/net.safetensors``; those that build on it ask for it by name. ``config.toml`` has a table
for each stage: ``[STAGE.plan]`` (see ``loop.Plan``) and ``[STAGE.engine]`` (the stage's own settings).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from torch import nn

from engines.common import Array
from engines.common.dataset import Dataset
from engines.common.distributed import DistributedContext
from engines.common.loop import Losses
from realtime_dub.errors import BundleError, ConfigError

FOLDER = Path(__file__).parent.parent


@dataclass(frozen=True, eq=False)
class Samples:
    """What a validation shows of a net, by name."""

    curves: dict[str, dict[str, Array]] = field(default_factory=dict)  # several (n,) in one plot
    pictures: dict[str, Array] = field(default_factory=dict)  # (H, W, 3) RGB, 0..255
    sounds: dict[str, tuple[Array, int]] = field(default_factory=dict)  # (n,) in -1..1, rate


@dataclass(frozen=True)
class Work:
    """What a stage is made of."""

    dataset: Dataset
    context: DistributedContext
    seed: int
    out: Path  # the stage's own folder
    results: Mapping[str, Path]  # by stage, the files of the nets that it needs


class Engine:
    """A net, what it learns from, how good it is, and how it becomes a bundle."""

    score: str | None = None  # the value of ``check`` that should rise
    turns: tuple[int, ...] = ()  # steps before which :meth:`turn` is called

    def network(self) -> nn.Module:
        """A fresh net, the same for the same seed. It has its ``shape``, a dataclass."""
        raise NotImplementedError

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        """The parts of the loss for one batch drawn with ``rng``; their sum is minimised.

        Every parameter has a share in it, or several processes would wait for each other's gradients for ever.
        """
        raise NotImplementedError

    def check(self, net: nn.Module) -> dict[str, float]:
        """Figures on the validation tracks, whose speakers the training does not know."""
        return {}

    def turn(self, step: int, net: nn.Module, average: nn.Module) -> None:
        """What changes at one of ``turns``; called again by a run that goes on from a later step."""

    def samples(self, net: nn.Module) -> Samples:
        """A few validation tracks to look at and to listen to."""
        return Samples()

    def amounts(self) -> dict[str, object]:
        """What it learns from, for the log."""
        return {}

    def export(self, net: nn.Module, out: Path) -> Path | None:
        """Write a bundle into the stage's folder ``out`` where the net alone makes one; returns it."""
        return None


class Join:
    """A stage that trains nothing."""

    def join(self, out: Path) -> list[Path]:
        """Write what is made of earlier nets into the run's folder ``out``; returns it."""
        raise NotImplementedError


@dataclass(frozen=True)
class Stage:
    """One step on the way to a bundle."""

    settings: type[BaseModel]
    make: Callable[[Any, Work], Engine | Join]
    needs: tuple[str, ...] = ()  # stages that come before
    filmed: bool = False  # learns from tracks with a face
    spoken: bool = False  # learns from tracks with phonemes
    trains: bool = True
    extra: bool = False  # made only when it is asked for by name
    home: str = ""  # the engine whose stage it is, if that is another one; filled in by :func:`stages_of`


def borrowed(engine: str) -> Stage:
    """The stage of engine ``engine`` that has the engine's name: rooms do not know each other but by it."""
    stage: Stage = load(engine).STAGES[engine]
    return Stage(**{**vars(stage), "home": engine})


def names() -> list[str]:
    """The engines that can be trained."""
    folders = {path.parent.name for path in FOLDER.glob("*/engine.py")} - {"common"}
    return sorted(name.replace("_", "-") for name in folders)


def load(name: str) -> Any:
    """The module of engine ``name``. Raises BundleError for a name that is none."""
    if name not in names():
        raise BundleError("unknown engine", repr(name), f"choose one of {', '.join(names())}")
    return import_module(f"engines.{folder_of(name).name}.engine")


def stages_of(name: str) -> dict[str, Stage]:
    """The stages of engine ``name`` in their order."""
    found: dict[str, Stage] = load(name).STAGES
    return found


def dataset_of(name: str, layout: str | None, roots: Sequence[Path]) -> Dataset:
    """What engine ``name`` learns from: folders of prepare-dataset, or of another ``layout`` that it reads itself.

    Raises ConfigError for an unknown layout, UserError for folders of another one.
    """
    layouts: dict[str, Callable[..., Dataset]] = getattr(load(name), "LAYOUTS", {})
    if layout is None:
        return Dataset(*roots)
    if layout not in layouts:
        do = f"choose one of {', '.join(layouts)}" if layouts else "leave it out: it reads folders of prepare-dataset"
        raise ConfigError("cannot use --layout", f"{layout} with {name}", do)
    return layouts[layout](*roots)


def chosen(name: str, stage: str | None) -> list[str]:
    """The stages to make: all but extras, or the one that is asked for. Raises ConfigError for an unknown one."""
    stages = stages_of(name)
    if stage is None:
        return [each for each, about in stages.items() if not about.extra]
    if stage not in stages:
        raise ConfigError("unknown stage", f"{stage!r} of {name}", f"choose one of {', '.join(stages)}")
    return [stage]


def folder_of(name: str) -> Path:
    """The folder of engine ``name``: modules have no hyphens in their names."""
    return FOLDER / name.replace("-", "_")


def default_config(name: str) -> Path:
    return folder_of(name) / "config.toml"
