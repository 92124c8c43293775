"""Reads the weights of a Keras file (``.h5``), in a process of its own: ``python -m engines.lipgan.keras_file IN OUT``.

The library that reads HDF5 was not written for files of strangers. So it works here under limits, and what it gives is
arrays alone. Nothing is followed out of the file: no links, no external or virtual data, no filters. Of the file's own
program (``model_config``) nothing is looked at.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

LAYER = re.compile(r"(conv2d|conv2d_transpose|batch_normalization)(_\d{1,9})?")
PARTS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
WEIGHTS = "model_weights"  # where a file that holds a whole model has them
MOST_LAYERS, MOST_NAME = 2_000, 200
MOST_VALUES = 6_000_000  # of a tensor
MOST_TOTAL = 80_000_000
MOST_MEMORY = 1_000_000_000  # bytes, beyond what is taken before the file is opened: the most weights, three times
MOST_CPU_S = 60
REFUSED = 3  # exit code where the file is not as it should be; stdout says why


class Refusal(Exception):
    """What is wrong with the file, in a few words."""


def main() -> None:
    path, out = Path(sys.argv[1]), Path(sys.argv[2])
    limit()
    try:
        found = dict(tensors(path))
    except Refusal as error:
        print(error)
        sys.exit(REFUSED)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
        print(f"not a whole HDF5 file ({type(error).__name__})")
        sys.exit(REFUSED)
    np.savez(out, **found)


def limit() -> None:
    """Memory and time have an end, where the system can see to it."""
    import h5py  # noqa: F401  # what it maps is not the file's doing

    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        most = _mapped() + MOST_MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_CPU_S, MOST_CPU_S))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _mapped() -> int:
    """Bytes that the process has mapped already, which on a machine of many cores are many. Raises OSError."""
    import resource

    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def tensors(path: Path) -> Iterator[tuple[str, Any]]:
    """``LAYER/PART`` and its values, of every layer that has weights. Raises Refusal, OSError."""
    import h5py

    total = 0
    with h5py.File(path, "r") as file:
        root = _child(file, WEIGHTS) if WEIGHTS in file else file
        for name in names(root, "layer_names"):
            if not LAYER.fullmatch(name):
                continue
            layer = _child(root, name)
            for weight in names(layer, "weight_names"):
                part = weight.rpartition("/")[2].partition(":")[0]
                if part not in PARTS:
                    raise Refusal(f"{name} has {part[:40]!r}, which is no weight of its kind")
                values = _values(layer, weight)
                total += values.size
                if total > MOST_TOTAL:
                    raise Refusal(f"more than {MOST_TOTAL} weights")
                yield f"{name}/{part}", values


def names(group: Any, kind: str) -> list[str]:
    """A list of names as Keras keeps it. Raises Refusal."""
    if kind not in group.attrs:
        raise Refusal(f"{group.name} has no {kind}: no weights of Keras")
    about = group.attrs.get_id(kind)
    if len(about.shape) != 1 or about.shape[0] > MOST_LAYERS or about.dtype.itemsize > MOST_NAME:
        raise Refusal(f"{kind} is no list of names")
    found = [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in group.attrs[kind]]
    if any(len(each) > MOST_NAME for each in found):
        raise Refusal(f"{kind} is no list of names")
    return found


def _child(group: Any, path: str) -> Any:
    """What lies at ``path`` below ``group``, hard links alone."""
    import h5py

    for step in path.split("/"):
        if not isinstance(group, h5py.Group) or not isinstance(group.get(step, getlink=True), h5py.HardLink):
            raise Refusal(f"there is no {path[:80]}")
        group = group[step]
    return group


def _values(layer: Any, name: str) -> Any:
    """The values of a weight, float32. Raises Refusal."""
    import h5py

    found = _child(layer, name)
    if not isinstance(found, h5py.Dataset) or found.dtype.kind != "f" or found.size is None:
        raise Refusal(f"{name[:80]} holds no numbers")
    if found.size > MOST_VALUES:
        raise Refusal(f"{name[:80]} has {found.size} values")
    if found.external or found.is_virtual or found.chunks is not None:
        raise Refusal(f"{name[:80]} is not kept as Keras does it")
    values = np.asarray(found[()], np.float32)
    if not np.isfinite(values).all():
        raise Refusal(f"{name[:80]} has values that are no numbers")
    return values


if __name__ == "__main__":
    main()
