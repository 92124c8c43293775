"""The recurrent lips as a stage of ``train-engine``; and its nets for whoever compares them with bundles."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from engines.common.engine import Stage
from engines.common.results import NET, read_net, ready, shaped
from engines.own_texture import stage
from engines.own_texture.export import Flat
from engines.own_texture.network import LipNet, Shape

STAGES = {"lips": Stage(stage.Settings, stage.LipsEngine, filmed=True)}


def trained(folder: Path) -> nn.Module | None:
    """The net inside the bundle ``folder`` of a run, as it was exported; None where the run's net is not beside it."""
    path = folder.parent / NET
    if not path.is_file():
        return None
    tensors, values = read_net(path)
    return Flat(ready(LipNet(shaped(Shape, values)), tensors)).eval()
