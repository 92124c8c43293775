"""Curves as SVG files that are the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib


@dataclass(frozen=True)
class Line:
    """One curve of a chart; with words for ``x`` each is a place of its own, in the order of the first line."""

    name: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]
    joined: int | None = None  # only the first so many points lie on a line; None joins all


def chart(path: Path, title: str, x_label: str, y_label: str, lines: Sequence[Line], width: float = 6) -> None:
    """Draw curves into an SVG file, ``width`` inches wide."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "sweeps", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(figsize=(width, 0.6 * width), layout="constrained")
        for line in lines:
            (points,) = axes.plot(line.x, line.y, "o", label=line.name)
            axes.plot(line.x[: line.joined], line.y[: line.joined], color=points.get_color())
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def panels(path: Path, x_label: str, lines: Sequence[Line], width: float = 8) -> None:
    """Curves below each other over one axis, each with a scale of its own, into an SVG or PNG file."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "panels", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(
            len(lines), 1, sharex=True, squeeze=False, figsize=(width, 1.3 * len(lines)), layout="constrained"
        )
        for line, (each,) in zip(lines, axes, strict=True):
            each.plot(line.x, line.y, linewidth=1)
            each.set(ylabel=line.name, ylim=(0.0, None) if min(line.y, default=0.0) >= 0 else None)
            each.grid(alpha=0.3)
        axes[-1][0].set(xlabel=x_label)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        pyplot.close(figure)
