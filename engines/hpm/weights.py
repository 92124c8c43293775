"""The weights in a published checkpoint: which of the two networks they are, and every shape compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engines.common.checkpoint import StoredTensor, open_checkpoint
from engines.hpm.network import Hpm
from engines.hpm.shapes import FILMS, LECTURES, Shape
from realtime_dub.errors import BundleError

BEFORE = ("model.", "module.")  # any of these, one after another
COUNTS = ".num_batches_tracked"  # of no use to a network that is trained
SCENE, SPEAKERS, EMOTIONS = "STB.Emo_attention.in_proj_weight", "speaker_emb.weight", "emotion_emb.weight"
SHOWN = 3  # names in a message


def read_network(path: Path) -> Hpm:
    """The network with the file's weights, for use alone. Raises BundleError: what is missing, extra or different."""
    with open_checkpoint(path) as checkpoint:
        found = _named(checkpoint.tensors)
        shape = shape_of(path, {name: tensor.shape for name, tensor in found.items()})
        net = Hpm(shape)
        check(path, net, {name: tensor.shape for name, tensor in found.items()})
        weights = {name: torch.tensor(tensor.read(), dtype=torch.float32) for name, tensor in found.items()}
    if odd := [name for name, each in weights.items() if not each.isfinite().all()]:
        raise unlike(path, f"{odd[0]} has numbers that are none")
    net.load_state_dict({**_counts(net), **weights})
    return net.eval().requires_grad_(False)


def shape_of(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Shape:
    """Films have a scene, lectures have none; how many speakers there were is read."""
    rows = {name: shapes[name][0] for name in (SPEAKERS, EMOTIONS) if len(shapes.get(name, ())) == 2}
    if len(rows) < 2 or not all(0 < count <= 100_000 for count in rows.values()):
        raise unlike(path, f"it has no {SPEAKERS} and {EMOTIONS}")
    kind = FILMS if SCENE in shapes else LECTURES
    return replace(kind, speakers=rows[SPEAKERS], emotion_rows=rows[EMOTIONS])


def check(path: Path, net: Hpm, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BundleError where this is not the network."""
    wanted = {name: tuple(each.shape) for name, each in net.state_dict().items() if not name.endswith(COUNTS)}
    if missing := [name for name in wanted if name not in shapes]:
        raise unlike(path, f"it lacks {listed(missing)}")
    if extra := [name for name in shapes if name not in wanted]:
        raise unlike(path, f"it has {listed(extra)}, too")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise unlike(path, f"{name} is {list(shapes[name])}, not {list(shape)}")


def _named(tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
    """The network's own. Where they are under ``model``, the rest, an optimiser's, is not its."""
    if any(name.startswith(BEFORE[0]) for name in tensors):
        tensors = {name: each for name, each in tensors.items() if name.startswith(BEFORE[0])}
    return {_bare(name): each for name, each in tensors.items() if not name.endswith(COUNTS)}


def _bare(name: str) -> str:
    while prefix := next((each for each in BEFORE if name.startswith(each)), None):
        name = name.removeprefix(prefix)
    return name


def _counts(net: Hpm) -> dict[str, Tensor]:
    return {name: each for name, each in net.state_dict().items() if name.endswith(COUNTS)}


def listed(names: list[str]) -> str:
    shown = ", ".join(name[:80] for name in names[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown


def unlike(path: Path, how: str) -> BundleError:
    return BundleError("not HPMDubbing's network:", f"{path}: {how}", "give a checkpoint as it was published")
