"""Nets side by side on voices spoilt in several ways: what `python -m benchmarks.sweeps --compare FILE` shows.

FILE keeps the figures of every net ever measured on the same clips, so that a net whose weights are gone stays in the
table, and one measured anew takes its old place. Beside them stands the floor: another clip's voice. A frozen mouth has
r 0 and the distance 1 by definition.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.charts import Line, chart
from benchmarks.output import plain
from benchmarks.spoilt import telephone
from engines.common.grid import Clip
from engines.common.mouth_figures import others
from engines.mouthbank.evaluate import run_clip, with_noise
from engines.mouthbank.voices import clip_figures, faster
from realtime_dub.errors import ConfigError
from realtime_dub.inference.bundle import Bundle

SNR_DB = (20, 10, 5, 0)
Distortion = Callable[[Clip, np.random.Generator], Clip]
Kept = dict[str, "dict[str, Score]"]  # by net, then by what was done to the voice


@dataclass(frozen=True)
class Score:
    """Means over clips."""

    r: float  # of the lip opening
    distance: float  # of the lips, as a share of the mean shape's


def unchanged(clip: Clip, rng: np.random.Generator) -> Clip:
    return clip


def noisy(decibel: float) -> Distortion:
    """Pink noise so far below the voice."""
    return lambda clip, rng: replace(clip, audio=with_noise(clip, decibel, rng))


CONDITIONS: dict[str, Distortion] = {
    "clean": unchanged,
    **{f"{decibel} dB": noisy(decibel) for decibel in SNR_DB},
    "telephone": lambda clip, rng: replace(clip, audio=telephone(clip.audio)),
    "tract +15 %": lambda clip, rng: faster(clip, 1.15),
}


ANOTHER = "another voice"
UNKNOWN = float("nan")


def exchanged(clips: Sequence[Clip]) -> list[Clip]:
    """Each clip's mouth with the voice of another."""
    return [
        replace(clip, audio=clips[at].audio) for place, clip in enumerate(clips) for at in others(place, len(clips))
    ]


def score(bundle: Bundle, clips: Sequence[Clip], change: Distortion = unchanged) -> Score:
    """How the net follows ``clips``; what chance does to a clip is the same for every bundle."""
    found = []
    for index, clip in enumerate(clips):
        figures = clip_figures(run_clip(bundle, change(clip, np.random.default_rng(index))))
        found.append((figures["r"], figures["distance_share"]))
    r, distance = np.mean(found, axis=0)
    return Score(float(r), float(distance))


def scores(bundle: Bundle, clips: Sequence[Clip]) -> dict[str, Score]:
    """The net's score under each condition, and with another clip's voice where there is one."""
    found = {name: score(bundle, clips, change) for name, change in CONDITIONS.items()}
    return found | ({ANOTHER: score(bundle, other)} if (other := exchanged(clips)) else {})


def read(path: Path, clips: Sequence[Clip]) -> Kept:
    """The figures kept in ``path``; none where there is no such file. Raises ConfigError where they are of others."""
    if not path.exists():
        return {}
    told = json.loads(path.read_text())
    if told["clips"] != [clip.name for clip in clips]:
        raise ConfigError("figures of other clips are in", str(path), "give another --compare, or the same --data")
    return {
        net: {name: Score(**figures) for name, figures in conditions.items()}
        for net, conditions in told["nets"].items()
    }


def write(path: Path, clips: Sequence[Clip], kept: Kept) -> None:
    """Keep the figures."""
    nets = {net: {name: plain(asdict(each)) for name, each in found.items()} for net, found in kept.items()}
    path.write_text(json.dumps({"clips": [clip.name for clip in clips], "nets": nets}, indent=1) + "\n")


def compared(path: Path, bundles: Mapping[str, Bundle], clips: Sequence[Clip]) -> Kept:
    """The figures kept in ``path`` and those of ``bundles``, measured now and kept there too."""
    kept = read(path, clips)
    kept |= {name: scores(bundle, clips) for name, bundle in bundles.items()}
    write(path, clips, kept)
    return kept


def rows(kept: Kept) -> list[tuple[object, ...]]:
    """Two rows a net: r and the distance, condition by condition; NaN where it was never measured."""
    return [
        (net, figure, *(getattr(found.get(name), figure, UNKNOWN) for name in (*CONDITIONS, ANOTHER)))
        for net, found in kept.items()
        for figure in ("r", "distance")
    ]


def draw(out: Path, kept: Kept) -> None:
    """``baselines.svg`` and ``baselines-distance.svg``."""
    out.mkdir(parents=True, exist_ok=True)
    titles = {"r": "Lip opening, by net", "distance": "Distance of the lips, by net"}
    labels = {"r": "r", "distance": "share of the mean shape's"}
    for figure, file in (("r", "baselines.svg"), ("distance", "baselines-distance.svg")):
        at = tuple(CONDITIONS)
        lines = [
            Line(net, at, tuple(getattr(found[name], figure) for name in at), joined=1 + len(SNR_DB))
            for net, found in kept.items()
        ]
        chart(out / file, titles[figure], "what is heard", labels[figure], lines, width=8)
