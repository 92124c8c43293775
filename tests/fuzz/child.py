"""The process that reads: ``python -m fuzz.child KIND SEED FIRST MOST WINDOW``; a line of JSON for each failure.

What it reads at the moment stands in the file WINDOW (``Window``), so that whoever finds it dead knows of what.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import struct
import sys
import traceback
import warnings
from pathlib import Path

from fuzz.breaking import MOST_BYTES, Breaker
from fuzz.kind import REFUSED, Reader
from fuzz.kinds import KINDS

HEAD = struct.Struct("<qqqq")  # number, bytes, taken, different answers
MOST_LINE = 4_000  # characters of an error that a user reads


class Window:
    """What the child is at, for the parent to see."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(HEAD.size + MOST_BYTES))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), HEAD.size + MOST_BYTES)

    def show(self, number: int, data: bytes, taken: int, answers: int) -> None:
        self._map[HEAD.size : HEAD.size + len(data)] = data
        self._map[: HEAD.size] = HEAD.pack(number, len(data), taken, answers)

    @property
    def head(self) -> tuple[int, int, int, int]:
        number, length, taken, answers = HEAD.unpack(self._map[: HEAD.size])
        return number, length, taken, answers

    @property
    def data(self) -> bytes:
        return bytes(self._map[HEAD.size : HEAD.size + self.head[1]])

    def close(self) -> None:
        self._map.close()


def answer_of(reader: Reader, data: bytes, refused: tuple[type[Exception], ...]) -> tuple[str, str]:
    """What the reader says, and what is wrong with it."""
    try:
        reader(data)
    except refused as error:
        return f"{type(error).__name__}: {error}", _wrong_with(error)
    except Exception as error:
        where = traceback.format_exc(limit=-3)
        return type(error).__name__, f"{type(error).__name__}: {str(error)[:200]}\n{where}"
    return "read", ""


def _wrong_with(error: Exception) -> str:
    line = str(error)
    if isinstance(error, REFUSED) and ("\n" in line or not line or len(line) > MOST_LINE):
        return f"its error is no line for a user: {line[:200]!r}"
    return ""


def _place(wrong: str) -> str:
    """What it is told by: many copies meet one fault."""
    return "".join(line for line in wrong.splitlines() if line.startswith("  File")) or wrong[:40]


def run(kind: str, seed: str, first: int, most: int, window: Window) -> None:
    found = KINDS[kind]
    breaker, reader, told, taken = Breaker(found.whole(), found.is_text, f"{kind} {seed}"), found.make(), set[str](), 0
    for data in found.whole():  # else nothing would be found of what is broken
        answer, _ = answer_of(reader, data, found.refused)
        if answer != "read" and kind != "spec":  # whose files are not there
            raise SystemExit(f"{kind}: a whole file is not read: {answer}")
    parent = os.getppid()
    for number in range(first, most):
        if os.getppid() != parent:  # nobody watches any more
            return
        data = breaker.copy(number)
        window.show(number, data, taken, breaker.answers)
        answer, wrong = answer_of(reader, data, found.refused)
        taken += answer == "read"
        breaker.tell(data, answer)
        if wrong and (place := _place(wrong)) not in told:
            told.add(place)
            print(json.dumps({"number": number, "why": wrong, "data": data.hex()}), flush=True)
    window.show(most, b"", taken, breaker.answers)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    warnings.simplefilter("ignore")
    name, seed, first, most, window = sys.argv[1:]
    run(name, seed, int(first), int(most), Window(Path(window)))
    sys.stdout.flush()
    os._exit(0)  # threads of a connection that stands would be waited for
