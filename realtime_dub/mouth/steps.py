"""The steps from a voice to a dubbed film, each with a file: what is wanted is made and written, the rest is read.

| step | is made of | file in the folder |
|---|---|---|
| ``features`` | voice | ``features.npz``: ``features`` (n, 28), ``speech`` (n,), every 10 ms from ``origin_ns`` on |
| ``shape`` | features | ``shape.npz``: ``landmarks`` (n, 20, 2), ``displacement`` (n, 168, 3), ``speech``, likewise |
| ``texture`` | shape, film | ``texture.npz``: ``images`` (t, h, w, 3), ``shapes`` (t, 40, 3), ``times_ns`` (t,) |
| ``retime`` | voice, film | ``retime.npz``: ``places`` (m,), ``repeated`` (m,) |
| ``composite`` | all of them | the dubbed film itself |
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.paths import WholeFile, read_plain, reason
from realtime_dub.stored import arrays_in

NAMES = ("features", "shape", "texture", "retime", "composite")
SUFFIX = ".steps"  # of the folder, in place of the result's own
MOST_FILE = 4_000_000_000  # bytes

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Steps:
    """Which are wanted, and where their files are."""

    wanted: frozenset[str]
    folder: Path

    @classmethod
    def of(cls, text: str, result: Path) -> Steps:
        """``text``: names, comma-separated. Raises ConfigError for one that is none."""
        names = text.split(",")
        if unknown := [name for name in names if name not in NAMES]:
            raise ConfigError("unknown step", repr(unknown[0]), f"choose of {', '.join(NAMES)}")
        return cls(frozenset(names), result.with_suffix(SUFFIX))

    def __contains__(self, name: str) -> bool:
        return name in self.wanted

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"

    def write(self, name: str, arrays: Arrays) -> None:
        """Whole or not at all. Raises MediaError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        WholeFile(self.path(name)).write(packed.getvalue())

    def read(self, name: str, **shapes: tuple[int | None, ...]) -> Arrays:
        """The arrays of an earlier run, of these ``shapes``; None is any length. Raises ConfigError, MediaError."""
        path = self.path(name)
        try:
            data = read_plain(path, MOST_FILE)
            arrays = arrays_in(data, shapes, MOST_FILE)
        except FileNotFoundError:
            raise ConfigError("there is no", str(path), f"run the step first: --steps {name}") from None
        except OSError as error:
            raise MediaError("cannot read", f"{path}: {reason(error)}") from error
        except ValueError as error:
            raise MediaError("cannot read", f"{path}: {error}", f"run --steps {name} again") from error
        for key, shape in shapes.items():
            if not _fits(arrays[key], shape):
                raise MediaError("cannot read", f"{path}: {key} is no {key}", f"run --steps {name} again")
        return arrays


def _fits(values: npt.NDArray[Any], shape: tuple[int | None, ...]) -> bool:
    alike = len(values.shape) == len(shape) and all(w in (None, s) for w, s in zip(shape, values.shape, strict=True))
    return alike and values.dtype.kind in "fiub" and bool(np.isfinite(values).all())
