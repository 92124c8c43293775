"""Figures of the net that finds what is before a face: ``python -m engines.mouthbank.occlusion.evaluate --data DIR``.

Scenes are made of the faces of one part of a prepared folder, with every kind of thing and without any; see
``stage.figures``. The last line is JSON; ``--json`` writes it to a file.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset
from engines.mouthbank.occlusion.faces import gathered
from engines.mouthbank.occlusion.scenes import Scene
from engines.mouthbank.occlusion.stage import figures, validation_scenes
from realtime_dub.inference.bundle import Bundle, load, load_part
from realtime_dub.mouth.mouthbank.occlusion_view import feeds

SEED = 11


def found_by(bundle: Bundle, scenes: list[Scene]) -> tuple[Array, list[float]]:
    """What the bundle finds (n, size, size), and the ms of each call."""
    session, found, took_ms = bundle.session(), [], []
    for each in scenes:
        inputs = feeds(each.image, each.drawing[0], each.drawing[1])
        start = time.perf_counter()
        found.append(session.run(inputs)["covered"][0])
        took_ms.append(1000 * (time.perf_counter() - start))
    return np.stack(found), took_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders made by prepare-dataset")
    parser.add_argument("--part", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument(
        "--each", type=int, default=60, help="scenes of each kind of thing; eight times as many without"
    )
    parser.add_argument("--tracks", type=int, default=12, help="of a speaker, at most")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    dataset = Dataset(*args.data)
    faces = gathered(dataset, dataset.part(args.part), every=6, most=args.tracks)
    bundle = load(args.bundle) if args.bundle else load_part("mouthbank", "occlusion")
    scenes = validation_scenes(faces, args.each, SEED)
    found, took_ms = found_by(bundle, scenes)
    told = {
        "bundle": bundle.label,
        "speakers": sorted(set(faces.speakers.tolist())),
        "faces": len(faces),
        "scenes": len(scenes),
        **{name: round(value, 4) for name, value in figures(scenes, found).items()},
        "ms": {str(share): round(float(np.percentile(took_ms, share)), 3) for share in (50, 95)},
    }
    for name, value in told.items():
        print(f"{name:>16}  {value}")
    if args.json:
        args.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
