"""How a motion net holds up in noise, and what look-ahead buys: `python -m benchmarks.sweeps --data PREPARED -o docs`.

PREPARED is a folder made by prepare-dataset; `--part` (test, without it) of it is heard block by block through the code
that runs live, clean and in pink noise. `--bundle` may be given several times: bundles that differ in look-ahead make
the second chart, whose knee is the least look-ahead within 0.01 of the best r. r is the mean over clips at lag 0; the
distance of the lips is given as a share of what a mouth frozen in the clip's mean shape would score.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

from benchmarks.output import last_line, show
from engines.common.dataset import Dataset
from engines.common.grid import Clip
from engines.common.metrics import correlation, lip_distance
from engines.mouthbank.engine import as_clip
from engines.mouthbank.evaluate import run_clip, with_noise
from realtime_dub.mouth.bundle import Bundle, load, load_default

SNR_DB = (20, 10, 5, 0)
NEAR_BEST = 0.01  # of r


@dataclass(frozen=True)
class Score:
    """Means over clips."""

    r: float  # of the lip opening
    distance: float  # of the lips, as a share of the mean shape's


@dataclass(frozen=True)
class Line:
    """One curve of a chart."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


def score(bundle: Bundle, clips: Sequence[Clip], snr_db: float | None = None) -> Score:
    """How the net follows ``clips``; the noise of a clip is the same for every bundle."""
    found = []
    for index, clip in enumerate(clips):
        sound = None if snr_db is None else with_noise(clip, snr_db, np.random.default_rng(index))
        result = run_clip(bundle, clip, sound)
        real = clip.motion[: len(result.motion)]
        frozen = np.broadcast_to(real.mean(0), real.shape)
        share = lip_distance(result.motion, real).mean() / lip_distance(frozen, real).mean()
        found.append((correlation(*result.openings), float(share)))
    r, distance = np.mean(found, axis=0)
    return Score(float(r), float(distance))


def knee(look_ahead_ms: Sequence[float], r: Sequence[float]) -> float:
    """The least look-ahead whose r is nearly the best."""
    return min(at for at, value in zip(look_ahead_ms, r, strict=True) if value >= max(r) - NEAR_BEST)


def chart(path: Path, title: str, x_label: str, y_label: str, lines: Sequence[Line]) -> None:
    """Draw curves into an SVG file that is the same every time."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context({"svg.hashsalt": "sweeps", "svg.fonttype": "none"}):
        figure, axes = pyplot.subplots(figsize=(6, 3.6), layout="constrained")
        for line in lines:
            axes.plot(line.x, line.y, marker="o", label=line.name)
        axes.set(title=title, xlabel=x_label, ylabel=y_label)
        axes.grid(alpha=0.3)
        if len(lines) > 1:
            axes.legend()
        figure.savefig(path, metadata={"Date": None})
        pyplot.close(figure)


def noise_sweep(bundles: dict[str, Bundle], clips: Sequence[Clip]) -> dict[str, dict[str, Score]]:
    """Per bundle the score clean and at each ratio of signal to noise."""
    return {
        name: {"clean": score(bundle, clips), **{f"{db} dB": score(bundle, clips, db) for db in SNR_DB}}
        for name, bundle in bundles.items()
    }


def draw(out: Path, bundles: dict[str, Bundle], scores: dict[str, dict[str, Score]]) -> dict[str, object]:
    """Write the charts; returns the knee of the look-ahead where there are several to compare."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [
        Line(name, tuple(float(db) for db in SNR_DB), tuple(found[f"{db} dB"].r for db in SNR_DB))
        for name, found in scores.items()
    ]
    chart(out / "noise.svg", "Lip opening against noise", "signal to noise, dB", "r", lines)
    clean = sorted((bundle.spec.look_ahead_ms, scores[name]["clean"]) for name, bundle in bundles.items())
    at = tuple(float(ms) for ms, _ in clean)
    if len(set(at)) < 2:
        return {}
    r, distance = (tuple(getattr(found, key) for _, found in clean) for key in ("r", "distance"))
    chart(out / "look-ahead.svg", "What look-ahead buys", "look-ahead, ms", "r", [Line("r", at, r)])
    lips = [Line("distance", at, distance)]
    chart(out / "look-ahead-distance.svg", "What look-ahead buys", "look-ahead, ms", "share of the mean shape's", lips)
    return {"knee_ms": knee(at, r)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Sweep noise and look-ahead.")
    parser.add_argument("--data", type=Path, required=True, help="a folder made by prepare-dataset")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test")
    parser.add_argument("--bundle", type=Path, action="append", help="the built-in one without it")
    parser.add_argument("--clips", type=int, default=40, help="at most so many")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the charts")
    arguments = parser.parse_args()
    found = [load(path) for path in arguments.bundle] if arguments.bundle else [load_default()]
    bundles = {f"{each.spec.look_ahead_ms} ms ({each.folder.parent.name})": each for each in found}
    dataset = Dataset(arguments.data)
    clips = [as_clip(dataset.load(entry)) for entry in dataset.part(arguments.part)[: arguments.clips]]
    scores = noise_sweep(bundles, clips)
    rows = [(name, at, each.r, each.distance) for name, by_noise in scores.items() for at, each in by_noise.items()]
    show(f"{len(clips)} clips", ("bundle", "sound", "r", "distance / mean shape"), rows)
    plain = {name: {at: vars(each) for at, each in found.items()} for name, found in scores.items()}
    last_line({"clips": len(clips), "scores": plain, **draw(arguments.out, bundles, scores)})


if __name__ == "__main__":
    main()
