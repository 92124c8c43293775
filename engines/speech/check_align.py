"""How far alignments by our own speech net can be trusted.

``python -m engines.speech.check_align --data PREPARED [--data ...] --net RUN [--clips 120] [--json F]``

English speakers kept out, with pocketsphinx' alignment as the reference: how far borders are off when the net is told
the same sounds, and how many frames agree when it is told the text. Other languages, of which there is no reference:
whether the true text fits better than that of another clip of about as many sounds, and which of the two would pass.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch

from engines.common import Array
from engines.common.dataset import Dataset, Entry, usable
from engines.common.prepare.phones import NET, frame_classes
from engines.common.prepare.spoken import make_aligner
from engines.common.speech.force_align import Alignment
from engines.common.speech.inventory import CLASSES, INDEX, SIL, VISEME_OF
from engines.common.speech.net_align import SHORTEST, NetAligner, Run
from engines.common.speech.pronounce import Pronouncer, Word
from realtime_dub.audio.frontends.logmel import LogMelSpec

NEAR = 2  # frames
FRAME_MS = 10
OF_A_LANGUAGE = 25


def borders(aligner: NetAligner, posteriors: Array, labels: Array) -> Array:
    """How many frames later (n,) than in ``labels`` each border is found, the sequence of sounds being told."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    lengths = np.diff(np.concatenate([[0], edges, [len(labels)]]))
    names = [CLASSES[label] for label in labels[np.concatenate([[0], edges])]]
    runs = [Run(name, min(SHORTEST, int(length)), 0) for name, length in zip(names, lengths, strict=True)]
    path = aligner.path(posteriors, runs)
    assert path is not None, "the labels' own sequence fits its length"
    return np.asarray(np.flatnonzero(np.diff(path)) + 1 - edges)


def agreement(found: Array, labels: Array) -> list[float]:
    """Shares of frames alike: classes and visemes of speech, speech or silence of all."""
    spoken, visemes = labels != INDEX[SIL], np.array(VISEME_OF)
    alike = [(found == labels)[spoken], (visemes[found] == visemes[labels])[spoken], (found != INDEX[SIL]) == spoken]
    return [float(one.mean()) for one in alike]


class Checker:
    """Aligned tracks and their texts."""

    def __init__(self, dataset: Dataset, aligner: NetAligner) -> None:
        self._dataset, self._aligner = dataset, aligner
        self._pronouncer = Pronouncer()

    def _hear(self, entry: Entry) -> tuple[Array, Array]:
        log_power, labels = self._dataset.phones(entry)
        return self._aligner.posteriors(np.exp(log_power.astype(np.float32))), labels

    def _readings(self, entry: Entry) -> list[list[Word]]:
        return self._pronouncer.readings(entry.text, entry.language)

    def _best(self, posteriors: Array, entry: Entry) -> Alignment | None:
        return self._aligner.align_best(posteriors, self._readings(entry))

    def english(self, entries: list[Entry]) -> dict[str, float]:
        """Against the labels of ``entries``."""
        late, alike = [], []
        for entry in entries:
            posteriors, labels = self._hear(entry)
            late.append(borders(self._aligner, posteriors, labels) * FRAME_MS)
            if found := self._best(posteriors, entry):
                alike.append(agreement(frame_classes(found.segments, len(labels)), labels))
        off = np.concatenate(late)
        told = {"clips": len(entries), "border_ms_median": np.median(np.abs(off)), "border_ms_mean": np.abs(off).mean()}
        told |= {"border_within_20_ms": (np.abs(off) <= NEAR * FRAME_MS).mean(), "border_bias_ms": off.mean()}
        told |= dict(zip(("frames", "visemes", "speech_or_silence"), np.mean(alike, axis=0), strict=True))
        return {name: round(float(value), 4) for name, value in told.items()}

    def language(self, entries: list[Entry]) -> dict[str, float]:
        """True texts against texts of other clips of ``entries``."""
        sounds = {e.name: sum(map(len, readings[0])) for e in entries if (readings := self._readings(e))}
        entries = [entry for entry in entries if entry.name in sounds]
        told = []
        for entry in entries:
            posteriors, _ = self._hear(entry)
            others = [other for other in entries if other is not entry]
            other = min(others, key=lambda one: abs(sounds[one.name] - sounds[entry.name]))
            true, wrong = self._best(posteriors, entry), self._best(posteriors, other)
            wins = bool(true) and (not wrong or (true is not None and true.score > wrong.score))
            told.append([wins, bool(true and true.sane), bool(wrong and wrong.sane)])
        shares = dict(zip(("true_fits_better", "true_passes", "wrong_passes"), np.mean(told, axis=0), strict=True))
        return {"clips": len(entries)} | {name: round(float(value), 4) for name, value in shares.items()}


def check(checker: Checker, entries: list[Entry], count: int) -> dict[str, dict[str, float]]:
    """All figures; ``count`` English clips and some of each language, drawn alike each time."""
    draw = random.Random(0)
    held = [e for e in usable(entries) if e.part == "validation" and e.aligner != NET and not e.filmed]
    figures = {"en": checker.english(draw.sample(held, min(count, len(held))))}
    languages: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry.aligner == NET and entry.language != "en" and entry.seconds > 0:
            languages[entry.language].append(entry)
    for language, own in sorted(languages.items()):
        if len(own) > 1:
            figures[language] = checker.language(draw.sample(own, min(OF_A_LANGUAGE, len(own))))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="Check alignments by a speech net.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--net", type=Path, required=True, help="run whose speech net aligns")
    parser.add_argument("--clips", type=int, default=120, help="English clips")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset = Dataset(*arguments.data)
    checker = Checker(dataset, make_aligner(arguments.net, arguments.data, LogMelSpec()))
    text = json.dumps(check(checker, dataset.entries, arguments.clips), indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
