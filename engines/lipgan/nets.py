"""Nets of this room out of the files that stages hand on."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from engines.common.bundle_files import rounded
from engines.common.results import NET, read_net, ready, shaped
from engines.lipgan import slim
from engines.lipgan.fusing import fused
from engines.lipgan.network import Generator, Shape

OF_BOTH = "generator"  # in a file of the stage gan


def trained(folder: Path) -> nn.Module | None:
    """The net inside the bundle ``folder`` of a run, as it was exported; None where the run's net is not beside it."""
    path = folder.parent / NET
    if not path.is_file():
        return None
    tensors, values = read_net(path)
    if "heard" in values:
        return rounded(fused(ready(slim.SlimNet(shaped(slim.Shape, values)), tensors)))
    shape, own = of_generator(tensors, values)
    return ready(Generator(shape), own)


def of_generator(tensors: dict[str, Tensor], values: dict[str, object]) -> tuple[Shape, dict[str, Tensor]]:
    """Shape and weights of the generator, in a file of the generator alone or of both rivals."""
    if OF_BOTH not in values:
        return shaped(Shape, values), tensors
    prefix = f"{OF_BOTH}."
    own = {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
    return shaped(Shape, values[OF_BOTH]), own  # type: ignore[arg-type]
