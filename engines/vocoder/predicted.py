"""The spectrograms that the voice of HPM makes of filmed clips, for a vocoder that is to sound well with them.

``python -m engines.vocoder.predicted --data prepared/s1 --out DIR``, then ``predicted = "DIR"`` in
``[source.engine]``. A network's spectrograms are smoother than real ones; a vocoder that has seen such learns to put
back what they lack (Kong et al., HiFi-GAN, section 4.4).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from realtime_dub.errors import UserError
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.voice.hpm.features import lips_at
from realtime_dub.voice.hpm.phonemes import phonemes_of
from realtime_dub.voice.hpm.speaking import MelMaker, Seen
from realtime_dub.voice.tts.script import language_of

PARTS = ("train", "validation")  # the others are for measuring


def spectrogram_of(dataset: Dataset, entry: Entry, maker: MelMaker) -> Array:
    """(n, 80) of a clip as it is said for its own lips. Raises UserError."""
    track = dataset.load(entry)
    count = round(len(track.canonical) / track.fps * maker.spec.frame_rate)
    times = np.arange(len(track.canonical)) / track.fps
    lips = lips_at(times, track.canonical, np.arange(count) / maker.spec.frame_rate)
    names = phonemes_of(entry.text, maker.spec.phonemes, language_of(entry.text, entry.language or None))
    return maker.mel(maker.numbers(names), Seen(lips, maker.usual))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="prepared, filmed, with a text")
    parser.add_argument("--bundle", type=Path, help="of task speech, instead of the one that comes with hpm")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    dataset = Dataset(args.data)
    maker = MelMaker(load_default("hpm") if args.bundle is None else load(args.bundle))
    args.out.mkdir(parents=True, exist_ok=True)
    made = 0
    for entry in (each for part in PARTS for each in dataset.part(part) if each.text):
        path = args.out / f"{entry.name}.npy"
        try:
            if not path.exists():
                np.save(path, spectrogram_of(dataset, entry, maker).astype(np.float16))
            made += 1
        except UserError as error:
            print(f"{entry.name}: {error}")
    print(f"{made} spectrograms in {args.out}")


if __name__ == "__main__":
    main()
