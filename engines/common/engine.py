"""What an engine brings to ``train-engine``. A new one is a folder beside this one: ``engine.py``, ``config.toml``.

``engine.py`` has ``Settings``, a pydantic model of the engine's own options, and ``make(settings, dataset, context,
seed)`` that gives an :class:`Engine`. ``config.toml`` has the defaults: a table ``[plan]`` (see ``loop.Plan``) and a
table ``[engine]`` (the settings).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np
from torch import nn

from engines.common import Array
from engines.common.loop import Losses
from realtime_dub.errors import BundleError

FOLDER = Path(__file__).parent.parent


@dataclass(frozen=True, eq=False)
class Samples:
    """What a validation shows of a net, by name."""

    curves: dict[str, dict[str, Array]] = field(default_factory=dict)  # several (n,) in one plot
    pictures: dict[str, Array] = field(default_factory=dict)  # (H, W, 3) RGB, 0..255
    sounds: dict[str, tuple[Array, int]] = field(default_factory=dict)  # (n,) in -1..1, rate


class Engine(Protocol):
    """A net, what it learns from, how good it is, and how it becomes a bundle."""

    score: str  # the value of ``check`` that should rise

    def network(self) -> nn.Module:
        """A fresh net, the same for the same seed."""

    def losses(self, net: nn.Module, rng: np.random.Generator) -> Losses:
        """The parts of the loss for one batch drawn with ``rng``; their sum is minimised.

        Every parameter has a share in it, or several processes would wait for each other's gradients for ever.
        """

    def check(self, net: nn.Module) -> dict[str, float]:
        """Figures on the validation tracks, whose speakers the training does not know."""

    def samples(self, net: nn.Module) -> Samples:
        """A few validation tracks to look at and to listen to."""

    def export(self, net: nn.Module, out: Path) -> Path:
        """Write the bundle folder ``out``; returns it."""


def names() -> list[str]:
    """The engines that can be trained."""
    return sorted(path.parent.name for path in FOLDER.glob("*/engine.py") if path.parent.name != "common")


def load(name: str) -> ModuleType:
    """The module of engine ``name``. Raises BundleError for a name that is none."""
    if name not in names():
        raise BundleError("unknown engine", repr(name), f"choose one of {', '.join(names())}")
    return import_module(f"engines.{name}.engine")


def default_config(name: str) -> Path:
    return FOLDER / name / "config.toml"
