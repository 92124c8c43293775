"""The weights in the three published files, which are whole networks: found, and each shape compared."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from engines.common.checkpoint import open_checkpoint
from engines.common.checkpoint.published import Published
from engines.landmark_dub.layers import MODULES, expected
from realtime_dub.errors import ConfigError
from realtime_dub.media import Floats
from realtime_dub.paths import reason

LANDMARK_DUB = Published(
    called="landmark dubbing's network",
    give="give the published files of unsupervised video dubbing, or of your own training with its code",
)
AGAIN = "._flat_weights."  # where newer PyTorch keeps a GRU's tensors a second time
_FILE = re.compile(rf"({'|'.join(MODULES)})(?:_(\d+))?\.(?:pt|pth)")


def read_weights(folder: Path) -> dict[str, Floats]:
    """Every tensor of the networks in ``folder`` as float32, by the names of ``layers.expected``.

    Raises ConfigError where a file is missing, BundleError, which says what is missing, extra or different.
    """
    weights: dict[str, Floats] = {}
    for module, path in files_in(folder).items():
        weights |= {f"{module}.{name}": values for name, values in _tensors(path).items()}
        _check(path, module, {name: each.shape for name, each in weights.items() if name.startswith(f"{module}.")})
    LANDMARK_DUB.check_numbers(folder, weights)
    return weights


def files_in(folder: Path) -> dict[str, Path]:
    """The file of each network: of several epochs the last that all three have."""
    try:
        found = [match for path in folder.iterdir() if (match := _FILE.fullmatch(path.name))]
    except OSError as error:
        raise ConfigError("cannot read", f"{folder}: {reason(error)}", "name the folder of the three files") from error
    epochs = [{match[2] for match in found if match[1] == module} for module in MODULES]
    common = set.intersection(*epochs)
    if not common:
        missing = [module for module, own in zip(MODULES, epochs, strict=True) if not own] or ["of one epoch"]
        do = f"name a folder with {', '.join(f'{module}_320.pt' for module in MODULES)}"
        raise ConfigError("no weights", f"{missing[0]} in {folder}", do)
    epoch = max(common, key=lambda each: int(each or -1))
    return {match[1]: folder / match.string for match in found if match[2] == epoch}


def _tensors(path: Path) -> dict[str, Floats]:
    with open_checkpoint(path, classes=True) as checkpoint:
        named = LANDMARK_DUB.named(checkpoint.tensors)
        return {name: np.array(each.read(), np.float32) for name, each in named.items() if AGAIN not in name}


def _check(path: Path, module: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises BundleError where this is not the network ``module``."""
    wanted = {name: shape for name, shape in expected().items() if name.startswith(f"{module}.")}
    LANDMARK_DUB.compare(path, wanted, shapes)
