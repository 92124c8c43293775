"""The weights in a published generator: weight norms folded, its sizes read from its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from engines.common.checkpoint import StoredTensor, open_checkpoint
from engines.common.checkpoint.published import Published
from engines.vocoder.network import DILATIONS, Generator, Shape
from realtime_dub.media import Floats

HIFIGAN = Published("a generator of HiFi-GAN", "give a generator as it was published", before=("generator.", "module."))
RATES = {16: 8, 10: 5, 4: 2, 22: 11, 20: 10}  # published generators: a kernel is twice its rate
MOST_LAYERS, MOST_CHANNELS = 8, 2_048


def read_generator(path: Path) -> Generator:
    """The network with the file's weights, for use alone. Raises BundleError."""
    with open_checkpoint(path) as checkpoint:
        weights = folded(path, HIFIGAN.named(checkpoint.tensors))
    net = Generator(shape_of(path, weights))
    wanted = {name: tuple(each.shape) for name, each in net.state_dict().items()}
    found = {name: each.shape for name, each in weights.items()}
    HIFIGAN.compare(path, wanted, found)
    HIFIGAN.check_numbers(path, weights)
    net.load_state_dict({name: torch.from_numpy(each) for name, each in weights.items()})
    return net.eval().requires_grad_(False)


def folded(path: Path, tensors: Mapping[str, StoredTensor]) -> dict[str, Floats]:
    """Every tensor as float32; a length ``_g`` and a direction ``_v`` of weights become the weights."""
    found: dict[str, Floats] = {}
    for name, tensor in tensors.items():
        if name.endswith(".weight_g"):
            continue
        values = np.array(tensor.read(), np.float64)
        if name.endswith(".weight_v"):
            name = name.removesuffix("_v")
            if (length := tensors.get(f"{name}_g")) is None or length.shape != (len(values), 1, 1):
                raise HIFIGAN.unlike(path, f"{name}_g is missing or of another size")
            values *= np.array(length.read(), np.float64) / np.sqrt(np.square(values).sum((1, 2), keepdims=True))
        found[name] = values.astype(np.float32)
    return found


def shape_of(path: Path, weights: Mapping[str, Floats]) -> Shape:
    """Its sizes. Raises BundleError for a generator that is none, or has residual blocks of the short kind."""
    first = weights.get("conv_pre.weight")
    ups = [weights[name] for n in range(MOST_LAYERS) if (name := f"ups.{n}.weight") in weights]
    if first is None or first.ndim != 3 or not ups or len(first) > MOST_CHANNELS or any(up.ndim != 3 for up in ups):
        raise HIFIGAN.unlike(path, "it has no conv_pre and ups")
    kernels = tuple(int(up.shape[2]) for up in ups)
    if odd := [kernel for kernel in kernels if kernel not in RATES]:
        raise HIFIGAN.unlike(path, f"a kernel of {odd[0]} samples among its steps")
    if f"resblocks.0.convs1.{len(DILATIONS) - 1}.weight" not in weights:
        raise HIFIGAN.unlike(path, "its residual blocks are not of the long kind (resblock 1)")
    blocks = sum(name.endswith(".convs1.0.weight") for name in weights)
    names = [f"resblocks.{n}.convs1.0.weight" for n in range(blocks // len(ups))]
    if any(name not in weights or weights[name].ndim != 3 for name in names):
        raise HIFIGAN.unlike(path, "its residual blocks are not numbered from 0")
    around = tuple(int(weights[name].shape[2]) for name in names)
    return Shape(int(first.shape[1]), len(first), tuple(RATES[kernel] for kernel in kernels), kernels, around)
