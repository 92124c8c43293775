"""Whether the lips touch in every p, b and m that is spoken.

``python -m engines.mouthbank.contact --data PREPARED [--part validation] [--clips 60] [--bundle FOLDER]`` for people
 who were only heard, none of them in training; for filmed ones ``engines.mouthbank.voices`` counts the same.

A sound's time is the phone aligner's, 40 ms more at either end. Lips touch where the gap between the inner lips is at
most 0.03 mouth widths at a picture. A filmed person's gap is that of their neutral shape with the predicted motion. Of
a person who was only heard no shape is known: their neutral mouth is taken to be shut, so that the gap is the predicted
change of it.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset
from engines.common.grid import SILENCE, Clip
from engines.common.metrics import OPENING_AT
from engines.common.speech.corpus import EVALUATION, RATE, SAID
from engines.common.speech.force_align import Aligner, Segment
from engines.common.speech.inventory import CLASSES, VISEMES
from engines.common.video_metrics import TOUCH
from engines.mouthbank.evaluate import Result, with_end
from realtime_dub.inference.bundle import Bundle, load, load_default
from realtime_dub.media import NS
from realtime_dub.mouth.mouthbank.motion import MotionStream

AROUND_S = 0.04  # the aligner's borders are some 20 ms off, a picture is 40 ms long
CLOSED = VISEMES["closed"]
FPS = 25
BLOCK = 2560


@dataclass(frozen=True)
class Contact:
    """The least gap in one sound, mouth widths; the real one where it was filmed."""

    name: str  # p, b or m
    found: float
    real: float | None = None


def aligned(aligner: Aligner, clip: Clip) -> list[Segment]:
    """The p, b and m of a filmed clip; none where sound and words do not fit."""
    return bilabials(aligner, clip.audio, [word for *_, word in clip.words or [] if word != SILENCE])


def bilabials(aligner: Aligner, sound: Array, words: list[str]) -> list[Segment]:
    """The p, b and m of English ``words`` in a sound (n,) at 16 kHz; none where they do not fit."""
    found = aligner.align(sound, [SAID.get(word, word) for word in words]) if words else None
    return [s for s in found.segments if s.name in CLOSED] if found and found.sane else []


def labelled(labels: Array, hop_s: float = 0.01) -> list[Segment]:
    """The p, b and m in a clip's labels (n,)."""
    edges = [0, *(np.flatnonzero(np.diff(labels)) + 1), len(labels)]
    runs = itertools.pairwise(edges)
    return [
        Segment(CLASSES[labels[a]], a * hop_s, b * hop_s) for a, b in runs if b > a and CLASSES[labels[a]] in CLOSED
    ]


def contacts(segments: Iterable[Segment], fps: float, found: Array, real: Array | None = None) -> list[Contact]:
    """The least of the gaps (T,) at ``fps`` within each sound."""
    times = np.arange(len(found)) / fps
    told = []
    for segment in segments:
        inside = (times >= segment.start - AROUND_S) & (times <= segment.end + AROUND_S)
        if inside.any():
            told.append(
                Contact(segment.name, float(found[inside].min()), None if real is None else float(real[inside].min()))
            )
    return told


def of_results(results: Iterable[Result]) -> list[Contact]:
    """The contacts of filmed clips."""
    aligner, told = Aligner(), []
    for result in results:
        told += contacts(aligned(aligner, result.clip), result.clip.fps, *result.openings)
    return told


def of_sound(bundle: Bundle, sound: Array, segments: list[Segment]) -> list[Contact]:
    """The contacts of somebody heard (n,) at 16 kHz."""
    stream = MotionStream(bundle)
    gaps: list[float] = []
    sound = with_end(sound, stream, RATE)
    for at in range(0, len(sound), BLOCK):
        stream.hear(sound[at : at + BLOCK], at * NS // RATE)
        while len(gaps) * NS // FPS <= stream.heard_until_ns():
            moved = stream.at(len(gaps) * NS // FPS).displacement
            gaps.append((moved[OPENING_AT[:, 1], 1] - moved[OPENING_AT[:, 0], 1]).mean().item())
    return contacts(segments, FPS, np.array(gaps))


def figures(told: list[Contact]) -> dict[str, object]:
    """How many sounds there are and the share in which the lips touch, together and by sound."""
    by_name: dict[str, list[Contact]] = defaultdict(list)
    for contact in told:
        by_name["all"].append(contact)
        by_name[contact.name].append(contact)
    return {name: _shares(each) for name, each in sorted(by_name.items())}


def _shares(told: list[Contact]) -> dict[str, float]:
    shares = {"sounds": len(told), "touch": round(float(np.mean([c.found <= TOUCH for c in told])), 4)}
    real = [c.real <= TOUCH for c in told if c.real is not None]
    return shares | ({"touch_real": round(float(np.mean(real)), 4)} if real else {})


def heard(bundle: Bundle, dataset: Dataset, part: str, count: int) -> dict[str, object]:
    """Figures for ``count`` tracks of people never trained on, who are only heard."""
    known = [entry for entry in dataset.spoken(part) if not entry.filmed]
    chosen = [known[i] for i in np.linspace(0, len(known) - 1, min(count, len(known))).astype(int)]
    told: list[Contact] = []
    for entry in chosen:
        told += of_sound(bundle, dataset.audio(entry), labelled(dataset.phones(entry)[1]))
    speakers = len({entry.speaker for entry in chosen})
    return {"bundle": bundle.label, "part": part, "clips": len(chosen), "speakers": speakers} | figures(told)


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the p, b and m in which the lips of people unknown touch.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--part", choices=("validation", "test"), default="validation", help=f"test: {EVALUATION}")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    print(json.dumps(heard(bundle, Dataset(*arguments.data), arguments.part, arguments.clips)))


if __name__ == "__main__":
    main()
