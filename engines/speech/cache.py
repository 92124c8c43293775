"""Speech as the net is trained on it, one file per clip: band powers and the class spoken in each frame.

``<key>.npz`` holds ``log_power`` (n, bands) float16, natural logarithm of band powers before any floor's rise, and
``labels`` (n,) uint8, places in :data:`engines.speech.inventory.CLASSES`. ``index.tsv`` has one row per clip.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.speech.corpus import LANGUAGES_KEPT_OUT
from engines.speech.force_align import Segment
from engines.speech.inventory import INDEX, SIL
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

INDEX_FILE = "index.tsv"
FLOOR = 1e-12
LOW_SCORE = 0.04  # of the clips of a language in a corpus, the share that fits its text worst, is left out


@dataclass(frozen=True)
class Entry:
    """One row of the index."""

    key: str
    corpus: str
    language: str
    speaker: str
    gender: str
    part: str
    seconds: float
    score: float
    sane: bool
    aligner: str = ""  # by whom, so in which units the score is


def labels_of(segments: Iterable[Segment], frames: int, hop_s: float = 0.01) -> Array:
    """The class (n,) at each frame's centre; silence where no segment is."""
    labels = np.full(frames, INDEX[SIL], np.uint8)
    for segment in segments:
        first, last = (max(0, int(np.ceil(t / hop_s - 1e-9))) for t in (segment.start, segment.end))
        labels[first:last] = INDEX[segment.name]
    return labels


def store(folder: Path, key: str, sound: Array, segments: Iterable[Segment], spec: LogMelSpec) -> None:
    """Write a clip's powers and labels; whole or not at all."""
    power = LogMel(spec).power(sound)
    logarithm = np.log(np.maximum(power, FLOOR)).astype(np.float16)
    _write(folder, key, logarithm, labels_of(segments, len(power), spec.hop / spec.rate))


def relabel(folder: Path, key: str, segments: Iterable[Segment], spec: LogMelSpec) -> None:
    """Write other labels for a clip that the cache has."""
    log_power, _ = load(folder, key)
    _write(folder, key, log_power, labels_of(segments, len(log_power), spec.hop / spec.rate))


def _write(folder: Path, key: str, log_power: Array, labels: Array) -> None:
    partial = folder / f".{key}.part.npz"
    np.savez(partial, log_power=log_power, labels=labels)
    os.replace(partial, folder / f"{key}.npz")


def load(folder: Path, key: str) -> tuple[Array, Array]:
    """Log powers (n, bands) float16 and labels (n,)."""
    with np.load(folder / f"{key}.npz", allow_pickle=False) as stored:
        return stored["log_power"], stored["labels"]


def append(folder: Path, entry: Entry) -> None:
    """Add a row to the index."""
    path = folder / INDEX_FILE
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t")
        if new:
            writer.writerow([field.name for field in fields(Entry)])
        writer.writerow(asdict(entry).values())


def write_index(folder: Path, entries: Iterable[Entry]) -> None:
    """The whole index anew."""
    partial = folder / f".{INDEX_FILE}.part"
    with partial.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter="\t")
        writer.writerow([field.name for field in fields(Entry)])
        writer.writerows(map(astuple, entries))
    os.replace(partial, folder / INDEX_FILE)


def read_index(folder: Path) -> list[Entry]:
    """Every clip of the index, the failed ones too (``seconds`` 0); of a clip that was tried twice the last row."""
    path = folder / INDEX_FILE
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        rows = [_entry(row) for row in csv.DictReader(stream, delimiter="\t")]
    return list({entry.key: entry for entry in rows}.values())


def _entry(row: dict[str, str]) -> Entry:
    texts = {name: row[name] for name in ("key", "corpus", "language", "speaker", "gender", "part")}
    seconds, score, sane = float(row["seconds"]), float(row["score"]), row["sane"] == "True"
    return Entry(**texts, seconds=seconds, score=score, sane=sane, aligner=row.get("aligner") or "")


def tidy(folder: Path) -> list[Entry]:
    """Put an index right that earlier versions wrote: its columns, and the languages that are kept out by now."""
    entries = [
        replace(entry, part="evaluation") if entry.language in LANGUAGES_KEPT_OUT else entry
        for entry in read_index(folder)
    ]
    if entries:
        write_index(folder, entries)
    return entries


def usable(entries: list[Entry]) -> list[Entry]:
    """The clips to learn from: sane, and not among the worst scores of their kind."""
    sane = [entry for entry in entries if entry.sane and entry.seconds > 0]
    scores: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for entry in sane:
        scores[_kind(entry)].append(entry.score)
    least = {kind: float(np.quantile(own, LOW_SCORE)) for kind, own in scores.items()}
    return [entry for entry in sane if entry.score >= least[_kind(entry)]]


def _kind(entry: Entry) -> tuple[str, str, str]:
    return entry.corpus, entry.language, entry.aligner
