"""What a net's motion is like by most voices: measured over filmed tracks, told in its bundle's ``spec.json``.

    python -m engines.mouthbank.usual BUNDLE [BUNDLE ...] --data prepared/people

The program takes it for a voice that it has not heard yet (``realtime_dub/mouth/mouthbank/style.py``). The network
itself stays as it is. ``ensemble`` does the same for the bundles it writes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, evenly
from engines.mouthbank.evaluate import motions_at
from realtime_dub.inference.bundle import SPEC, Bundle, load
from realtime_dub.inference.spec import UsualSpec
from realtime_dub.media import MS, NS
from realtime_dub.mouth.mouthbank.motion import MotionStream, opening
from realtime_dub.mouth.mouthbank.style import SPEAKS

TRACKS = 80
EVERY_NS = 40 * MS
LEAST = 50  # motions
OPENINGS = 21  # from the least to the widest
DECIMALS = 4


def usual_motion(bundle: Bundle, sounds: Sequence[Array]) -> UsualSpec | None:
    """Of voices (n,) at the bundle's rate, as far as they speak. None of a net that hears hardly any speech in them."""
    moved = np.concatenate([_spoken(bundle, sound) for sound in sounds])
    if len(moved) < LEAST:
        return None
    openings = np.array([opening(each) for each in moved])
    terms = np.stack([np.ones_like(openings), openings], 1)
    line = np.linalg.lstsq(terms, moved.reshape(len(moved), -1), rcond=None)[0]
    steps = np.quantile(openings, np.linspace(0, 1, OPENINGS))
    return UsualSpec(openings=_rounded(steps), line=_rounded(line.reshape(2, -1, 3)))


def tell(folder: Path, sounds: Sequence[Array], known: bool = False) -> Path:
    """Write it into the spec of the bundle in ``folder``; returns that. ``known``: it was made here, just now."""
    return write(folder, usual_motion(load(folder, known), sounds))


def write(folder: Path, usual: UsualSpec | None) -> Path:
    """The same of what was measured before."""
    path = folder / SPEC
    told = json.loads(path.read_text("utf-8"))
    told.pop("usual", None)
    text = json.dumps(told, indent=1)
    if usual is not None:  # a thousand numbers, in one line
        numbers = json.dumps(usual.model_dump(mode="json"), separators=(",", ":"))
        text = text.removesuffix("\n}") + f',\n "usual": {numbers}\n}}'
    path.write_text(text + "\n", "utf-8")
    return folder


def some_sounds(dataset: Dataset) -> list[Array]:
    """Of the filmed tracks that nets learn from."""
    return [dataset.audio(entry) for entry in evenly(dataset.part("train"), TRACKS)]


def _spoken(bundle: Bundle, sound: Array) -> Array:
    """The motions (m, points, 3) while somebody speaks."""
    stream, rate = MotionStream(bundle), bundle.motion.audio.rate
    motions = motions_at(stream, sound, rate, range(0, len(sound) * NS // rate, EVERY_NS))
    found = [motion.displacement for motion in motions if motion.speech > SPEAKS]
    return np.reshape(found, (-1, len(stream.points), 3))


def _rounded(numbers: Array) -> Any:
    return np.round(numbers.astype(np.float64), DECIMALS).tolist()


def main() -> None:
    parser = argparse.ArgumentParser(description="Tell in bundles what their nets' motion is like by most voices.")
    parser.add_argument("bundle", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a prepared folder; may be repeated")
    arguments = parser.parse_args()
    sounds = some_sounds(Dataset(*arguments.data))
    for folder in arguments.bundle:
        tell(folder, sounds)
        print(f"{folder}: {len(sounds)} voices")


if __name__ == "__main__":
    main()
