"""How motion nets hold up in noise, what look-ahead buys, and nets side by side: `python -m benchmarks.sweeps`.

`--data` is a folder made by prepare-dataset; `--part` (test, without it) of it is heard block by block through the
code that runs live, clean and in pink noise. `--bundle` may be given several times, each as FOLDER or NAME=FOLDER:
bundles that differ in look-ahead make the second chart, whose knee is the least look-ahead within 0.01 of the best r.
r is the mean over clips at lag 0; the distance of the lips is given as a share of what a mouth frozen in the clip's
mean shape would score. `--compare FILE` puts the bundles beside the nets whose figures FILE keeps (comparison.py).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import comparison
from benchmarks.charts import Line, chart
from benchmarks.comparison import SNR_DB, Score, noisy, score
from benchmarks.output import last_line, show
from engines.common.dataset import Dataset
from engines.common.grid import Clip
from realtime_dub.inference.bundle import Bundle, load, load_default

NEAR_BEST = 0.01  # of r


def knee(look_ahead_ms: Sequence[float], r: Sequence[float]) -> float:
    """The least look-ahead whose r is nearly the best."""
    return min(at for at, value in zip(look_ahead_ms, r, strict=True) if value >= max(r) - NEAR_BEST)


def noise_sweep(bundles: dict[str, Bundle], clips: Sequence[Clip]) -> dict[str, dict[str, Score]]:
    """Per bundle the score clean, at each ratio of signal to noise, and with another clip's voice: the floor."""
    other = comparison.exchanged(clips)
    return {
        name: {
            "clean": score(bundle, clips),
            **{f"{db} dB": score(bundle, clips, noisy(db)) for db in SNR_DB},
            **({comparison.ANOTHER: score(bundle, other)} if other else {}),
        }
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
    clean = sorted((bundle.look_ahead_ms, scores[name]["clean"]) for name, bundle in bundles.items())
    at = tuple(float(ms) for ms, _ in clean)
    if len(set(at)) < 2:
        return {}
    r, distance = (tuple(getattr(found, key) for _, found in clean) for key in ("r", "distance"))
    chart(out / "look-ahead.svg", "What look-ahead buys", "look-ahead, ms", "r", [Line("r", at, r)])
    lips = [Line("distance", at, distance)]
    chart(out / "look-ahead-distance.svg", "What look-ahead buys", "look-ahead, ms", "share of the mean shape's", lips)
    return {"knee_ms": knee(at, r)}


def named(given: Sequence[str]) -> dict[str, Bundle]:
    """The bundles of NAME=FOLDER or FOLDER by name, which else is told by look-ahead and folder."""
    found = {}
    for text in given:
        name, _, folder = text.rpartition("=")
        bundle = load(Path(folder))
        found[name or _usual_name(bundle)] = bundle
    return found


def _usual_name(bundle: Bundle) -> str:
    return f"{bundle.look_ahead_ms} ms ({bundle.folder.parent.name})"


def sweep(bundles: dict[str, Bundle], clips: Sequence[Clip], out: Path) -> dict[str, object]:
    """The table and charts of noise and look-ahead."""
    found = noise_sweep(bundles, clips)
    rows = [(name, at, each.r, each.distance) for name, by_noise in found.items() for at, each in by_noise.items()]
    show(f"{len(clips)} clips", ("bundle", "sound", "r", "distance / mean shape"), rows)
    plain = {name: {at: vars(each) for at, each in by_noise.items()} for name, by_noise in found.items()}
    return {"clips": len(clips), "scores": plain, **draw(out, bundles, found)}


def compare(kept: Path, bundles: dict[str, Bundle], clips: Sequence[Clip], out: Path) -> dict[str, object]:
    """The table and charts of nets side by side."""
    found = comparison.compared(kept, bundles, clips)
    show(f"{len(clips)} clips", ("net", "figure", *comparison.CONDITIONS, comparison.ANOTHER), comparison.rows(found))
    comparison.draw(out, found)
    return {"clips": len(clips), "nets": list(found), "figures": str(kept)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder made by prepare-dataset")
    parser.add_argument("--part", choices=("train", "validation", "test"), default="test")
    parser.add_argument("--bundle", action="append", help="FOLDER or NAME=FOLDER; the built-in one without it")
    parser.add_argument("--clips", type=int, default=40, help="at most so many")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show these bundles beside the nets of FILE")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the charts")
    arguments = parser.parse_args()
    built_in = load_default("mouthbank")
    usual = {"shipped" if arguments.compare else _usual_name(built_in): built_in}
    bundles = named(arguments.bundle) if arguments.bundle else usual
    dataset = Dataset(arguments.data)
    clips = [dataset.clip(entry) for entry in dataset.part(arguments.part)[: arguments.clips]]
    if arguments.compare:
        last_line(compare(arguments.compare, bundles, clips, arguments.out))
    else:
        last_line(sweep(bundles, clips, arguments.out))


if __name__ == "__main__":
    main()
