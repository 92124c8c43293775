"""Where the videos of a data set lie, and what their folders say of them.

``generic``  any folders; the first folder under FOLDER is the speaker, files directly in FOLDER have none.
``grid``     clips of one speaker, or of several told apart by ``s26_name`` or by folders; word times from
             ``FOLDER.words.tsv`` (clip, start_ms, end_ms, word) or from ``*.align`` beside a clip or in ``align/``.
``lrs2``     ``[main/|pretrain/]SPEAKER/CLIP.mp4`` with ``CLIP.txt``, whose word times are read where it has any.

``speech``, sound without a face, is not read here: see ``spoken.py``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.common.grid import Words, read_words
from realtime_dub.errors import ConfigError, MediaError

VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".m4v", ".mpeg", ".ts", ".flv", ".wmv", ".3gp")
ALIGN_PER_MS = 25  # GRID's alignments count 25,000 per second
SPEECH = "speech"
CORPORA = {"grid": "GRID audiovisual sentence corpus", "lrs2": "LRS2"}  # by layout; both are English


@dataclass(frozen=True)
class Clip:
    """One video. ``name`` is its path under the folder, without the suffix where that is enough to tell it apart."""

    path: Path
    name: str
    speaker: str | None = None
    words: tuple[tuple[int, int, str], ...] = ()  # start ms, end ms, word, from the first picture on
    text: str = ""


def find_clips(folder: Path, layout: str) -> list[Clip]:
    """Every video of ``folder``, by name. Raises ConfigError for an unknown layout, MediaError where there is none."""
    if layout not in LAYOUTS:
        raise ConfigError("unknown layout", repr(layout), f"choose one of {', '.join((*LAYOUTS, SPEECH))}")
    if not folder.is_dir():
        raise MediaError("no such folder:", str(folder), "name the folder that holds the videos")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    if not paths:
        raise MediaError("no videos in", str(folder), f"they end in {', '.join(VIDEO_SUFFIXES)}")
    stems = Counter(path.relative_to(folder).with_suffix("").as_posix() for path in paths)
    return [LAYOUTS[layout](folder, path, _name(folder, path, stems)) for path in paths]


def _name(folder: Path, path: Path, stems: Counter[str]) -> str:
    name = path.relative_to(folder)
    stem = name.with_suffix("").as_posix()
    return stem if stems[stem] == 1 else name.as_posix()


def _generic(folder: Path, path: Path, name: str) -> Clip:
    parts = path.relative_to(folder).parts
    return Clip(path, name, parts[0] if len(parts) > 1 else None)


def _grid(folder: Path, path: Path, name: str) -> Clip:
    parts = path.relative_to(folder).parts
    before, underscore, _ = path.stem.partition("_")
    speaker = parts[0] if len(parts) > 1 else before if underscore else folder.name
    words = _grid_words(folder, path)
    return Clip(path, name, speaker, tuple(words), " ".join(word for _, _, word in words if word != "sil"))


def _grid_words(folder: Path, path: Path) -> Words:
    for align in (path.with_suffix(".align"), path.parent / "align" / f"{path.stem}.align"):
        if align.exists():
            rows = [line.split() for line in align.read_text().splitlines() if line.strip()]
            return [(int(start) // ALIGN_PER_MS, int(end) // ALIGN_PER_MS, word) for start, end, word in rows]
    return _tables(path.parent).get(path.stem, []) or _tables(folder).get(path.stem, [])


_READ: dict[Path, dict[str, Words]] = {}


def _tables(folder: Path) -> dict[str, Words]:
    """The words beside a folder, read once."""
    path = folder.with_name(f"{folder.name}.words.tsv")
    if path not in _READ:
        _READ[path] = read_words(path)
    return _READ[path]


def _lrs2(folder: Path, path: Path, name: str) -> Clip:
    text_file = path.with_suffix(".txt")
    lines = text_file.read_text("utf-8").splitlines() if text_file.exists() else []
    text = next((line.partition(":")[2].strip() for line in lines if line.startswith("Text")), "")
    return Clip(path, name, path.parent.name if path.parent != folder else None, tuple(_lrs2_words(lines)), text)


def _lrs2_words(lines: list[str]) -> Words:
    """Rows ``WORD START END ...`` in seconds, which the pretraining part has."""
    words: Words = []
    for row in (line.split() for line in lines):
        if len(row) >= 3 and row[0] != "WORD":
            try:
                words.append((round(float(row[1]) * 1000), round(float(row[2]) * 1000), row[0].lower()))
            except ValueError:
                continue
    return words


LAYOUTS: dict[str, Callable[[Path, Path, str], Clip]] = {"generic": _generic, "grid": _grid, "lrs2": _lrs2}
