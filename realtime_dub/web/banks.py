"""Mouth banks of a session, to and from files: what ``realtime-dub enroll`` makes and ``--identity`` takes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from realtime_dub.mouth.bank import Bank

MOST_BYTES = 30_000_000


def to_bytes(bank: Bank) -> bytes:
    """Blocking. Raises BundleError where nobody was seen yet."""
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "me.bank"
        bank.copy().save(path)
        return path.read_bytes()


def from_bytes(data: bytes) -> Bank:
    """Blocking. Raises BundleError for what is no bank, or is one that would unpack to more than it should."""
    return Bank.read(data, "the file")
