"""What a pickle's instructions come to: descriptions, of which none is what it describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Refused(Exception):
    """A file that is not taken. Its text goes on from "it"."""


@dataclass(frozen=True, slots=True)
class Name:
    """A class or a function that a file names. Nobody looks it up."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"

    @property
    def shown(self) -> str:
        """For a message, however long it is."""
        return str(self)[:120]


@dataclass(slots=True, eq=False)
class Record:
    """What would have been an object of a class: its attributes."""

    of: Name
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """Numbers in a row, somewhere in the file."""

    key: str
    dtype: str  # of numpy, or bfloat16
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Which of a storage's numbers a tensor is made of; ``offset`` and ``strides`` count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
