"""The rows of a table of mouths: what was asked for, and beside it the ceiling and the floors.

``dubbed``    the engine, by the voice
``truth``     the true motion drawn: what drawing, and tracking the result, leave of a perfect net
``frozen``    the clip's mean shape drawn: what a mouth that never moves comes to
``shuffled``  the engine, by another clip's voice: what chance and the live mouth in silence give to any net
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.rendered import Setup, score
from benchmarks.true_motion import FROZEN
from benchmarks.true_motion import NAME as TRUE_MOTION
from engines.common.mouth_figures import Score, others

DUBBED, SHUFFLED = "dubbed", "shuffled"
DRAWN = {"truth": TRUE_MOTION, "frozen": FROZEN}
ROWS = (DUBBED, *DRAWN, SHUFFLED)


@dataclass(frozen=True)
class Pair:
    """A clip, and the one whose voice and mouth it is to have."""

    clip: Path
    sound: Path
    speaker: str


def names(text: str) -> list[str]:
    """``dubbed,truth`` as rows, each once."""
    found = list(dict.fromkeys(text.split(",")))
    if unknown := [name for name in found if name not in ROWS]:
        raise ArgumentTypeError(f"there is no row {unknown[0]!r}: choose of {', '.join(ROWS)}")
    return found


def setup_of(row: str, setup: Setup) -> Setup:
    """What draws a row."""
    return replace(setup, engine=DRAWN[row]) if row in DRAWN else setup


def heard_by(row: str, place: int, pairs: Sequence[Pair]) -> Path:
    """Whose voice the clip at ``place`` gets."""
    return pairs[others(place, len(pairs))[0] if row == SHUFFLED else place].sound


Job = tuple[str, Setup]  # row and setup


def jobs(rows: Sequence[str], setups: Sequence[Setup], clips: int) -> list[Job]:
    """The first row in every setup, the others in the first one. There is no other voice for a clip alone."""
    possible = [row for row in rows if row != SHUFFLED or clips > 1]
    if not possible:
        raise SystemExit(f"the row {SHUFFLED} needs a second clip: give more clips, or other --rows")
    return [(possible[0], each) for each in setups] + [(row, setups[0]) for row in possible[1:]]


def measured(
    wanted: Sequence[Job], pairs: Sequence[Pair], measure: Callable[..., Score] = score
) -> list[tuple[Score, ...]]:
    """The scores of each of ``wanted``; clip by clip, so that each is tracked once."""
    found = [
        [
            measure(pair.clip, pair.sound, setup_of(row, setup), pair.speaker, heard_by(row, place, pairs))
            for row, setup in wanted
        ]
        for place, pair in enumerate(pairs)
    ]
    return list(zip(*found, strict=True))
