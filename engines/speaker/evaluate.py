"""How well voices are told apart: ``python -m engines.speaker.evaluate --data prepared/speech --part test``.

All pairs of clips of one corpus, by the cosine of their vectors: the share of errors where as many pairs of one person
are refused as pairs of two are taken. Beside the net: mean and spread of the bands, which need none.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset
from engines.speaker.data import Said, equal_errors, pairs, read_said
from realtime_dub.inference.bundle import load
from realtime_dub.voice.hpm.features import voice_vector
from realtime_dub.voice.speaker import SpeakerVectors, own_speakers

MOST = 12  # clips of a speaker


def figures(said: list[Said], vector: Callable[[Array], Array]) -> dict[str, float]:
    """Of clips by their spectrograms (n, 80): the share of errors, and the median cosine of pairs of one and of two."""
    found = np.stack([vector(each.mel.astype(np.float32)) for each in said])
    alike, unlike = pairs(found / np.linalg.norm(found, axis=1, keepdims=True), said)
    return {
        "equal_errors": round(equal_errors(alike, unlike), 4),
        "one": round(float(np.median(alike)), 3),
        "two": round(float(np.median(unlike)), 3),
        "pairs": len(alike) + len(unlike),
    }


def by_bands(said: list[Said]) -> Callable[[Array], Array]:
    """Mean and spread of the bands, in standard deviations over all clips: else all voices are alike."""
    rows = np.stack([voice_vector([each.mel.astype(np.float32)])[:160] for each in said])
    middle, spread = rows.mean(0), rows.std(0) + 1e-6
    return lambda mel: (voice_vector([mel])[:160] - middle) / spread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True, help="a folder of prepare-dataset")
    parser.add_argument("--part", default="validation")
    parser.add_argument("--bundle", type=Path, help="instead of the net that comes with the program")
    args = parser.parse_args()
    said = read_said(Dataset(*args.data), args.part, MOST, alone=False)
    net = own_speakers() if args.bundle is None else SpeakerVectors(load(args.bundle))
    about = {"speakers": len({each.speaker for each in said}), "clips": len(said)}
    found = {"net": figures(said, net.of_mel), "bands": figures(said, by_bands(said))}
    for corpus in sorted({each.entry.corpus for each in said}):
        own = [each for each in said if each.entry.corpus == corpus]
        if len({each.speaker for each in own}) > 1:
            found[f"net, {corpus}"] = figures(own, net.of_mel)
    print(json.dumps({**about, **found}, indent=1))


if __name__ == "__main__":
    main()
