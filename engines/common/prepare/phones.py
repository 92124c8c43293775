"""Phonemes as a part of a prepared data set: log band powers, and the class that is spoken in each 10 ms.

``mel/NAME.npy`` (n, bands) float16 is the natural logarithm of band powers before any floor's rise, ``phones/NAME.npy``
(n,) uint8 holds places in :data:`engines.common.speech.inventory.CLASSES`. ``phones.jsonl`` has a row for every
alignment that was tried; of a track that was tried twice the last one counts.
"""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from engines.common import Array
from engines.common.dataset import ALIGNMENTS, read_rows
from engines.common.prepare.clip import RATE, pcm16, write_whole
from engines.common.speech.force_align import Alignment, Segment
from engines.common.speech.inventory import INDEX, SIL
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

FLOOR = 1e-12
BAD, BAD_HEAD = "bad.tsv", "file\treason\n"
POCKETSPHINX, NET = "pocketsphinx", "net"
UNREAD = "unread"  # in the place of an aligner, where a file cannot be used


def frame_classes(segments: Iterable[Segment], frames: int, hop_s: float = 0.01) -> Array:
    """The class (n,) at each frame's centre; silence where no segment is."""
    labels = np.full(frames, INDEX[SIL], np.uint8)
    for segment in segments:
        first, last = (max(0, int(np.ceil(t / hop_s - 1e-9))) for t in (segment.start, segment.end))
        labels[first:last] = INDEX[segment.name]
    return labels


def store(root: Path, track: str, sound: Array, segments: Iterable[Segment], spec: LogMelSpec) -> None:
    """Write a track's powers and classes."""
    relabel(root, track, segments, write_power(root, track, sound, spec), spec)


def write_power(root: Path, track: str, sound: Array, spec: LogMelSpec) -> int:
    """Write a track's powers; returns how many frames they are."""
    power = LogMel(spec).power(sound)
    _write(root, "mel", track, np.log(np.maximum(power, FLOOR)).astype(np.float16))
    return len(power)


def relabel(root: Path, track: str, segments: Iterable[Segment], frames: int, spec: LogMelSpec) -> None:
    """Write other classes for a track whose powers are there."""
    _write(root, "phones", track, frame_classes(segments, frames, spec.hop / spec.rate))


def _write(root: Path, kind: str, track: str, values: Array) -> None:
    write_whole(root / kind / f"{track}.npy", npy(values))


def npy(values: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()


def write_audio(root: Path, track: str, sound: Array) -> Array:
    """Keep a sound (n,) at 16 kHz, float or int16; returns it as it will be read."""
    pcm = sound if sound.dtype == np.int16 else pcm16(sound)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm.astype("<i2").tobytes())
    write_whole(root / "sound" / f"{track}.wav", buffer.getvalue())
    return pcm.astype(np.float32) / 32768


def append_row(path: Path, row: dict[str, Any]) -> None:
    """Add a row to a list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")


def append_bad(root: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Add files that cannot be used, and why, to the list of them."""
    path = root / BAD
    before = path.read_text("utf-8") if path.exists() else BAD_HEAD
    write_whole(path, (before + bad_lines(rows)).encode())


def bad_lines(rows: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{file}\t{' '.join(why.split())}\n" for file, why in rows)


def tidy(path: Path) -> list[dict[str, Any]]:
    """The rows of a list; what its writer did not finish when it was killed is taken off."""
    rows = read_rows(path)
    if path.exists():
        write_whole(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows


def append_alignment(
    root: Path, track: str, found: Alignment | None, seconds: float, aligner: str, moved_ms: float = 0.0
) -> None:
    """Write down how the alignment of a track came out.

    ``seconds`` of its sound count if it was found; a sound that is moved by other than ``moved_ms`` is aligned anew.
    """
    score, sane = (round(found.score, 3), found.sane) if found else (0.0, False)
    row = {"track": track, "seconds": round(seconds, 2) if found else 0.0, "score": score, "sane": sane}
    append_row(root / ALIGNMENTS, {**row, "aligner": aligner, "moved_ms": moved_ms})
