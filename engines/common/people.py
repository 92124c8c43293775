"""Who speaks in a folder of clips, so that figures can be told by gender and by language.

``people.tsv`` beside the clips has a row per person: speaker, gender, language, with tabs between. Any word will do for
the last two; an empty one is not told.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from engines.common import Array
from realtime_dub.errors import ConfigError

FILE = "people.tsv"
TOLD = ("gender", "language")
People = dict[str, dict[str, str]]  # by speaker


def speaker_of(clip: Path, data: Path) -> str:
    """What stands before ``_`` in a clip's name, else its folder."""
    before, found, _ = clip.stem.partition("_")
    return before if found else (clip.parent.name if clip.parent != data else data.name)


def read_people(path: Path) -> People:
    """Gender and language by speaker; raises ConfigError where a column is missing."""
    with path.open(newline="", encoding="utf-8") as stream:
        table = csv.DictReader(stream, delimiter="\t")
        missing = [name for name in ("speaker", *TOLD) if name not in (table.fieldnames or ())]
        if missing:
            raise ConfigError("no column", f"{missing[0]!r} in {path}", "head it: speaker, gender, language, by tabs")
        return {row["speaker"]: {name: row[name] or "" for name in TOLD} for row in table}


def people_of(data: Path, given: Path | None = None) -> People:
    """The table ``given``, else that of the folder ``data``, else nobody."""
    path = given or data / FILE
    return read_people(path) if given or path.exists() else {}


def groups(speakers: Sequence[str], people: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, list[int]]]:
    """Places in ``speakers`` by gender and by language; who is not in the table is in neither."""
    found: dict[str, dict[str, list[int]]] = {name: {} for name in TOLD}
    for place, speaker in enumerate(speakers):
        for name in TOLD:
            if value := people.get(speaker, {}).get(name):
                found[name].setdefault(value, []).append(place)
    return {name: dict(sorted(values.items())) for name, values in found.items()}


def evened(speakers: Sequence[str]) -> Array:
    """How often to draw each of these people's clips (n,), sum 1: of who has four times as many twice as many."""
    counts = Counter(speakers)
    weights = np.array([counts[name] ** -0.5 for name in speakers])
    return weights / weights.sum()
