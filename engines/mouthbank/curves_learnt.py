"""What it is worth to know how somebody talks freely: a net and its adapter against curves that animators have drawn.

``python -m engines.mouthbank.curves_learnt --data FOLDER [--bundle FOLDER] [--seconds 15 --seconds 30] [--json F]``

FOLDER as of :mod:`engines.mouthbank.curves`. The first seconds of each recording are shown with their sound, as the
first minute of a film is: every second frame in which the net hears speech is a lesson to ``adapter.py``. What the net
makes of the rest, by itself and with what was learnt, is compared with the curves. A net that has learnt from the
recordings is no stranger to them.

A curve has no measure in mouth widths: what the net makes is brought to that of what is shown by a line, for which r
is the same.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.common import Array
from engines.common.people_figures import estimate
from engines.mouthbank.curves import TARGETS, Recording, heard, movements, read
from engines.mouthbank.evaluate import Result
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.pairing import SPEAKS

SECONDS = (15.0, 30.0, 60.0)
LEAST_REST_S = 15.0  # of a recording, that is measured
EVERY = 2  # frames: as of a film
LEAST_GAIN = 0.05  # of the line, curve per mouth width: one that falls would turn the net's mouth round
Pair = tuple[float, float]  # by the net, with what was learnt


def learnt(result: Result, movement: Array, curve: Array, shown: int) -> tuple[Array, Array]:
    """The curve (n,) by the net alone and with what ``shown`` frames have taught."""
    assert result.features is not None
    steep, base = np.polyfit(movement[:shown], curve[:shown], 1)
    lessons = np.flatnonzero(result.speech[:shown:EVERY] >= SPEAKS) * EVERY
    by_net = movement * max(steep, LEAST_GAIN) + base
    adapter = Adapter(result.features.shape[1])
    for at in lessons:
        adapter.learn(result.features[at], np.full((len(LOWER), 3), curve[at] - by_net[at], np.float32))
    told = np.array([adapter.moved(each)[0, 0] for each in result.features], np.float32)
    return by_net, by_net + told * result.speech


def agreement(recordings: Sequence[Recording], results: Sequence[Result], name: str, seconds: float) -> list[Pair]:
    """r of one target behind the first ``seconds`` of each recording that has it and is long enough."""
    found = []
    for recording, result in zip(recordings, results, strict=True):
        curve, movement = recording.truth.get(name), movements(result)[name]
        shown, rest = (round(s * recording.fps) for s in (seconds, LEAST_REST_S))
        if curve is not None and (count := min(len(curve), len(movement))) >= shown + rest:
            made = learnt(result, movement[:count], curve[:count], shown)
            alone, with_lessons = (float(np.corrcoef(each[shown:count], curve[shown:count])[0, 1]) for each in made)
            found.append((alone, with_lessons))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what lessons in free speech are worth against drawn curves.")
    parser.add_argument("--data", type=Path, required=True, help="folder of NAME.opus and NAME.npz")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument(
        "--seconds", type=float, action="append", help="shown; may be repeated; 15, 30 and 60 without it"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    recordings = read(arguments.data)
    results = [heard(bundle, each) for each in recordings]
    if any(each.features is None for each in results):
        raise ConfigError("nothing to adapt in", bundle.label, "give a bundle that tells its features")
    rows = {
        name: {
            f"{seconds:g}": agreement(recordings, results, name, seconds) for seconds in arguments.seconds or SECONDS
        }
        for name in TARGETS
    }
    show(f"{bundle.label}: r behind so many seconds, by the net alone and with what they taught", rows)
    told = {
        "bundle": bundle.label,
        "rows": {
            name: {seconds: [[round(r, 4) for r in pair] for pair in pairs] for seconds, pairs in row.items()}
            for name, row in rows.items()
        },
    }
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


def show(title: str, rows: Mapping[str, Mapping[str, Sequence[Pair]]]) -> None:
    """Print one line a target."""
    table = Table("", *(f"{seconds} s" for seconds in next(iter(rows.values()))), title=title, title_justify="left")
    for name, row in rows.items():
        table.add_row(name, *(_cell(pairs) for pairs in row.values()))
    Console(width=None if Console().is_terminal else 200).print(table)


def _cell(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return "-"
    alone, with_lessons = (estimate(each) for each in zip(*pairs, strict=True))
    return f"{alone.mean:.3f} -> {with_lessons.mean:.3f} ±{with_lessons.error:.3f} ({len(pairs)})"


if __name__ == "__main__":
    main()
