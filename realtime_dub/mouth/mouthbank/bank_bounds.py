"""What a file with a bank may hold, looked at before any of it is unpacked: a small file may unpack to a huge one."""

from __future__ import annotations

import io
import re
import struct
import zipfile

import numpy as np
import numpy.typing as npt
import PIL.Image

from realtime_dub.media import Image
from realtime_dub.stored import declared_bytes

MOST_FILE, MOST_BYTES = 64_000_000, 100_000_000  # of the file, and of all that is in it
MOST_PICTURE, MOST_ARRAY = 3_000_000, 300_000  # bytes of one, packed as PNG or not at all
MOST_WEIGHTS = 4_000_000  # bytes of a net's weights, or of what they are changed by
MOST_MEMBERS = 1_000
MOST_DIRECTORY = 256 * MOST_MEMBERS  # bytes of the archive's own list, each entry of which takes memory
NAME = re.compile(r"[a-z]{1,20}[0-9]{0,6}\.npy", re.ASCII)
PNG = b"\x89PNG\r\n\x1a\n"
_END, _END64 = b"PK\x05\x06", b"PK\x06\x07"


def check_archive(data: bytes, plain: bool = False, most_array: int = MOST_ARRAY) -> None:
    """Raises ValueError for what is no bank or unpacks to more than any, and what zipfile raises for what is no zip.

    ``plain``: nothing in it may be packed; ``most_array``: bytes of one that is no picture.
    """
    _check_directory(data)
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        members = packed.infolist()
        if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_BYTES:
            raise ValueError("it is too large for a bank")
        if len({each.filename for each in members}) < len(members):
            raise ValueError("it has two entries with the same name")
        for each in members:
            _check_member(packed, each, _most(each.filename, most_array))
        if plain and any(each.compress_type != zipfile.ZIP_STORED for each in members):
            raise ValueError("it is packed")


def _check_directory(data: bytes) -> None:
    """The list at the end, before it is read: it may have millions of entries."""
    at = data.rfind(_END)
    if at < 0 or len(data) < at + 22:
        raise ValueError("it is not a bank")
    count, size = struct.unpack_from("<HI", data, at + 10)
    if count > MOST_MEMBERS or size > MOST_DIRECTORY or data[max(0, at - 20) : at].startswith(_END64):
        raise ValueError("it is too large for a bank")


def _most(name: str, most_array: int) -> int:
    """Bytes of an entry."""
    if name.startswith("image"):
        return MOST_PICTURE
    return MOST_WEIGHTS if name.startswith("tuned") else most_array


def _check_member(packed: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> None:
    name = member.filename[:40]
    if not NAME.fullmatch(member.filename):
        raise ValueError(f"{name} is no part of a bank")
    if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name} is encrypted, or packed in another way")
    if member.file_size > most:
        raise ValueError(f"{name} is too large")
    with packed.open(member) as stream:
        if not 0 <= declared_bytes(stream) <= member.file_size:
            raise ValueError(f"{name} is too large")


def plain_picture(data: npt.NDArray[np.generic], width: int, height: int) -> Image:
    """(h, w, 3), as it lies there. Raises ValueError for another shape, or more than that size."""
    if data.dtype != np.uint8 or data.ndim != 3 or data.shape[2] != 3:
        raise ValueError("a picture is not plain")
    if not (0 < data.shape[1] <= width and 0 < data.shape[0] <= height):
        raise ValueError(f"a picture of {data.shape[1]}x{data.shape[0]} pixels is no mouth")
    return np.ascontiguousarray(data, np.uint8)


def packed_picture(data: npt.NDArray[np.generic], width: int, height: int) -> Image:
    """The same from a PNG of at most that size. Raises ValueError."""
    check_picture(data, width, height)
    return decoded(data.tobytes())


def check_picture(data: npt.NDArray[np.generic], width: int, height: int) -> None:
    """Raises ValueError for what is no PNG of at most that size."""
    start = data.astype(np.uint8, casting="no").reshape(-1)[:24].tobytes()
    if len(start) < 24 or not start.startswith(PNG):
        raise ValueError("a picture is no PNG")
    wide, high = struct.unpack_from(">II", start, 16)
    if not (0 < wide <= width and 0 < high <= height):
        raise ValueError(f"a picture of {wide}x{high} pixels is no mouth")


def decoded(data: bytes) -> Image:
    """By pillow, which says nothing on the terminal of a picture that is broken."""
    try:
        with PIL.Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            return np.ascontiguousarray(np.asarray(picture.convert("RGB"))[..., ::-1])
    except Exception as error:  # of many kinds
        raise ValueError("a picture does not decode") from error
