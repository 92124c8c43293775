"""What to expect on free speech of people who were never filmed: does the net that hears as it goes move as the teacher
who hears the whole, through the Whisper encoder?

``python -m engines.mouthbank.proxy --data PREPARED --run RUN [--bundle FOLDER] [--json F]``

RUN is a run of ``train-engine mouthbank``: its voice net is measured, or the bundle in its place; its teacher is the
judge. r is that of the lip opening at lag 0 within a clip, averaged over clips; "spoken": between the first sound of a
clip and the last. If the net's errors against the teacher have nothing to do with the teacher's errors against a real
mouth, then r against that mouth is the product of both: ``expected`` = ``r_spoken`` x :data:`TEACHER`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from engines.common import Array
from engines.common.dataset import Dataset, Entry, usable
from engines.common.metrics import openings
from engines.common.speech.corpus import LANGUAGES_KEPT_OUT
from engines.common.speech.inventory import INDEX, SIL
from engines.common.speech.network import STRIDE
from engines.common.speech.strangers import changes, groups
from engines.common.speech.vectors import track_labels
from engines.common.video_metrics import correlation
from engines.mouthbank.teacher import Teacher, load_teacher
from engines.mouthbank.voice_net import VoiceNet, load_voice
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference import bundle as bundles

TEACHER = 0.80  # r in speech of the teacher on filmed strangers: of the one before; this one has 0.84 over whole clips
CLIPS = 40  # of a group
LOOK_AHEAD = 8  # frames, of the head that is measured
BLOCK = 16  # frames that a bundle hears at a time
NOISE = "pink_noise_10_db"
Mover = Callable[[Array], Array]  # features (n, bands) to displacement (n - look-ahead, points, 3)


def of_net(net: VoiceNet) -> Mover:
    """A run's net."""

    def move(mel: Array) -> Array:
        with torch.no_grad():
            found = net(torch.from_numpy(mel)[None], net.initial_state())[0]
        return np.asarray(found[0, net.look_ahead :].numpy())

    return move


def of_bundle(folder: Path) -> Mover:
    """A bundle, block by block with its state."""
    bundle = bundles.load(folder)
    session, late = bundle.session(), bundle.motion.look_ahead_ns // bundle.motion.audio.hop_ns

    def move(mel: Array) -> Array:
        feeds = {state.before: np.zeros(state.zeros_shape(), np.float32) for state in bundle.spec.states}
        parts = []
        for at in range(0, len(mel), BLOCK):
            results = session.run(feeds | {"mel": mel[None, at : at + BLOCK]})
            feeds = {state.before: results[state.after] for state in bundle.spec.states}
            parts.append(results["displacement"][0])
        return np.asarray(np.concatenate(parts)[late:])

    return move


def clip_agreement(found: Array, taught: Array, labels: Array) -> tuple[float, float]:
    """r of two lip openings (m,) over a clip, and between the first of its sounds and the last."""
    count = min(len(found), len(taught))
    said = np.flatnonzero(labels[:count] != INDEX[SIL])
    cut = slice(said[0], said[-1] + 1) if len(said) else slice(0, 0)
    spoken = correlation(found[cut], taught[:count][cut]) if len(said) > 1 else 0.0
    return correlation(found[:count], taught[:count]), spoken


class Judge:
    """The teacher, and the basis in which it speaks."""

    def __init__(self, dataset: Dataset, teacher: Teacher, net: VoiceNet, spec: LogMelSpec) -> None:
        self._dataset, self._teacher, self._net = dataset, teacher, net
        self._front_end = LogMel(spec)
        self._aligned = {entry.name for entry in usable(dataset.entries)}

    def _opening(self, entry: Entry) -> Array:
        found = self._teacher.teach(self._dataset.power(entry), self._dataset.vectors(entry))
        coefficients = torch.from_numpy(found)[None]
        with torch.no_grad():
            return openings(self._net.displacement(coefficients)[0].numpy(), TEMPLATE)

    def figures(self, move: Mover, entries: list[Entry], change: Callable[[Array], Array]) -> dict[str, float]:
        """Mean r over clips, and of those the standard error."""
        scores = []
        for entry in entries:
            log_power, taught = self._dataset.power(entry), self._opening(entry)
            labels = track_labels(self._dataset, entry, entry.name in self._aligned, len(log_power))
            mel = self._front_end.compress(change(np.exp(log_power.astype(np.float32))))
            found = openings(move(mel), TEMPLATE)
            scores.append(clip_agreement(found[::STRIDE], taught, labels[::STRIDE]))
        mean, error = np.mean(scores, axis=0), np.std(scores, axis=0) / np.sqrt(len(scores))
        told = {"r": mean[0], "r_spoken": mean[1], "error": error[1], "expected": mean[1] * TEACHER}
        return {name: round(float(value), 4) for name, value in told.items()}


def chosen(entries: list[Entry], count: int = CLIPS, seed: int = 0) -> dict[str, list[Entry]]:
    """Up to ``count`` clips of each group of strangers."""
    known = groups(entries)
    away = [f"language kept out {language}" for language in LANGUAGES_KEPT_OUT]
    others = [e for e in known.get("held_out", []) if e.language != "en"]
    found = {
        "english, speakers kept out": known.get("language en", []),
        "women": [e for e in known.get("language en", []) if e.gender == "female"],
        "men": [e for e in known.get("language en", []) if e.gender == "male"],
        "librispeech": known.get("librispeech", []),
        "other languages, speakers kept out": others,
        **{name: known.get(name, []) for name in away},
    }
    return {name: random.Random(seed).sample(clips, min(count, len(clips))) for name, clips in found.items() if clips}


def measure(judge: Judge, move: Mover, entries: list[Entry], spec: LogMelSpec) -> dict[str, Mapping[str, object]]:
    """All groups, clean and in noise."""
    noise = changes(spec)[NOISE]
    return {
        name: {
            "clips": len(clips),
            "speakers": len({entry.speaker for entry in clips}),
            "clean": judge.figures(move, clips, lambda power: power),
            NOISE: judge.figures(move, clips, noise),
        }
        for name, clips in chosen(entries).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Does the listening net move as the teacher does?")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--run", type=Path, required=True, help="run of train-engine mouthbank")
    parser.add_argument("--teacher", type=Path, help="another run's teacher, if its basis is the same")
    parser.add_argument("--bundle", type=Path, help="measure this bundle in place of the run's net")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec, net, dataset = LogMelSpec(), load_voice(arguments.run), Dataset(*arguments.data)
    judge = Judge(dataset, load_teacher(arguments.teacher or arguments.run), net, spec)
    move = of_bundle(arguments.bundle) if arguments.bundle else of_net(net.ahead(LOOK_AHEAD))
    entries = dataset.listened()
    figures = measure(judge, move, entries, spec)
    text = json.dumps({"teacher_on_filmed_strangers": TEACHER, "look_ahead_frames": LOOK_AHEAD} | figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
