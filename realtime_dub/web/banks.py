"""Mouth banks of a session, to and from files: what ``realtime-dub enroll`` makes and ``--identity`` takes."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from realtime_dub.errors import BundleError
from realtime_dub.mouth.bank import Bank

MOST_BYTES = 30_000_000
MOST_UNPACKED = 100_000_000


def to_bytes(bank: Bank) -> bytes:
    """Blocking. Raises BundleError where nobody was seen yet."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        bank.copy().save(path)
        return path.read_bytes()


def from_bytes(data: bytes) -> Bank:
    """Blocking. Raises BundleError for what is no bank, or is one that would unpack to more than it should."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        path.write_bytes(data)
        try:
            with zipfile.ZipFile(path) as packed:
                size = sum(each.file_size for each in packed.infolist())
        except (zipfile.BadZipFile, OSError) as error:
            raise BundleError("the file", "is no mouth bank", "choose one that was saved here") from error
        if size > MOST_UNPACKED:
            raise BundleError("the mouth bank", "is too large", "choose one that was saved here")
        return Bank.load(path)
