"""Alignments of the Montreal Forced Aligner, as the published network was trained on: TextGrids of Praat.

Long and short text files hold the same values in the same order; what the long ones write around them is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.speech.inventory import INDEX, SIL, UNKNOWN, from_arpabet, from_ipa
from realtime_dub.errors import MediaError
from realtime_dub.paths import read_plain, reason

TIERS = ("phones", "phone")  # MFA's name comes first
MOST_BYTES = 4_000_000
MOST_NUMBER = 1e6  # seconds, or intervals
STEP_S = 0.01
QUIET = {"", "sil", "sp", "spn", "<eps>"}
_VALUE = re.compile(r'"((?:[^"]|"")*)"|(?<![\w\[.-])(-?\d+(?:\.\d+)?(?:[eE]-?\d+)?)(?![\w\].])')
Interval = tuple[float, float, str]  # s, s, phone


def labels_of(path: Path, count: int) -> Array:
    """Classes (count,) of each 10 ms, UNKNOWN where the tier says nothing. Raises MediaError for another file."""
    labels = np.full(count, UNKNOWN, np.uint8)
    for start_s, end_s, phone in phones_in(path):
        classes = _classes(phone)
        edges = np.linspace(start_s, end_s, len(classes) + 1)
        for name, begin, end in zip(classes, edges[:-1], edges[1:], strict=True):  # diphthongs: half and half
            labels[max(0, round(begin / STEP_S)) : max(0, round(end / STEP_S))] = INDEX[name]
    return labels


def phones_in(path: Path) -> list[Interval]:
    """The intervals of the tier of phones. Raises MediaError."""
    try:
        text = _decoded(read_plain(path, MOST_BYTES))
        tiers = dict(_tiers(iter(_VALUE.findall(text))))
    except OSError as error:
        raise MediaError("cannot read", f"{path}: {reason(error)}", "make it again") from None
    except (ValueError, StopIteration, RuntimeError):
        raise MediaError("cannot read", f"{path}: it is no TextGrid", "make it again") from None
    found = next((tiers[name] for name in TIERS if name in tiers), None)
    if found is None:
        raise MediaError("no phones in", f"{path}: its tiers are {', '.join(tiers)[:100]}", f"call one {TIERS[0]}")
    return found


def _tiers(values: Iterator[tuple[str, str]]) -> Iterator[tuple[str, list[Interval]]]:
    """Each tier by name; those of points are empty. Raises ValueError for other values."""
    if [_text(values), _text(values)] != ["ooTextFile", "TextGrid"]:
        raise ValueError
    _number(values), _number(values)
    for _ in range(int(_number(values))):
        kind, name = _text(values), _text(values)
        _number(values), _number(values)
        count = int(_number(values))
        if kind == "IntervalTier":
            yield name, [(_number(values), _number(values), _text(values)) for _ in range(count)]
        else:
            for _ in range(count):
                _number(values), _text(values)
            yield name, []


def _text(values: Iterator[tuple[str, str]]) -> str:
    text, number = next(values)
    if number:
        raise ValueError
    return text.replace('""', '"')


def _number(values: Iterator[tuple[str, str]]) -> float:
    number = float(next(values)[1])
    if not abs(number) < MOST_NUMBER:
        raise ValueError
    return number


def _classes(phone: str) -> tuple[str, ...]:
    """Of ARPAbet in capitals, else of the IPA."""
    if phone in QUIET:
        return (SIL,)
    return from_arpabet(phone) if phone.isascii() and phone[:1].isupper() else from_ipa(phone) or (SIL,)


def _decoded(data: bytes) -> str:
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    return data.decode("utf-16" if marked else "utf-8-sig")
