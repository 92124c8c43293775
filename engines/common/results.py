"""What a stage hands on: one file of weights, and the shape of the net that they belong to."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from realtime_dub.errors import ConfigError

NET = "net.safetensors"
Shape = TypeVar("Shape")
Net = TypeVar("Net", bound=nn.Module)


def write_net(path: Path, net: nn.Module) -> None:
    """Write a net that has its ``shape``; the file appears whole or not at all."""
    tensors = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in net.state_dict().items()}
    partial = path.with_suffix(".part")
    save_file(tensors, partial, {"shape": json.dumps(asdict(net.shape))})
    os.replace(partial, path)


def read_net(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of a net's file, and its shape as plain values."""
    with safe_open(str(path), framework="pt") as stored:
        shape: dict[str, Any] = json.loads((stored.metadata() or {}).get("shape", "{}"))
    return load_file(path), shape


def shaped(kind: type[Shape], values: dict[str, Any]) -> Shape:
    """A shape of its plain values."""
    return TypeAdapter(kind).validate_python(values)


def ready(net: Net, tensors: dict[str, Tensor]) -> Net:
    """``net`` with these weights, for use alone."""
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def begun_from(net: nn.Module, path: Path, tensors: dict[str, Tensor], shape: object, but: Sequence[str] = ()) -> None:
    """Put the weights of an earlier net into a fresh one.

    Raises ConfigError where it has another ``shape``; it may lack what the fields ``but`` of the shape are for.
    """
    mine, other = asdict(net.shape), asdict(shape)  # type: ignore[call-overload]
    unlike = [f"{name} {other[name]}" for name in mine if other.get(name) != mine[name]]
    if wrong := [each for each in unlike if each not in {f"{name} 0" for name in but}]:
        what = f"{path}: its net has {', '.join(wrong)}"
        raise ConfigError("cannot begin with", what, "give the stage the same, or no start")
    net.load_state_dict(tensors, strict=not unlike)


def located(path: Path, *stages: str) -> Path:
    """The net's file at ``path``: that file, the one in that folder, or that of the first of ``stages`` which is there.

    Raises ConfigError where there is none.
    """
    tried = [path, path / NET, *(path / stage / NET for stage in stages)]
    for each in tried:
        if each.is_file():
            return each
    wanted = f" of stage {' or '.join(stages)}" if stages else ""
    raise ConfigError(f"no net{wanted} in", str(path), f"name a run's folder, or the {NET} in it")
