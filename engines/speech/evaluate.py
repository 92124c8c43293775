"""How well the speech net hears people it has never heard.

``python -m engines.speech.evaluate --data PREPARED [--data ...] --net RUN [--json F]``

Frame accuracy is that of the aligner's labels, which are some 20 ms off at the borders of sounds: no net reaches 1.
The labels of other languages than English are what a net of this kind made of espeak-ng's reading of the text: their
frames flatter nets that mishear alike; the phoneme error goes by the reading's sounds.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engines.common import Array
from engines.common.dataset import PARTS, Dataset, Entry, usable
from engines.common.speech.inventory import CLASSES, INDEX, SIL, VISEME_OF, VISEMES
from engines.common.speech.losses import load_speech
from engines.common.speech.network import LOOK_AHEAD, STRIDE, SpeechNet
from engines.common.speech.strangers import Distortion, changes, groups
from engines.common.speech.synthesise import ESPEAK, FLITE
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

SHORTEST = 2  # outputs; what is shorter is no sound but the edge of one


@dataclass(frozen=True, eq=False)
class Heard:
    """One clip: what was spoken and what the net made of it, at every ``STRIDE``-th frame."""

    entry: Entry
    spoken: Array  # (m,)
    found: Array  # (m,)

    @functools.cached_property
    def errors(self) -> tuple[int, int]:
        """:func:`phone_errors`, counted once for all groups that the clip is in."""
        return phone_errors(self.spoken, self.found)


def recognise(
    net: SpeechNet, dataset: Dataset, entries: list[Entry], spec: LogMelSpec, distort: Distortion | None = None
) -> list[Heard]:
    """The net's best class per frame of each clip, ``distort`` applied to its powers."""
    front_end, late, heard = LogMel(spec), LOOK_AHEAD // STRIDE, []
    for entry in entries:
        logarithm, labels = dataset.phones(entry)
        power = np.exp(logarithm.astype(np.float32))
        mel = front_end.compress(distort(power) if distort else power)
        with torch.no_grad():
            found = net.strided_forward(torch.from_numpy(mel)[None])[0].argmax(-1).numpy()[late:]
        heard.append(Heard(entry, labels[::STRIDE][: len(found)], found))
    return heard


def frame_figures(heard: list[Heard]) -> dict[str, float]:
    """Shares of right frames (speech alone; sounds and visemes), of silence found, and the phoneme error rate."""
    if not heard:
        return {}
    spoken, found = np.concatenate([h.spoken for h in heard]), np.concatenate([h.found for h in heard])
    voiced, visemes = spoken != INDEX[SIL], np.array(VISEME_OF)
    closed = np.isin(spoken, [INDEX[name] for name in VISEMES["closed"]])
    errors, total = np.sum([h.errors for h in heard], axis=0)
    return {
        "frames": _share((spoken == found)[voiced]),
        "visemes": _share((visemes[spoken] == visemes[found])[voiced]),
        "closed_found": _share((visemes[found] == visemes[INDEX["p"]])[closed]),
        "silence": _share((found == INDEX[SIL])[~voiced]),
        "phone_error": round(float(errors / max(total, 1)), 4),
    }


def _share(right: Array) -> float:
    """The share of ``right`` (n,) that is true; 0 of nothing, which JSON can say."""
    return round(float(right.mean()), 4) if len(right) else 0.0


def phone_errors(spoken: Array, found: Array) -> tuple[int, int]:
    """Edits between the sequences of sounds of two rows of frames, and the length of the true one."""
    truth, heard = sequence(spoken, 1), sequence(found, SHORTEST)
    row = np.arange(len(heard) + 1)
    for i, name in enumerate(truth, 1):
        before, row = row, np.empty_like(row)
        row[0] = i
        for j, other in enumerate(heard, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (name != other))
    return int(row[-1]), len(truth)


def sequence(labels: Array, shortest: int) -> list[int]:
    """The sounds one after another, silence and runs under ``shortest`` frames left out, repeats joined."""
    edges = np.flatnonzero(np.diff(labels)) + 1
    runs = [run for run in np.split(labels, edges) if len(run) >= shortest]
    names = [int(run[0]) for run in runs if run[0] != INDEX[SIL]]
    return [name for i, name in enumerate(names) if i == 0 or names[i - 1] != name]


def amounts(entries: list[Entry]) -> dict[str, dict[str, object]]:
    """What there is to learn from and to measure with, by corpus, aligner and, where there are many, language."""
    trusted = {entry.name for entry in usable(entries)}
    told: dict[str, dict[str, object]] = {}
    kinds: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        if not entry.aligner and not entry.seconds:
            continue  # nobody tried
        kinds[f"{entry.corpus}, {entry.aligner}" if entry.aligner else entry.corpus].append(entry)
        if entry.corpus not in (ESPEAK, FLITE) and (entry.language != "en" or entry.aligner):
            kinds[f"{entry.corpus}, {entry.aligner}, {entry.language}"].append(entry)
    for name, own in sorted(kinds.items()):
        told[name] = {"tried": len(own), "aligned": sum(entry.seconds > 0 for entry in own)}
        for part in PARTS:
            if kept := [entry for entry in own if entry.part == part and entry.name in trusted]:
                told[name][part] = _amount(kept)
    return told


def _amount(entries: list[Entry]) -> dict[str, float]:
    hours = round(sum(entry.seconds for entry in entries) / 3600, 3)
    return {"speakers": len({entry.speaker for entry in entries}), "clips": len(entries), "hours": hours}


def figures_of(net: SpeechNet, dataset: Dataset, spec: LogMelSpec) -> dict[str, object]:
    """All figures: of every group, and of what is kept out in noise, on a telephone and the like."""
    entries = dataset.entries
    found = groups(usable(entries))
    strangers = list({entry.name: entry for clips in found.values() for entry in clips}.values())
    heard = {one.entry.name: one for one in recognise(net, dataset, strangers, spec)}
    figures: dict[str, object] = {"classes": len(CLASSES), "parameters": sum(p.numel() for p in net.parameters())}
    for name, clips in found.items():
        figures[name] = _amount(clips) | frame_figures([heard[entry.name] for entry in clips])
    for name, change in changes(spec).items():
        figures[name] = frame_figures(recognise(net, dataset, found["held_out"], spec, change))
        if away := found.get("languages_kept_out"):
            figures[f"{name}, languages_kept_out"] = frame_figures(recognise(net, dataset, away, spec, change))
    return figures | {"data": amounts(entries)}


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the speech net.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--net", type=Path, required=True, help="folder of a run, or of its stage speech or voice")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    text = json.dumps(figures_of(load_speech(arguments.net), Dataset(*arguments.data), LogMelSpec()), indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
