"""The two ways in which PyTorch lays a checkpoint into a file, and where the numbers are in it.

Since 1.6 it is a ZIP archive, uncompressed: ``NAME/data.pkl`` and a file for each storage. Before, it was five pickles
behind each other, then each storage: its length, its numbers. What a file says of sizes is compared with its own size
before anything is read.
"""

from __future__ import annotations

import struct
import zipfile
from io import BytesIO
from typing import Any, BinaryIO

from engines.common.checkpoint.machine import Machine
from engines.common.checkpoint.names import ITEM_BYTES, STORAGES
from engines.common.checkpoint.values import Name, Refused, Storage

MOST_PICKLE = 16_000_000  # bytes of instructions
MOST_LIST = 2_000_000  # bytes of an archive's list of files: some 20,000 of them
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_END, _END_SIZE = b"PK\x05\x06", 22
_END_64_AT, _END_64 = b"PK\x06\x07", b"PK\x06\x06"


class Container:
    """``root``: what the pickle describes. ``at``: where in the file each storage's numbers begin."""

    def __init__(self, file: BinaryIO, size: int, classes: bool) -> None:
        self._file, self._size, self._classes = file, size, classes
        self.root: Any = None
        self._storages: dict[str, Storage] = {}
        self._at: dict[str, int] = {}

    def read(self, storage: Storage) -> bytes:
        """The numbers of one storage."""
        self._file.seek(self._at[storage.key])
        wanted = storage.count * ITEM_BYTES[storage.dtype]
        found = self._file.read(wanted)
        if len(found) != wanted:
            raise Refused("ends before its numbers do")
        return found

    def _stored(self, identity: Any) -> Any:
        """What a persistent id stands for: a storage, or in old files a class and its source, which is left aside."""
        kind = identity[0] if isinstance(identity, tuple) and identity else None
        if kind == "module" and len(identity) == 4 and isinstance(identity[1], Name):
            return identity[1]
        if kind != "storage" or len(identity) not in (5, 6) or (len(identity) == 6 and identity[5] is not None):
            raise Refused("points to what is no storage")
        of, key, count = identity[1], identity[2], identity[4]
        if not isinstance(of, Name) or str(of) not in STORAGES:
            raise Refused(f"stores its numbers as {of.shown if isinstance(of, Name) else 'nothing known'}")
        if not isinstance(key, str) or type(count) is not int or count < 0:
            raise Refused("points to what is no storage")
        return self._known(Storage(key, STORAGES[str(of)], count))

    def _known(self, storage: Storage) -> Storage:
        """The same one each time. A file cannot hold more numbers than it has bytes."""
        if storage.count * ITEM_BYTES[storage.dtype] > self._size:
            raise Refused("describes more numbers than it holds")
        known = self._storages.setdefault(storage.key, storage)
        if (known.dtype, known.count) != (storage.dtype, storage.count):
            raise Refused(f"describes storage {storage.key[:40]!r} twice, and not alike")
        return known

    def _place(self, key: str, at: int, length: int) -> None:
        """``length``: bytes from ``at`` that are this storage's."""
        storage = self._storages[key]
        if length != storage.count * ITEM_BYTES[storage.dtype] or at + length > self._size:
            raise Refused("describes more numbers than it holds, or fewer")
        self._at[key] = at

    def _check_room(self) -> None:
        """Storages lie beside each other: what is read in the end is no more than the file."""
        if sum(each.count * ITEM_BYTES[each.dtype] for each in self._storages.values()) > self._size:
            raise Refused("describes more numbers than it holds")


class Archive(Container):
    """The way since 1.6."""

    def __init__(self, file: BinaryIO, size: int, classes: bool) -> None:
        super().__init__(file, size, classes)
        _check_list(file, size)
        try:
            members = {each.filename: each for each in zipfile.ZipFile(file).infolist()}
        except Exception:  # zipfile has many, and some that it does not name
            raise Refused("is a damaged archive") from None
        prefix = self._prefix(members)
        stream = BytesIO(self._member(members[f"{prefix}data.pkl"], MOST_PICKLE))
        self._check_order(members.get(f"{prefix}byteorder"))
        self.root = Machine(stream, self._stored, classes).run()
        self._check_room()
        for key in self._storages:
            member = members.get(f"{prefix}data/{key}")
            if member is None:
                raise Refused(f"lacks storage {key[:40]!r}")
            self._place(key, *self._span(member))

    def _prefix(self, members: dict[str, zipfile.ZipInfo]) -> str:
        found = [name for name in members if name.endswith("data.pkl") and name.count("/") <= 1]
        if len(found) != 1:
            raise Refused("is an archive, but no checkpoint of PyTorch")
        return found[0].removesuffix("data.pkl")

    def _span(self, member: zipfile.ZipInfo) -> tuple[int, int]:
        """Where a member's bytes begin, and how many there are."""
        if (
            member.compress_type != zipfile.ZIP_STORED
            or member.file_size != member.compress_size
            or member.flag_bits & 1
        ):
            raise Refused("is compressed, as no checkpoint of PyTorch is")
        self._file.seek(member.header_offset)
        header = self._file.read(30)
        if len(header) != 30 or header[:4] != b"PK\x03\x04":
            raise Refused("is a damaged archive")
        at = member.header_offset + 30 + sum(struct.unpack("<HH", header[26:]))
        if at + member.file_size > self._size:
            raise Refused("ends before its numbers do")
        return at, member.file_size

    def _member(self, member: zipfile.ZipInfo, most: int) -> bytes:
        at, length = self._span(member)
        if length > most:
            raise Refused(f"describes its tensors in more than {most // 1_000_000} MB")
        self._file.seek(at)
        return self._file.read(length)

    def _check_order(self, member: zipfile.ZipInfo | None) -> None:
        if member is not None and self._member(member, 1_000) != b"little":
            raise Refused("was written on a machine with another order of bytes")


class Legacy(Container):
    """The way before 1.6."""

    def __init__(self, file: BinaryIO, size: int, classes: bool) -> None:
        super().__init__(file, size, classes)
        file.seek(0)
        stream = BytesIO(file.read(min(size, MOST_PICKLE)))
        if self._next(stream) != MAGIC or self._next(stream) != PROTOCOL:
            raise Refused("is no checkpoint of PyTorch")
        about = self._next(stream)
        if not isinstance(about, dict) or about.get("little_endian") is not True:
            raise Refused("was written on a machine with another order of bytes")
        self.root = self._next(stream)
        keys = self._next(stream)
        self._check_room()
        self._find(keys, stream.tell())

    def _next(self, stream: BytesIO) -> Any:
        return Machine(stream, self._stored, self._classes).run()

    def _find(self, keys: Any, at: int) -> None:
        """``keys``: of the storages in their order."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise Refused("lists storages without a name")
        if len(keys) != len(self._storages) or set(keys) != set(self._storages):
            raise Refused("lists other storages than it describes")
        for key in keys:
            self._file.seek(at)
            length = self._file.read(8)
            storage = self._storages[key]
            if len(length) != 8 or int.from_bytes(length, "little") != storage.count:
                raise Refused("describes more numbers than it holds, or fewer")
            bytes_there = storage.count * ITEM_BYTES[storage.dtype]
            self._place(key, at + 8, bytes_there)
            at += 8 + bytes_there


def opened(file: BinaryIO, size: int, classes: bool) -> Container:
    """Raises Refused."""
    file.seek(0)
    return (Archive if file.read(4) == b"PK\x03\x04" else Legacy)(file, size, classes)


def _check_list(file: BinaryIO, size: int) -> None:
    """The list of an archive's files is read at once: it has to be short."""
    begin = max(0, size - _END_SIZE - (1 << 16))
    file.seek(begin)
    tail = file.read(size - begin)
    end = tail.rfind(_END)
    if end < 0 or len(tail) - end < _END_SIZE:
        raise Refused("is an archive without an end")
    length = int.from_bytes(tail[end + 12 : end + 16], "little")
    if length == 0xFFFFFFFF:
        length = _long_length(file, tail, end)
    if length > MOST_LIST:
        raise Refused("is an archive of too many files")


def _long_length(file: BinaryIO, tail: bytes, end: int) -> int:
    """Where 32 bits do not hold it."""
    locator = tail[max(0, end - 20) : end]
    if locator[:4] != _END_64_AT:
        raise Refused("is a damaged archive")
    file.seek(int.from_bytes(locator[8:16], "little") & ((1 << 62) - 1))
    found = file.read(56)
    if found[:4] != _END_64 or len(found) != 56:
        raise Refused("is a damaged archive")
    return int.from_bytes(found[40:48], "little")
