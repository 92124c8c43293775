"""Rendered mouths over several noises and look-aheads: a table, `rendered-noise.svg` and `rendered-look-ahead.svg`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.charts import Line, chart
from benchmarks.output import show

FIGURES = ("r_of_clips", "r_spoken", "distance_share", "amplitude_spoken")
SCALE = "r, and share of the mean shape's distance"


@dataclass(frozen=True)
class Point:
    """What one setup came to."""

    noise_db: float | None  # None is clean
    look_ahead: int | None  # None is the engine's usual one
    figures: dict[str, float]

    @property
    def heard(self) -> str:
        return "clean" if self.noise_db is None else f"{self.noise_db:g} dB"

    @property
    def waits(self) -> str:
        return "usual" if self.look_ahead is None else f"{self.look_ahead} ms"


def noises(text: str) -> list[float | None]:
    """``clean,20,10`` as numbers, clean as None."""
    return [None if part == "clean" else float(part) for part in text.split(",")]


def whole_numbers(text: str) -> list[int | None]:
    """``0,80`` as numbers."""
    return [int(part) for part in text.split(",")]


def table(title: str, points: Sequence[Point]) -> None:
    """One row a setup."""
    rows = [(point.heard, point.waits, *(point.figures[name] for name in FIGURES)) for point in points]
    show(title, ("voice", "look-ahead", *FIGURES), rows)


def draw(out: Path, points: Sequence[Point]) -> None:
    """A curve of r and of the distance over whatever there are several of."""
    out.mkdir(parents=True, exist_ok=True)
    if len({p.heard for p in points}) > 1:
        lines = over_noise(points)
        chart(out / "rendered-noise.svg", "Rendered lips against noise", "signal to noise", SCALE, lines)
    if len({p.waits for p in points}) > 1:
        lines = over_look_ahead(points)
        chart(out / "rendered-look-ahead.svg", "Rendered lips, by look-ahead", "look-ahead", SCALE, lines)


def over_noise(points: Sequence[Point]) -> list[Line]:
    """Curves over what is heard, two for each look-ahead."""
    return [
        line
        for waits in dict.fromkeys(p.waits for p in points)
        for line in _both([p for p in points if p.waits == waits], waits, "heard")
    ]


def over_look_ahead(points: Sequence[Point]) -> list[Line]:
    """Curves over the look-ahead, two for each noise."""
    return [
        line
        for heard in dict.fromkeys(p.heard for p in points)
        for line in _both([p for p in points if p.heard == heard], heard, "waits")
    ]


def _both(points: Sequence[Point], name: str, along: str) -> list[Line]:
    at = tuple(str(getattr(p, along)) for p in points)
    labels = {"r_of_clips": "r", "distance_share": "distance"}
    return [Line(f"{told}, {name}", at, tuple(p.figures[key] for p in points)) for key, told in labels.items()]
