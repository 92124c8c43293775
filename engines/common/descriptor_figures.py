"""How far looks at one person, and at two, are apart: ``python -m engines.common.descriptor_figures --data data/grid``.

The mean of ten looks, as it is made of somebody new, from the gallery that another clip leaves. Ten clips a person.
Among the people that ``realtime_dub/face/descriptor.npz`` was learnt from, and with somebody it was not (``KEPT_OUT``).
A table, and JSON on the last line, which is kept as ``engines/common/descriptor.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.make_descriptor import clips, frames
from realtime_dub.face.gallery import Gallery, view
from realtime_dub.face.tracker import MediaPipeTracker

KEPT_OUT = ("s26", "xa", "xb")
CLIPS = 10  # a person
LOOKS = 10  # of which the mean is taken
QUANTILES = {"one": (0.5, 0.95, 0.99, 1.0), "two": (0.0, 0.01, 0.05, 0.5)}

Look = tuple[Array, Array]  # descriptor, view


class Clip:
    """The looks at a face in one clip: the gallery they leave, and the mean of each ten of them."""

    def __init__(self, path: Path) -> None:
        looks = list(_looks(path))
        self.gallery = Gallery()
        for look in looks:
            if not self.gallery.sharpen(*look):
                self.gallery.add(*look)
        tens = [looks[k : k + LOOKS] for k in range(0, len(looks) - LOOKS + 1, LOOKS)]
        self.means = [tuple(np.mean(each, axis=0, dtype=np.float32) for each in zip(*ten, strict=True)) for ten in tens]

    def distances(self, other: Clip) -> list[float]:
        """Of the other one's means from this one's gallery."""
        return [self.gallery.distance(descriptor, seen_from) for descriptor, seen_from in other.means]


def _looks(path: Path) -> Iterator[Look]:
    tracker = MediaPipeTracker()
    try:
        for frame in frames(path):
            face = tracker.track(frame).face
            if face is not None and face.descriptor is not None:
                yield face.descriptor, view(face)
    finally:
        tracker.close()


def people(data: Path) -> dict[str, list[Clip]]:
    """Those it was learnt from and those who were kept out."""
    found = clips(data)
    for name in KEPT_OUT:
        found[name] = sorted(each for each in data.glob(f"others/{name}_*.mp4") if "_hd" not in each.stem)
    return {
        name: [Clip(path) for path in paths[:: max(1, len(paths) // CLIPS)][:CLIPS]] for name, paths in found.items()
    }


def distances(of: dict[str, list[Clip]], kept_out: bool) -> dict[str, list[float]]:
    """Between two clips of one person, and of two people."""
    all_of = [(name, clip) for name, each in of.items() for clip in each]
    found: dict[str, list[float]] = {"one": [], "two": []}
    for (a, first), (b, second) in itertools.permutations(all_of, 2):
        if (a in KEPT_OUT or b in KEPT_OUT) == kept_out:
            found["one" if a == b else "two"] += first.distances(second)
    return found


def figures(data: Path) -> dict[str, dict[str, list[float]]]:
    """Quantiles, per kind."""
    of = people(data)
    every = {"learnt from": distances(of, kept_out=False), "kept out": distances(of, kept_out=True)}
    return {
        name: {kind: np.quantile(each, QUANTILES[kind]).round(2).tolist() for kind, each in found.items()}
        for name, found in every.items()
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/grid"))
    told = figures(parser.parse_args(arguments).data)
    for name, kinds in told.items():
        for kind, values in kinds.items():
            print(
                f"{name}, {kind}:",
                *(f"{share:.0%} {value}" for share, value in zip(QUANTILES[kind], values, strict=True)),
            )
    print(json.dumps({"quantiles": QUANTILES, **told}))


if __name__ == "__main__":
    main()
