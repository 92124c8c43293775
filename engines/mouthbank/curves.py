"""A net alone against curves that animators have drawn: another language, another voice, no landmarks.

``python -m engines.mouthbank.curves --data FOLDER [--bundle FOLDER] [--json F]``

FOLDER has recordings as ``NAME.opus`` (or ``.wav``, ``.flac``) with ``NAME.npz``: ``curves`` (n, k), their ``names``
(k,) and ``fps``, as FACEGOOD-Audio2Face's training recordings are. The net hears the sound through the code that runs
live, and what its mouth does is compared with the curves that mean the same. r is the mean over recordings. All are of
one voice: the error is over recordings, not over people.

``net``       the net's motion on the template's face
``shuffled``  its motion to another recording
``ridge``     a linear regression from log-mels to the curves themselves, learnt from all recordings but the one
              measured: it has seen this voice and these curves, the net has not
``layer``     the same from the net's features in place of log-mels, where it tells any: what a last layer of its own
              would make of what the net hears
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from engines.common import Array
from engines.common import video_metrics as metrics
from engines.common.grid import Clip
from engines.common.mouth_figures import MAX_LAG, others
from engines.common.people_figures import Estimate, estimate
from engines.common.rates import places
from engines.common.speech.corpus import RATE, read_sound
from engines.mouthbank.evaluate import Result, run_clip
from engines.mouthbank.rows import shapes
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.errors import MediaError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.inference.bundle import Bundle, load, load_default

SOUNDS = (".opus", ".ogg", ".wav", ".flac")
STANDS = 0.005  # spread of a curve, 0..1, below which a recording has nothing of it to tell
CONTEXT = (-12, -8, -4, 0, 4, 8)  # frames of 10 ms that the regression hears: 80 ms ahead, as the net
PENALTY = 0.01  # of the regression, in variances of a feature
NET, SHUFFLED, RIDGE, LAYER = ROWS = ("net", "shuffled", "ridge", "layer")
Movement = Callable[[Array], Array]


@dataclass(frozen=True)
class Target:
    """Curves that mean one movement, and what of a face (T, 478, 3) it is."""

    names: tuple[str, ...]
    movement: Movement


def _sides(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{side}" for name in names for side in ("l", "r"))


TARGETS = {
    "opening: jaw": Target(("mouth_stretch_c",), metrics.lip_opening),
    "lower lip: jaw": Target(("mouth_stretch_c",), metrics.lower_lip),
    "lower lip: depressing": Target(_sides("mouth_lowerLipDepress_"), metrics.lower_lip),
    "narrowness: rounding": Target(
        (*_sides("mouth_funnel_d", "mouth_funnel_u", "mouth_pucker_"), "mouth_oh_c", "mouth_oo_c"),
        lambda face: -metrics.lip_width(face),
    ),
    "width: spreading": Target(_sides("mouth_lipStretch_", "mouth_lipCornerPull_"), metrics.lip_width),
    "closeness: closing": Target(
        _sides("mouth_press_", "mouth_suck_d", "mouth_suck_u"), lambda face: -metrics.lip_opening(face)
    ),
}


@dataclass(frozen=True, eq=False)
class Recording:
    """One voice with its targets by name, each a curve (n,) at ``fps``; those that stand still are left out."""

    name: str
    audio: Array  # (m,) 16 kHz
    fps: float
    truth: dict[str, Array]
    frames: int


def read(folder: Path) -> list[Recording]:
    """The recordings of a folder. Raises MediaError where there is none."""
    found = [(path, sound) for path in sorted(folder.glob("*.npz")) if (sound := _sound_of(path))]
    if not found:
        raise MediaError("no recordings in", str(folder), "it needs NAME.npz with NAME.opus beside it")
    return [_recording(*pair) for pair in found]


def _sound_of(path: Path) -> Path | None:
    return next((each for suffix in SOUNDS if (each := path.with_suffix(suffix)).exists()), None)


def _recording(path: Path, sound: Path) -> Recording:
    with np.load(path, allow_pickle=False) as stored:
        missing = [key for key in ("curves", "names", "fps") if key not in stored]
        if missing:
            raise MediaError("no curves in", f"{path}: it has no {missing[0]!r}", "give curves (n, k), names, fps")
        curves, names, fps = stored["curves"], [str(name) for name in stored["names"]], float(stored["fps"])
    return Recording(path.stem, read_sound(sound), fps, targets_of(curves, names), len(curves))


def targets_of(curves: Array, names: Sequence[str]) -> dict[str, Array]:
    """The mean of the curves of each target (n,), where they move."""
    found = {}
    for name, target in TARGETS.items():
        at = [names.index(each) for each in target.names if each in names]
        if at and (curve := curves[:, at].mean(1)).std() > STANDS:
            found[name] = curve
    return found


def heard(bundle: Bundle, recording: Recording) -> Result:
    """What the net makes of a recording, on the template's face."""
    still = np.zeros((recording.frames, len(LOWER), 3), np.float32)
    return run_clip(bundle, Clip(recording.name, recording.audio, still, recording.fps, TEMPLATE, None))


def movements(result: Result) -> dict[str, Array]:
    """What the net's mouth does, target by target (n,)."""
    face = shapes(result.motion, TEMPLATE)
    return {name: target.movement(face) for name, target in TARGETS.items()}


def features(recording: Recording, spec: LogMelSpec) -> Array:
    """Log-mels around each instant of the curves (n, bands * len(CONTEXT))."""
    mel = LogMel(spec).process(recording.audio)
    at = places(recording.frames, recording.fps, spec.rate / spec.hop)
    return np.concatenate([mel[np.clip(at + shift, 0, len(mel) - 1)] for shift in CONTEXT], 1)


def regression(seen: Sequence[tuple[Array, Array]], unseen: Array) -> Array:
    """The targets (n,) of features ``unseen`` (n, k), by ridge regression on pairs of features and targets."""
    x, y = (np.concatenate(column).astype(np.float64) for column in zip(*seen, strict=True))
    mean, scale = x.mean(0), x.std(0) + 1e-6
    x = (x - mean) / scale
    weights = np.linalg.solve(x.T @ x + PENALTY * len(x) * np.eye(x.shape[1]), x.T @ (y - y.mean()))
    return np.asarray((unseen - mean) / scale @ weights + y.mean())


def regressed(recordings: Sequence[Recording], inputs: Sequence[Array]) -> list[dict[str, Array]]:
    """For each recording what the others teach, of inputs (n, k) at the instants of the curves."""
    found = []
    for out, recording in enumerate(recordings):
        told = {}
        for name in recording.truth:
            seen = [
                (own[: len(r.truth[name])], r.truth[name][: len(own)])
                for k, (own, r) in enumerate(zip(inputs, recordings, strict=True))
                if k != out and name in r.truth
            ]
            if seen:
                told[name] = regression(seen, inputs[out])
        found.append(told)
    return found


Made = Sequence[Mapping[str, Array]]


def by_row(bundle: Bundle, recordings: Sequence[Recording]) -> dict[str, Made]:
    """What every row makes of each recording."""
    results, count = [heard(bundle, each) for each in recordings], len(recordings)
    net = [movements(each) for each in results]
    rows: dict[str, Made] = {NET: net}
    if count > 1:
        rows[SHUFFLED] = [net[others(place, count)[0]] for place in range(count)]
        rows[RIDGE] = regressed(recordings, [features(each, bundle.motion.audio) for each in recordings])
        told = [each.features for each in results if each.features is not None]
        if len(told) == count:
            rows[LAYER] = regressed(recordings, told)
    return rows


def agreement(recordings: Sequence[Recording], made: Made) -> dict[str, dict[str, object]]:
    """Per target r at lag 0 and at the one lag that is best in the mean over recordings."""
    found = {}
    for name in TARGETS:
        pairs = [
            (r.truth[name], m[name]) for r, m in zip(recordings, made, strict=True) if name in r.truth and name in m
        ]
        if pairs:
            lags = [metrics.correlation_by_lag(*_cut(*pair), MAX_LAG) for pair in pairs]
            best = metrics.best_of({lag: float(np.mean([each[lag] for each in lags])) for lag in lags[0]}).best_lag
            at_0, at_best = (estimate(each[lag] for each in lags) for lag in (0, best))
            fps = recordings[0].fps
            found[name] = {
                "recordings": len(pairs),
                "r_at_0": at_0,
                "r_best": at_best,
                "lag_ms": round(best * 1000 / fps),
            }
    return found


def _cut(truth: Array, test: Array) -> tuple[Array, Array]:
    count = min(len(truth), len(test))
    return truth[:count], test[:count]


def show(title: str, found: Mapping[str, Mapping[str, Mapping[str, object]]]) -> None:
    """Print one line a target, one column a row."""
    table = Table("", "recordings", *found, title=title, title_justify="left")
    for name in next(iter(found.values())):
        cells = [_cell(row[name]) if name in row else "-" for row in found.values()]
        table.add_row(name, str(next(iter(found.values()))[name]["recordings"]), *cells)
    Console(width=None if Console().is_terminal else 200).print(table)


def _cell(figures: Mapping[str, object]) -> str:
    at_0, best = figures["r_at_0"], figures["r_best"]
    assert isinstance(at_0, Estimate)
    assert isinstance(best, Estimate)
    return f"{at_0.mean:.3f} ±{at_0.error:.3f}, best {best.mean:.3f} ({figures['lag_ms']:+d} ms)"


def plain(found: Mapping[str, Mapping[str, Mapping[str, object]]]) -> dict[str, object]:
    """The same for a file."""
    return {
        row: {name: {key: _plain(value) for key, value in figures.items()} for name, figures in targets.items()}
        for row, targets in found.items()
    }


def _plain(value: object) -> object:
    if not isinstance(value, Estimate):
        return value
    return {key: round(each, 4) if np.isfinite(each) else None for key, each in value._asdict().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a motion net against curves that animators have drawn.")
    parser.add_argument("--data", type=Path, required=True, help="folder of NAME.opus and NAME.npz")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    recordings = read(arguments.data)
    found = {row: agreement(recordings, made) for row, made in by_row(bundle, recordings).items()}
    minutes = sum(len(each.audio) for each in recordings) / RATE / 60
    show(f"{bundle.label}, {len(recordings)} recordings, {minutes:.1f} minutes", found)
    told = {"bundle": bundle.label, "recordings": len(recordings), "rows": plain(found)}
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
