"""A network that others have published: its tensors, under whatever a file puts before their names, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common.checkpoint.reader import StoredTensor
from realtime_dub.errors import BundleError
from realtime_dub.media import Floats

COUNTS = ".num_batches_tracked"  # of no use to a network that is trained
SHOWN = 3  # names in a message

Sizes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Published:
    """What messages call it and ask for. ``before``: what may stand before its tensors' names, one after another.

    Where the first of ``before`` stands in a file, what is without it (an optimiser's) is not the network's.
    """

    called: str
    give: str
    before: tuple[str, ...] = ()

    def named(self, tensors: Mapping[str, StoredTensor]) -> dict[str, StoredTensor]:
        """The network's own, of all that a checkpoint holds, by their bare names."""
        if self.before and any(name.startswith(self.before[0]) for name in tensors):
            tensors = {name: each for name, each in tensors.items() if name.startswith(self.before[0])}
        return {self._bare(name): each for name, each in tensors.items() if not name.endswith(COUNTS)}

    def compare(self, path: Path, wanted: Sizes, found: Sizes) -> None:
        """Raises BundleError where names or sizes differ: what is missing, extra or of another size."""
        if missing := [name for name in wanted if name not in found]:
            raise self.unlike(path, f"it lacks {listed(missing)}")
        if extra := [name for name in found if name not in wanted]:
            raise self.unlike(path, f"it has {listed(extra)}, too")
        for name, size in wanted.items():
            if found[name] != size:
                raise self.unlike(path, f"{name} is {_size(found[name])}, not {_size(size)}")

    def check_numbers(self, path: Path, weights: Mapping[str, Floats]) -> None:
        """Raises BundleError for what no training leaves: no number, infinity, a variance below zero."""
        for name, values in weights.items():
            if not np.isfinite(values).all() or (name.endswith("running_var") and (values < 0).any()):
                raise self.unlike(path, f"{name} has numbers that are none")

    def unlike(self, path: Path, how: str) -> BundleError:
        """To be raised: ``path`` is not this network."""
        return BundleError(f"not {self.called}:", f"{path}: {how}", self.give)

    def _bare(self, name: str) -> str:
        while prefix := next((each for each in self.before if name.startswith(each)), None):
            name = name.removeprefix(prefix)
        return name


def listed(names: Iterable[str]) -> str:
    """The first few of them, in words."""
    every = [name[:80] for name in names]
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more or "nothing"


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "one number"
