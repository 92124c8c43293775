"""The page docs/engines.md: tables of all engines, and the same frames of each beside each other."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

import cv2
import numpy as np

from benchmarks.engine_rows import EngineRow, Kept
from engines.common.people_figures import FRAME_MS, Estimate, over_people
from realtime_dub.media import Image

SIDE, MOMENTS = 128, 8  # pixels of a picture, pictures of a row
LETTERS = 132  # pixels beside them
FILMED = "filmed"
NOTHING = "none"  # what an engine without a bundle calls it

# Name of the column -> figure and digits.
MOVES = {
    "r": ("r_at_0", 2),
    "in speech": ("r_spoken", 2),
    "lag, ms": ("best_lag", 0),
    "distance": ("distance", 3),
    "share of the mean shape's": ("distance_share", 2),
    "share in speech": ("distance_share_spoken", 2),
    "jitter": ("jitter_spoken", 3),
    "LipLeak": ("lip_leak", 2),
}
LOOKS = {
    "SSIM": ("ssim", 3),
    "PSNR, dB": ("psnr", 1),
    "sharpness": ("sharpness", 2),
    "seam": ("seam", 2),
    "ms a frame": ("frame_ms", 1),
    "fps live": ("fps_live", 1),
}
WORDS = Path(__file__).with_name("engines.md")


@dataclass(frozen=True)
class Told:
    """What the page says of the measurement itself. ``credit``: where the pictures are from, under which licence."""

    clips: Sequence[str]
    people: Sequence[str]
    left_out: Mapping[str, str]  # engines without a row, and why
    credit: str = ""


def figures_of(row: EngineRow, kept: Kept, clips: Sequence[str]) -> dict[str, float]:
    """Means over people, and what is measured once; what was not measured is missing."""
    cells = [kept.cells[row.name][clip] for clip in clips if clip in kept.cells.get(row.name, {})]
    found: dict[str, Estimate] = over_people(cells) if cells else {}
    means = {name: estimate.mean for name, estimate in found.items()}
    if "best_lag" in means:
        means["best_lag"] *= FRAME_MS
    if any(math.isinf(cell.figures["psnr"]) for cell in cells):
        means["psnr"] = math.inf
    return means | kept.once.get(row.name, {})


def written(rows: Sequence[EngineRow], kept: Kept, told: Told, picture: str) -> str:
    """The page; ``picture``: the sheet's name, "" for none."""
    found = {row.name: figures_of(row, kept, told.clips) for row in rows}
    parts = {
        "clips": len(told.clips),
        "people": f"{len(told.people)} people ({', '.join(told.people)})",
        "moves": _table(found, MOVES),
        "looks": _table(found, LOOKS),
        "picture": _pictured(picture, told.credit) if picture else "",
        "ran": "\n\n".join(filter(None, (_ran(rows, told), _loaded(found)))),
    }
    return Template(WORDS.read_text("utf-8")).substitute(parts)


def _pictured(picture: str, credit: str) -> str:
    return f"## The same frames\n\n![The same frames of a clip, by every engine]({picture})\n\n{credit}\n\n"


def _table(found: Mapping[str, Mapping[str, float]], columns: Mapping[str, tuple[str, int]]) -> str:
    lines = [f"| | {' | '.join(columns)} |", "|" + "---|" * (1 + len(columns))]
    for name, figures in found.items():
        cells = [cell(figures.get(figure, math.nan), digits) for figure, digits in columns.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(value: float, digits: int) -> str:
    """A figure; a dash where there is none.

    >>> cell(0.6789, 2), cell(float("nan"), 2), cell(float("inf"), 1), cell(-0.001, 2)
    ('0.68', '–', 'exact', '0.00')
    """
    if math.isnan(value):
        return "–"
    return "exact" if math.isinf(value) else f"{value + 0.0:.{digits}f}".replace("-0.00", "0.00")


def _ran(rows: Sequence[EngineRow], told: Told) -> str:
    ran = [f"`{row.name}` {row.label}" for row in rows if row.runs_live and row.label != NOTHING]
    lines = [f"What ran: {', '.join(ran)}.", *(f"`{name}` has no row: {why}." for name, why in told.left_out.items())]
    return "\n\n".join(lines)


def _loaded(found: Mapping[str, Mapping[str, float]]) -> str:
    loads = [figures["load"] for figures in found.values() if "load" in figures]
    if not loads:
        return ""
    return f"The live runs began at a load of {min(loads):.1f} to {max(loads):.1f}, on {os.cpu_count()} processors."


def sheet(strips: Mapping[str, Image]) -> Image:
    """Rows of pictures with their names before them."""
    wide = max(picture.shape[1] for picture in strips.values())
    return np.concatenate([_named(name, picture, wide) for name, picture in strips.items()])


def _named(name: str, picture: Image, wide: int) -> Image:
    row = np.full((picture.shape[0], LETTERS + wide, 3), 255, np.uint8)
    row[:, LETTERS : LETTERS + picture.shape[1]] = picture
    at = 8, picture.shape[0] // 2 + 5
    cv2.putText(row, name[:14], at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (40, 40, 40), 1, cv2.LINE_AA)
    return row


def write_sheet(path: Path, rows: Sequence[EngineRow], kept: Kept) -> bool:
    """Of the rows whose pictures were made; False where none was."""
    names = [name for name in (FILMED, *(row.name for row in rows)) if kept.strip(name).exists()]
    found = {name: np.asarray(cv2.imread(str(kept.strip(name))), np.uint8) for name in names}
    if not found:
        return False
    cv2.imwrite(str(path), sheet(found), [cv2.IMWRITE_JPEG_QUALITY, 88])
    return True
