"""What a vocoder makes of spectrograms: `python -m benchmarks.vocoders --prepared prepared/s1 --part validation`.

Filmed clips of GRID, as their own spectrogram and as the one that the voice of HPM makes for their lips. By vocoder:
``WER`` by pocketsphinx with a grammar of GRID's words, ``MCD`` along the cheapest warp against the clip's own sound,
``pitch``, the share of the frames with a pitch that is more than 5 % off the own one (of the own spectrogram alone: the
other one's times are not the same to the frame), and processor time for a second of speech.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.output import last_line, show
from benchmarks.voice import Recogniser, said_in, spoken_in, word_errors
from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.hpm.mcd import cepstra, warped
from engines.vocoder.pitch import pitch_of
from engines.vocoder.predicted import spectrogram_of
from realtime_dub.audio.frontends.voice_mel import AT_16K, VoiceMel
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.voice.hpm.speaking import MelMaker, SoundMaker
from realtime_dub.voice.hpm.vocoders import vocoder_named

COLUMNS = ("spectrogram", "vocoder", "WER", "MCD, dB", "pitch off", "CPU ms of a second")
OFF = 0.05  # natural logarithm
OWN, HPM = "own", "hpm"


@dataclass(frozen=True, eq=False)
class Heard:
    """What one clip became."""

    errors: int
    words: int
    mcd: float
    off: float
    cpu: float  # s of a second


def measured(sound: Array, own: Array, entry: Entry, recogniser: Recogniser, cpu_s: float) -> Heard:
    """Of sound (n,) at 16 kHz that was made of a clip whose own is (m,)."""
    begin, end = spoken_in(entry.words)
    said = said_in(entry.words)
    distance = 0.0 if sound is own else warped(cepstra(sound), cepstra(own[begin:end]))
    frames = min(len(sound), len(own)) // AT_16K.hop
    (pitch, voiced), (found, _) = (pitch_of(each, frames) for each in (own, sound))
    off = float((np.abs(found - pitch)[voiced] > OFF).mean()) if voiced.any() else 0.0
    errors = word_errors(said, recogniser.words(sound))
    return Heard(errors, len(said), distance, off, cpu_s / (len(sound) / AT_16K.rate))


def spectrograms(dataset: Dataset, entry: Entry, maker: MelMaker) -> dict[str, Array]:
    """(n, 80) each."""
    front_end, sound = VoiceMel(AT_16K), dataset.audio(entry)
    own = np.concatenate([front_end.process(sound), front_end.finish()])[: len(sound) // AT_16K.hop]
    return {OWN: own, HPM: spectrogram_of(dataset, entry, maker)}


def rows_of(clips: dict[str, list[Heard]]) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for name, heard in clips.items():
        kind, _, vocoder = name.partition(" ")
        wer = sum(each.errors for each in heard) / sum(each.words for each in heard)
        off = float(np.mean([each.off for each in heard]))
        cpu_ms = 1000 * float(np.median([each.cpu for each in heard]))
        mcd = float(np.median([each.mcd for each in heard]))
        rows.append((kind, vocoder, wer, mcd, off if kind != HPM else None, cpu_ms))
    return rows


def run(
    dataset: Dataset, entries: Sequence[Entry], maker: MelMaker, makers: dict[str, SoundMaker]
) -> list[tuple[object, ...]]:
    recogniser, found = Recogniser(), dict[str, list[Heard]]()
    for entry in entries:
        own = dataset.audio(entry)
        found.setdefault(f"{OWN} sound", []).append(measured(own, own, entry, recogniser, 0.0))
        for kind, mel in spectrograms(dataset, entry, maker).items():
            for name, vocoder in makers.items():
                started = time.thread_time()
                sound = vocoder.sound(mel)
                cpu_s = time.thread_time() - started
                found.setdefault(f"{kind} {name}", []).append(measured(sound, own, entry, recogniser, cpu_s))
    return rows_of(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True, help="a speaker of GRID, prepared")
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    parser.add_argument("--bundle", type=Path, help="of hpm, instead of the one that comes with it")
    parser.add_argument("--vocoder", action="append", help="by name or folder; usually all there are")
    parser.add_argument("--clips", type=int, help="so many of them")
    args = parser.parse_args()
    dataset = Dataset(args.prepared)
    maker = MelMaker(load_default("hpm") if args.bundle is None else load(args.bundle))
    names = args.vocoder or ["griffin-lim", "world", "usual"]
    makers = {each: vocoder_named(None if each == "usual" else each, Path(), maker.spec) for each in names}
    rows = run(dataset, dataset.part(args.part)[: args.clips], maker, makers)
    show("vocoders", COLUMNS, rows)
    last_line({"rows": [list(each) for each in rows]})


if __name__ == "__main__":
    main()
