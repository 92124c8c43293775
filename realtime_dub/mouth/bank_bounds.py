"""What a file with a bank may hold, looked at before any of it is unpacked: a small file may unpack to a huge one."""

from __future__ import annotations

import math
import struct
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from realtime_dub.paths import size_of_plain_file

MOST_BYTES = 100_000_000  # of the file, and of all that is in it
MOST_PICTURE, MOST_ARRAY = 3_000_000, 300_000  # bytes of one, packed as PNG or not at all
MOST_MEMBERS = 1_000
FORMAT: Any = np.lib.format  # of whose functions NumPy tells no types
PNG = b"\x89PNG\r\n\x1a\n"


def check_archive(path: Path) -> None:
    """Raises OSError for what is no plain file, ValueError for one that is no bank or unpacks to more than any."""
    if size_of_plain_file(path.stat()) > MOST_BYTES:
        raise ValueError("it is too large a file")
    with zipfile.ZipFile(path) as packed:
        members = packed.infolist()
        if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_BYTES:
            raise ValueError("it holds too much")
        for each in members:
            most = MOST_PICTURE if each.filename.startswith("image") else MOST_ARRAY
            with packed.open(each) as stream:
                if each.file_size > most or _declared_bytes(stream) > each.file_size:
                    raise ValueError(f"{each.filename} is too large")


def _declared_bytes(stream: IO[bytes]) -> int:
    """Of the array in a member."""
    version = FORMAT.read_magic(stream)
    shape, _, dtype = {(1, 0): FORMAT.read_array_header_1_0, (2, 0): FORMAT.read_array_header_2_0}[version](stream)
    return int(math.prod(shape) * dtype.itemsize)


def check_picture(data: npt.NDArray[np.generic], width: int, height: int) -> None:
    """Raises ValueError for what is no PNG of at most that size."""
    start = data.astype(np.uint8, casting="no").reshape(-1)[:24].tobytes()
    if len(start) < 24 or not start.startswith(PNG):
        raise ValueError("a picture is no PNG")
    wide, high = struct.unpack_from(">II", start, 16)
    if not (0 < wide <= width and 0 < high <= height):
        raise ValueError(f"a picture of {wide}x{high} pixels is no mouth")
