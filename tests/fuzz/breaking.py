"""Ways to break a file, as :mod:`mutations` has them for media, and for texts; what is new is broken further.

A corpus that grows by what brought about a new answer finds its way into a format without any look at the reader's
code: afl's idea, with the reader's answers in the place of branches.
"""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Sequence
from typing import TypeAlias

from mutations import WAYS

MOST_BYTES = 200_000  # of a broken copy: reading a long one takes time and finds no more
KEPT = 300  # copies that brought about something new, beside the whole files
NUMBERS = (
    "-1",
    "0",
    "00",
    "1e9",
    "-0.0",
    "nan",
    "inf",
    "4294967296",
    "18446744073709551616",
    "9" * 400,
    "\u0661",
    "0x10",
)
SNIPPETS = (
    "\x00",
    "\r",
    "\n\n",
    "\ufeff",
    "\u202e",
    "\ud800",
    "😀",
    "../" * 9,
    "%n",
    "{}",
    "[" * 2_000,
    '"',
    "\\u0000",
    "null",
    "true",
)
ZIP = b"PK\x03\x04"
ROOM = 64  # bytes of what is copied from one file into another

Way: TypeAlias = Callable[[bytearray, random.Random], None]


class Breaker:
    """Broken copies of ``whole``. All follows from ``seed``.

    Of a text numbers, words and lines are exchanged as well; of an archive what is in it is broken, and packed again.
    """

    def __init__(self, whole: Sequence[bytes], is_text: bool, seed: str) -> None:
        self._whole, self._seed = list(whole), seed
        self._found: list[bytes] = []
        self._answers: set[str] = set()
        self._ways: list[Way] = [*WAYS, self._splice]
        if is_text:
            self._ways += [_number, _snippet, _lines] * 2
        if any(data.startswith(ZIP) for data in whole):
            self._ways += [_member] * len(self._ways)

    def copy(self, number: int) -> bytes:
        dice = random.Random(f"{self._seed} {number}")
        data = bytearray(dice.choice(self._found if self._found and dice.random() < 0.5 else self._whole))
        for _ in range(dice.choice((1, 1, 2, 4, 8))):
            dice.choice(self._ways)(data, dice)
        return bytes(data[:MOST_BYTES])

    def tell(self, data: bytes, answer: str) -> None:
        """What a reader made of a copy."""
        kind = "".join(c for c in answer if not c.isdigit())[:120]
        if kind not in self._answers and len(self._found) < KEPT:
            self._found.append(data)
        self._answers.add(kind)

    @property
    def answers(self) -> int:
        return len(self._answers)

    def _splice(self, data: bytearray, dice: random.Random) -> None:
        other = dice.choice(self._whole)
        at, length = dice.randrange(len(other) + 1), dice.randrange(ROOM)
        to = dice.randrange(len(data) + 1)
        data[to : to + dice.choice((0, length))] = other[at : at + length]


def _number(data: bytearray, dice: random.Random) -> None:
    """One that stands there becomes another."""
    digits = [at for at, c in enumerate(data) if 48 <= c <= 57]
    if digits:
        at = end = dice.choice(digits)
        while end < len(data) and 48 <= data[end] <= 57:
            end += 1
        data[at:end] = dice.choice(NUMBERS).encode()


def _snippet(data: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    data[at:at] = dice.choice(SNIPPETS).encode("utf-8", "surrogatepass")


def _lines(data: bytearray, dice: random.Random) -> None:
    """One twice, gone, or elsewhere."""
    lines = bytes(data).split(b"\n")
    line = lines.pop(dice.randrange(len(lines)))
    for _ in range(dice.choice((0, 1, 2, 50))):
        lines.insert(dice.randrange(len(lines) + 1), line)
    data[:] = b"\n".join(lines)


def _member(data: bytearray, dice: random.Random) -> None:
    """One of an archive; its check sum is right again afterwards."""
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            parts = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    except Exception:  # it is broken already
        return
    if parts:
        dice.choice(WAYS)(parts[dice.choice(sorted(parts))], dice)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, bytes(part))
    data[:] = packed.getvalue()
