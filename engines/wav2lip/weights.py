"""The weights in a checkpoint: found under whatever it puts before their names, and each shape compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engines.common.checkpoint import Checkpoint, StoredTensor, open_checkpoint
from engines.wav2lip.layers import FACE, SIZE, expected
from realtime_dub.errors import BundleError
from realtime_dub.media import Floats

BEFORE = ("state_dict.", "module.", "model.", "generator.")  # any of these, one after another
COUNTS = ".num_batches_tracked"  # of no use to a network that is trained
SHOWN = 3  # names in a message
_BLOCK = re.compile(r"face_encoder_blocks\.(\d+)\.")


def read_weights(path: Path) -> dict[str, Floats]:
    """Every tensor of the network as float32. Raises BundleError, which says what is missing, extra or different."""
    with open_checkpoint(path) as checkpoint:
        found = _named(checkpoint)
        check(path, {name: tensor.shape for name, tensor in found.items()})
        weights = {name: np.array(tensor.read(), np.float32) for name, tensor in found.items()}
    for name, values in weights.items():
        if not np.isfinite(values).all() or (name.endswith("running_var") and (values < 0).any()):
            raise _unlike(path, f"{name} has numbers that are none")
    return weights


def check(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BundleError where this is not the network."""
    wanted = expected()
    if not wanted.keys() & shapes.keys():
        raise _unlike(path, f"it has none of its {len(wanted)} tensors, but {_listed(shapes)}")
    blocks = {int(match[1]) for name in shapes if (match := _BLOCK.match(name))}
    if blocks and len(blocks) != len(FACE):
        raise _unlike(
            path, f"{len(blocks)} blocks of its face encoder, as networks of {_pixels(len(blocks))} pixels have"
        )
    if missing := [name for name in wanted if name not in shapes]:
        raise _unlike(path, f"it lacks {_listed(missing)}")
    if extra := [name for name in shapes if name not in wanted]:
        raise _unlike(path, f"it has {_listed(extra)}, too")
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise _unlike(path, f"{name} is {_sizes(shapes[name])}, not {_sizes(shape)}")


def _named(checkpoint: Checkpoint) -> dict[str, StoredTensor]:
    """The network's own, of all that a checkpoint holds. Where they are under ``state_dict``, the rest is not its."""
    tensors = checkpoint.tensors
    if any(name.startswith(BEFORE[0]) for name in tensors):
        tensors = {name: each for name, each in tensors.items() if name.startswith(BEFORE[0])}
    return {_bare(name): each for name, each in tensors.items() if not name.endswith(COUNTS)}


def _bare(name: str) -> str:
    while prefix := next((each for each in BEFORE if name.startswith(each)), None):
        name = name.removeprefix(prefix)
    return name


def _pixels(blocks: int) -> int:
    return round(SIZE * 2.0 ** (min(blocks, 12) - len(FACE)))


def _listed(names: Mapping[str, object] | list[str]) -> str:
    shown = ", ".join(name[:80] for name in list(names)[:SHOWN])
    return f"{shown} and {len(names) - SHOWN} more" if len(names) > SHOWN else shown or "nothing"


def _sizes(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"


def _unlike(path: Path, how: str) -> BundleError:
    do = f"give Wav2Lip's own weights for {SIZE} pixels, or another network as an ONNX file"
    return BundleError("not Wav2Lip's network:", f"{path}: {how}", do)
