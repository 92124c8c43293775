"""Voices that nobody filmed: the default engine's net says how their mouths move.

It has heard many languages. What it makes of a voice is learnt beside what was filmed, on the face of anybody who was:
so the small net hears hundreds of people where six were filmed.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry, evenly
from realtime_dub.audio.frontends.mfcc import MfccSpec
from realtime_dub.face.sparse_lips import LIPS_AT
from realtime_dub.inference.bundle import load_default, longest_look_ahead
from realtime_dub.media import samples_to_ns
from realtime_dub.mouth.mouthbank.motion import MotionStream

TEACHER = "mouthbank"
FILE = "taught.npz"
SURE = 0.5  # of speech, from which a mouth moves at all


class Teacher:
    """The net that waits longest for the voice."""

    def __init__(self) -> None:
        self._stream = MotionStream(load_default(TEACHER, longest_look_ahead(TEACHER)))

    def lips(self, audio: Array, spec: MfccSpec) -> Array:
        """For a voice (n,) the 20 landmarks' motion (m, 20, 2) at the steps of ``spec``, mouth widths from rest."""
        stream, rate = self._stream, spec.rate
        sound = np.concatenate([audio, np.zeros(rate, np.float32)])
        moved: list[Array] = []
        for start in range(0, len(sound), rate):  # a net remembers three seconds
            stream.hear(sound[start : start + rate], samples_to_ns(start, rate))
            while len(moved) * spec.hop < len(audio) and _at(moved, spec) <= stream.heard_until_ns():
                motion = stream.at(_at(moved, spec))
                weight = np.float32(min(1.0, motion.speech / SURE))
                moved.append(motion.displacement[LIPS_AT, :2] * weight)
        return np.stack(moved).astype(np.float32)


def _at(moved: list[Array], spec: MfccSpec) -> int:
    return len(moved) * spec.hop_ns


def chosen(dataset: Dataset, most: int) -> list[Entry]:
    """At most so many tracks for training that are heard alone, of each language as many as of any other."""
    by_language: dict[str, list[Entry]] = defaultdict(list)
    for entry in dataset.entries:
        if entry.part == "train" and not entry.filmed:
            by_language[entry.language].append(entry)
    each = -(-most // max(1, len(by_language)))
    return [entry for own in by_language.values() for entry in evenly(own, each)][:most]


def taught(dataset: Dataset, entries: list[Entry], spec: MfccSpec, folder: Path) -> list[Array]:
    """The lips of each entry, as :meth:`Teacher.lips`; those of a run that goes on are in its ``folder``."""
    path, names = folder / FILE, [entry.name for entry in entries]
    if path.exists():
        with np.load(path, allow_pickle=False) as stored:
            if stored["names"].tolist() == names:
                return np.split(stored["lips"].astype(np.float32), stored["ends"][:-1])
    teacher = Teacher()
    found = [teacher.lips(dataset.audio(entry), spec) for entry in entries]
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".part-{FILE}"
    ends = np.cumsum([len(each) for each in found])
    np.savez(part, names=np.array(names), lips=np.concatenate(found).astype(np.float16), ends=ends)
    part.replace(path)
    return found
