"""Make the speech net's training set: real speech aligned to its text, and synthesised speech.

``python -m engines.speech.prepare --speech FOLDER --out CACHE [--grid CLIPS --landmarks DIR] [--hours-synthetic 1.0]``
``python -m engines.speech.prepare --speech FOLDER --out CACHE --net RUN`` adds what only a speech net can align: other
languages than English, and English with words that the dictionary lacks.

What CACHE has is not made again, clips that failed before are not tried again. Speakers come in turn, so that a run
that was broken off has heard as many as possible.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.common import Array
from engines.common.grid import read_words, split, to_16k
from engines.common.landmarks import clips_in
from engines.speech.cache import Entry, append, load, relabel, store, tidy, usable
from engines.speech.corpus import EVALUATION, FILMED, RATE, Row, read_phones, read_sound, read_table, words_of
from engines.speech.force_align import Aligner, Alignment
from engines.speech.pronounce import Pronouncer, Word, from_phones
from engines.speech.synthesise import make_all
from realtime_dub.audio.frontends.logmel import LogMelSpec

if TYPE_CHECKING:
    from engines.speech.net_align import NetAligner

ENGLISH = "en"
OTHERS = "Common Voice 6.1"  # the corpus of many languages
POCKETSPHINX, NET = "pocketsphinx", "net"
COUNTED = 400  # clips that tell how often each class is spoken
SAID = {"z": "zed"}  # how GRID's British speakers say what is written


def in_turn(rows: list[Row], seed: int = 0) -> list[Row]:
    """One clip of every speaker, then a second of every speaker, and so on; women first within a turn."""
    by_speaker: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        by_speaker[row.corpus, row.speaker].append(row)
    rng = random.Random(seed)
    turns: list[tuple[int, bool, float, Row]] = []
    for own in by_speaker.values():
        rng.shuffle(own)
        turns += [(turn, row.gender != "female", rng.random(), row) for turn, row in enumerate(own)]
    return [row for *_, row in sorted(turns, key=lambda item: item[:3])]


class Preparer:
    """Aligns clips and keeps them in the cache."""

    def __init__(self, out: Path, spec: LogMelSpec) -> None:
        self._out, self._spec = out, spec
        self._aligner = Aligner()
        out.mkdir(parents=True, exist_ok=True)
        self._known = {entry.key: entry for entry in tidy(out)}
        self._started, self.seconds = time.monotonic(), 0.0

    def add(self, row: Row, part: str, sound: Array, words: list[str], phones: list[list[str]] | None = None) -> bool:
        """Align an English clip and store it; False where that is not possible."""
        return self._keep(row, part, sound, self._aligner.align(sound, words, phones), POCKETSPHINX)

    def _keep(self, row: Row, part: str, sound: Array, found: Alignment | None, aligner: str) -> bool:
        seconds = len(sound) / RATE if found else 0.0
        if found:
            store(self._out, row.key, sound, found.segments, self._spec)
            self.seconds += seconds
        score, sane = (round(found.score, 3), found.sane) if found else (0.0, False)
        told = (row.key, row.corpus, row.language, row.speaker, row.gender, part, round(seconds, 2), score, sane)
        append(self._out, Entry(*told, aligner))
        return found is not None

    def add_all(self, folder: Path, rows: list[Row]) -> None:
        """Every English clip of a table."""
        phones = read_phones(folder / "speechocean762.text-phone")
        for count, row in enumerate(in_turn(rows), 1):
            if row.key not in self._known:
                self.add(row, row.part, read_sound(folder / row.file), words_of(row.text), phones.get(_clip(row)))
            self._report(count, len(rows))

    def add_by_net(self, folder: Path, rows: list[Row], aligner: NetAligner, again: bool = False) -> None:
        """Clips of a table that no dictionary has the words of, and those that the dictionary's aligner failed on.

        ``again``: also those that a net has aligned before.
        """
        pronouncer = Pronouncer()
        phones = {clip: from_phones(told) for clip, told in read_phones(folder / "speechocean762.text-phone").items()}
        rows = [row for row in rows if self._for_net(row, again)]
        for count, row in enumerate(in_turn(rows), 1):
            told = phones.get(_clip(row))
            readings: list[list[Word]] = [told] if told else pronouncer.readings(row.text, row.language)
            if readings and row.key in self._known and self._known[row.key].seconds > 0:
                self._align_again(self._known[row.key], readings, aligner)
            elif readings:
                sound = read_sound(folder / row.file)
                self._keep(row, row.part, sound, aligner.align(sound, readings), NET)
            self._report(count, len(rows))

    def _align_again(self, known: Entry, readings: list[list[Word]], aligner: NetAligner) -> None:
        log_power, _ = load(self._out, known.key)
        found = aligner.align_power(np.exp(log_power.astype(np.float32)), readings)
        if found:
            relabel(self._out, known.key, found.segments, self._spec)
            self.seconds += known.seconds
        score, sane = (round(found.score, 3), found.sane) if found else (known.score, False)
        append(self._out, replace(known, score=score, sane=sane))

    def _for_net(self, row: Row, again: bool) -> bool:
        known = self._known.get(row.key)
        if known is None:
            return row.language != ENGLISH and row.corpus == OTHERS
        if known.aligner == NET:
            return again
        return known.seconds == 0 and row.corpus != EVALUATION

    def add_grid(self, clips: Path, landmarks: Path) -> None:
        """The sound of GRID's training and validation clips; the test clips are not even read."""
        words = read_words(clips.with_name(f"{clips.name}.words.tsv"))
        parts = split([path.stem for path in clips_in(clips)])
        named = [("train", name) for name in parts["train"]] + [("held", name) for name in parts["validation"]]
        for count, (part, name) in enumerate(named, 1):
            row = Row(f"grid/{name}.mp4", FILMED, ENGLISH, clips.name, "male", "")
            path = landmarks / f"{name}.npz"
            if row.key not in self._known and name in words and path.exists():
                with np.load(path, allow_pickle=False) as stored:
                    sound = to_16k(stored["audio"], int(stored["rate"]))
                self.add(row, part, sound, [SAID.get(w, w) for *_, w in words[name] if w != "sil"])
            self._report(count, len(named))

    def _report(self, count: int, total: int) -> None:
        if count % 100 == 0 or count == total:
            taken = time.monotonic() - self._started
            print(f"speech: {count}/{total} clips, {self.seconds / 3600:.2f} h aligned, {taken:.0f} s", flush=True)


def _clip(row: Row) -> str:
    return Path(row.file).stem if row.corpus == "speechocean762" else ""


def make_aligner(run: Path, cache: Path, spec: LogMelSpec) -> NetAligner:
    """A run's speech net as an aligner; how often each class is spoken the cache tells."""
    import torch

    from engines.speech.evaluate import load_net
    from engines.speech.net_align import NetAligner, frequency_of

    torch.set_num_threads(1)
    known = [entry for entry in usable(tidy(cache)) if entry.part == "train" and entry.aligner != NET]
    counted = random.Random(0).sample(known, min(COUNTED, len(known)))
    return NetAligner(load_net(run), frequency_of(load(cache, entry.key)[1] for entry in counted), spec)


def main() -> None:
    parser = argparse.ArgumentParser(description="Align and synthesise speech for the speech net.")
    parser.add_argument("--speech", type=Path, required=True, help="folder with transcripts.tsv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--grid", type=Path, help="folder of GRID clips, words beside it")
    parser.add_argument("--landmarks", type=Path, help="where their sound is")
    parser.add_argument("--net", type=Path, help="run whose speech net aligns what is not aligned yet")
    parser.add_argument("--again", action="store_true", help="with --net: also what a net has aligned before")
    parser.add_argument("--hours-synthetic", type=float, default=1.0)
    arguments = parser.parse_args()
    spec = LogMelSpec()
    table = read_table(arguments.speech)
    preparer = Preparer(arguments.out, spec)
    if arguments.net:
        preparer.add_by_net(arguments.speech, table, make_aligner(arguments.net, arguments.out, spec), arguments.again)
        return
    if arguments.grid:
        preparer.add_grid(arguments.grid, arguments.landmarks)
    preparer.add_all(arguments.speech, [row for row in table if row.language == ENGLISH])
    make_all(table, arguments.out, arguments.hours_synthetic, spec)


if __name__ == "__main__":
    main()
