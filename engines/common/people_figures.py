"""Figures over people: the mean, its standard error and the range in which it would lie with other people.

A person's figure is the mean over the person's clips. Clips of one person are alike: an error over clips would look
smaller than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.common import Array
from engines.common.mouth_figures import MAX_LAG, Score
from engines.common.video_metrics import best_of, correlation_by_lag

DRAWS = 2000  # of as many people as there are, each as often as chance has it
RANGE = (0.025, 0.975)
# Figures of the table and what heads their columns; ``best`` is r at the best lag, and that lag.
SHOWN = {
    "r_at_0": "r",
    "r_spoken": "in speech",
    "r_best": "best (lag)",
    "r_width": "width",
    "r_lower_lip": "lower lip",
    "r_jaw": "jaw",
    "distance_share": "distance",
    "distance_share_spoken": "in speech",
    "closed": "closed",
    "closed_wrongly": "wrongly",
    "jitter": "jitter",
    "outside_pixels": "outside",
}
FRAME_MS = 40
Rows = Mapping[str, Sequence[Score]]
Figures = dict[str, float]


class Estimate(NamedTuple):
    """A mean over people. Error and range are NaN where there is only one."""

    mean: float
    error: float
    low: float
    high: float


def estimate(values: Iterable[float], seed: int = 0) -> Estimate:
    """The mean of ``values``, NaN left out: its standard error, and 95 % of the means of people drawn from these."""
    known = np.array([value for value in values if np.isfinite(value)], float)
    mean = float(known.mean()) if len(known) else float("nan")
    if len(known) < 2:
        return alone(mean)
    drawn = np.random.default_rng(seed).choice(known, (DRAWS, len(known))).mean(1)
    low, high = np.quantile(drawn, RANGE)
    return Estimate(mean, float(known.std(ddof=1) / np.sqrt(len(known))), float(low), float(high))


def alone(value: float) -> Estimate:
    """A figure that is no mean over people."""
    return Estimate(float(value), float("nan"), float("nan"), float("nan"))


def mean_known(values: Iterable[float]) -> float:
    """The mean of what is known; NaN where nothing is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def by_person(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Each person's clips, people by name."""
    return {name: [each for each in scores if each.speaker == name] for name in sorted({s.speaker for s in scores})}


def of_person(scores: Sequence[Score]) -> Figures:
    """The means of one person's clips; r at the lag that is best in their mean, and this lag; pixels are counted."""
    found = {name: mean_known(each.figures[name] for each in scores) for name in scores[0].figures}
    if "outside_pixels" in found:
        found["outside_pixels"] = float(sum(each.figures["outside_pixels"] for each in scores))
    best = best_of(_mean_by_lag(scores))
    return found | {"r_best": best.r_best, "best_lag": float(best.best_lag)}


def over_people(scores: Sequence[Score]) -> dict[str, Estimate]:
    """Every figure over people. There is one best lag: that of the mean of all people's r by lag."""
    people = by_person(scores)
    each = [of_person(clips) for clips in people.values()]
    found = {name: estimate(figures[name] for figures in each) for name in each[0]}
    curves = [_mean_by_lag(clips) for clips in people.values()]
    lag = best_of({lag: float(np.mean([curve[lag] for curve in curves])) for lag in _common(curves)}).best_lag
    found["r_best"] = estimate(curve.get(lag, float("nan")) for curve in curves)
    found["best_lag"] = alone(lag)
    if "outside_pixels" in found:
        found["outside_pixels"] = alone(sum(figures["outside_pixels"] for figures in each))
    return found


def _mean_by_lag(scores: Sequence[Score]) -> dict[int, float]:
    curves = [correlation_by_lag(each.truth, each.test, MAX_LAG) for each in scores]
    return {lag: float(np.mean([curve[lag] for curve in curves])) for lag in _common(curves)}


def _common(curves: Sequence[Mapping[int, float]]) -> list[int]:
    """The lags that all curves have: short clips have few."""
    return sorted(set(curves[0]).intersection(*curves)) if curves else []


def written(rows: Rows) -> dict[str, object]:
    """All rows for a file: over people, and person by person."""
    return {
        name: {
            "clips": len({(each.speaker, each.name) for each in scores}),
            "people": len(by_person(scores)),
            "figures": {figure: _rounded(each._asdict()) for figure, each in over_people(scores).items()},
            "persons": {person: _rounded(of_person(clips)) for person, clips in by_person(scores).items()},
        }
        for name, scores in rows.items()
    }


def brief(rows: Rows) -> dict[str, dict[str, float | None]]:
    """The means over people alone."""
    return {
        name: {figure: _number(each.mean) for figure, each in over_people(scores).items()}
        for name, scores in rows.items()
    }


def _rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(value) for name, value in figures.items()}


def _number(value: float) -> float | None:
    """Rounded, and NaN as null, which JSON has no other word for."""
    return round(float(value), 4) if np.isfinite(value) else None


def show_rows(title: str, rows: Rows, persons: Iterable[str] = (), error_stream: bool = False) -> None:
    """Print mean and standard error over people, below them the 95 % range; of the rows ``persons`` each of them."""
    shown = [name for name in SHOWN if any(name in each.figures for scores in rows.values() for each in scores)]
    table = Table("", *(SHOWN[name] for name in shown), title=title, title_justify="left")
    for name, scores in rows.items():
        found = over_people(scores)
        table.add_row(name, *(_cell(figure, found) for figure in shown))
    for name in [name for name in persons if name in rows]:
        for person, clips in by_person(rows[name]).items():
            figures = {figure: alone(value) for figure, value in of_person(clips).items()}
            table.add_row(f"{name}, {person}", *(_cell(figure, figures) for figure in shown))
    console = Console(stderr=error_stream)
    (console if console.is_terminal else Console(stderr=error_stream, width=220)).print(table)


def _cell(figure: str, found: Mapping[str, Estimate]) -> str:
    mean, error, low, high = found[figure]
    if not np.isfinite(mean):
        return "-"
    if figure == "outside_pixels":
        return f"{mean:.0f}"
    told = f"{mean:.3f}" + (f" ±{error:.3f}" if np.isfinite(error) else "")
    if figure == "r_best":
        told += f" ({found['best_lag'].mean * FRAME_MS:+.0f} ms)"
    return told + (f"\n{low:.2f} to {high:.2f}" if np.isfinite(error) else "")


def openings(scores: Sequence[Score]) -> tuple[Array, Array]:
    """True and other lip openings of all clips in a row; a stretch of NaN keeps a shift from mixing two of them."""
    gap = np.full(MAX_LAG, np.nan, np.float32)
    truth = np.concatenate([piece for score in scores for piece in (score.truth, gap)])
    return truth, np.concatenate([piece for score in scores for piece in (score.test, gap)])
