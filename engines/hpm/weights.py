"""The weights in a published checkpoint: which of the two networks they are, and every shape compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.common.checkpoint import open_checkpoint
from engines.common.checkpoint.published import COUNTS, Published
from engines.hpm.network import Hpm
from engines.hpm.shapes import FILMS, LECTURES, Shape

HPM = Published("HPMDubbing's network", "give a checkpoint as it was published", before=("model.", "module."))
SCENE, SPEAKERS, EMOTIONS = "STB.Emo_attention.in_proj_weight", "speaker_emb.weight", "emotion_emb.weight"


def read_network(path: Path) -> Hpm:
    """The network with the file's weights, for use alone. Raises BundleError: what is missing, extra or different."""
    with open_checkpoint(path) as checkpoint:
        found = HPM.named(checkpoint.tensors)
        shape = shape_of(path, {name: tensor.shape for name, tensor in found.items()})
        net = Hpm(shape)
        check(path, net, {name: tensor.shape for name, tensor in found.items()})
        weights = {name: np.array(tensor.read(), np.float32) for name, tensor in found.items()}
    HPM.check_numbers(path, weights)
    net.load_state_dict({**_counts(net), **{name: torch.from_numpy(each) for name, each in weights.items()}})
    return net.eval().requires_grad_(False)


def shape_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Shape:
    """Films have a scene, lectures have none; how many speakers there were is read."""
    rows = {name: shapes[name][0] for name in (SPEAKERS, EMOTIONS) if len(shapes.get(name, ())) == 2}
    if len(rows) < 2 or not all(0 < count <= 100_000 for count in rows.values()):
        raise HPM.unlike(path, f"it has no {SPEAKERS} and {EMOTIONS}")
    kind = FILMS if SCENE in shapes else LECTURES
    return replace(kind, speakers=rows[SPEAKERS], emotion_rows=rows[EMOTIONS])


def check(path: Path, net: Hpm, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BundleError where this is not the network."""
    wanted = {name: tuple(each.shape) for name, each in net.state_dict().items() if not name.endswith(COUNTS)}
    HPM.compare(path, wanted, shapes)


def _counts(net: Hpm) -> dict[str, Tensor]:
    return {name: each for name, each in net.state_dict().items() if name.endswith(COUNTS)}
