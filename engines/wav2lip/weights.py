"""The weights in a checkpoint: found under whatever it puts before their names, and each shape compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engines.common.checkpoint import open_checkpoint
from engines.common.checkpoint.published import Published, listed
from engines.wav2lip.layers import FACE, SIZE, expected
from realtime_dub.media import Floats

WAV2LIP = Published(
    called="Wav2Lip's network",
    give=f"give Wav2Lip's own weights for {SIZE} pixels, or another network as an ONNX file",
    before=("state_dict.", "module.", "model.", "generator."),
)
_BLOCK = re.compile(r"face_encoder_blocks\.(\d+)\.")


def read_weights(path: Path) -> dict[str, Floats]:
    """Every tensor of the network as float32. Raises BundleError, which says what is missing, extra or different."""
    with open_checkpoint(path) as checkpoint:
        found = WAV2LIP.named(checkpoint.tensors)
        check(path, {name: tensor.shape for name, tensor in found.items()})
        weights = {name: np.array(tensor.read(), np.float32) for name, tensor in found.items()}
    WAV2LIP.check_numbers(path, weights)
    return weights


def check(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BundleError where this is not the network."""
    wanted = expected()
    if not wanted.keys() & shapes.keys():
        raise WAV2LIP.unlike(path, f"it has none of its {len(wanted)} tensors, but {listed(shapes)}")
    blocks = {int(match[1]) for name in shapes if (match := _BLOCK.match(name))}
    if blocks and len(blocks) != len(FACE):
        raise WAV2LIP.unlike(
            path, f"{len(blocks)} blocks of its face encoder, as networks of {_pixels(len(blocks))} pixels have"
        )
    WAV2LIP.compare(path, wanted, shapes)


def _pixels(blocks: int) -> int:
    return round(SIZE * 2.0 ** (min(blocks, 12) - len(FACE)))
