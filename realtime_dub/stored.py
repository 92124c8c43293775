"""Numbers in files of others: ``.npy`` and ``.npz``, read without running anything, and refused by ValueError alone.

NumPy allocates what a file says it holds before it looks whether it does, and for what is no such file it raises
whatever its parts raise: zipfile, zlib, tokenize, struct.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterable
from typing import IO, Any

import numpy as np
import numpy.typing as npt

FORMAT: Any = np.lib.format  # of whose functions NumPy tells no types
Numbers = npt.NDArray[Any]


def array_in(data: bytes) -> Numbers:
    """What is in a ``.npy``. Raises ValueError for anything else."""
    try:
        enough = 0 <= declared_bytes(io.BytesIO(data)) <= len(data)
        return np.asarray(np.load(io.BytesIO(data if enough else b""), allow_pickle=False))
    except Exception as error:  # its text may be as long as the file
        raise ValueError("it is no whole .npy of numbers") from error


def arrays_in(data: bytes, names: Iterable[str], most_bytes: int) -> dict[str, Numbers]:
    """Those of a ``.npz`` that are asked for, at most ``most_bytes`` in all. Raises ValueError for anything else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            parts = {name: packed.getinfo(f"{name}.npy") for name in names}
            if sum(part.file_size for part in parts.values()) > most_bytes:
                raise ValueError("it is too large")
            return {name: array_in(packed.read(part)) for name, part in parts.items()}
    except ValueError:
        raise
    except Exception as error:
        raise ValueError("it is no .npz of ours") from error


def declared_bytes(stream: IO[bytes]) -> int:
    """Of the array whose head stands there. Raises ValueError for an array of something else than numbers."""
    readers = {(1, 0): FORMAT.read_array_header_1_0, (2, 0): FORMAT.read_array_header_2_0}
    try:
        shape, _, dtype = readers[FORMAT.read_magic(stream)](stream)
    except Exception as error:  # of many kinds; NumPy's text is for programmers
        raise ValueError("an array's head cannot be read") from error
    if dtype.kind not in "uifb" or any(size < 0 for size in shape):
        raise ValueError("an array holds no numbers")
    return int(math.prod(shape) * dtype.itemsize)
