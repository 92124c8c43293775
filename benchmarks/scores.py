"""Scores of dubbed clips put together: over all, by speaker, by gender and by language; and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.output import show
from engines.common import video_metrics as metrics
from engines.common.mouth_figures import MAX_LAG, Score
from engines.common.people import People, groups
from engines.common.people_figures import mean_known, openings

SHOWN = ("r_at_0", "best_lag", "r_spoken", "distance", "mean_shape", "distance_share", "amplitude_spoken", "jitter")
Summary = dict[str, float]


def pooled(scores: Sequence[Score]) -> metrics.Agreement:
    """Agreement over all clips at once."""
    return metrics.correlation_and_lag(*openings(scores), MAX_LAG)


def summary(scores: Sequence[Score]) -> dict[str, float]:
    """Means over clips; pixels are counted; the correlation is pooled, and beside that the mean of the clips'."""
    means = {key: mean_known(score.figures[key] for score in scores) for key in scores[0].figures}
    means["outside_pixels"] = float(sum(score.figures["outside_pixels"] for score in scores))
    agreement = pooled(scores)
    means |= {"r_of_clips": means["r_at_0"], "r_at_0": agreement.r_at_0, "r_best": agreement.r_best}
    means["best_lag"] = float(agreement.best_lag)
    return means


def by_speaker(scores: Sequence[Score]) -> dict[str, Summary]:
    """The summary of each speaker's clips."""
    people = sorted({each.speaker for each in scores})
    return {name: summary([each for each in scores if each.speaker == name]) for name in people}


def by_group(scores: Sequence[Score], people: People) -> dict[str, dict[str, Summary]]:
    """The summary by gender and by language, of those whom ``people`` knows."""
    found = groups([each.speaker for each in scores], people)
    return {
        name: {value: summary([scores[place] for place in places]) for value, places in values.items()}
        for name, values in found.items()
    }


def table(title: str, scores: Sequence[Score], people: People) -> None:
    """Clips, then speakers, then genders and languages, then all."""
    means = summary(scores)
    columns = [key for key in SHOWN if key in means]
    rows = [(each.name, *(each.figures[key] for key in columns)) for each in scores]
    told = {f"speaker {name}": found for name, found in by_speaker(scores).items()}
    for name, values in by_group(scores, people).items():
        told |= {f"{name} {value}": found for value, found in values.items()}
    rows += [(name, *(found[key] for key in columns)) for name, found in (told | {"all": means}).items()]
    show(title, ("clip", *columns), rows)


def written(scores: Sequence[Score], people: People) -> dict[str, object]:
    """All figures, for a file."""
    each = {one.name: one.figures for one in scores}
    return {**summary(scores), "speakers": by_speaker(scores), **by_group(scores, people), "each": each}
