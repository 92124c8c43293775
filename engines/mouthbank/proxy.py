"""What to expect on free speech of people who were never filmed: does the net that hears as it goes move as the teacher
who hears the whole, through the Whisper encoder?

``python -m engines.mouthbank.proxy --data PREPARED [--data ...] --run RUN --stranger SPEAKER [--bundle FOLDER]``

RUN is a run of ``train-engine mouthbank``: its voice net is measured, or the bundle in its place; its teacher is the
judge. r is that of the lip opening at lag 0 within a clip; "spoken": between the first sound of a clip and the last.
If the net's errors against the teacher have nothing to do with the teacher's errors against a real mouth, then r
against that mouth is the product of both: ``expected``. How the teacher and a real mouth agree is measured on the
filmed strangers that are named, and so is the net itself: the product against what it really has is the proxy's own
error. Means and standard errors are over speakers.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from engines.common import Array
from engines.common.dataset import Dataset, Entry, usable
from engines.common.metrics import openings
from engines.common.mouth_figures import others
from engines.common.people_figures import Estimate, estimate
from engines.common.rates import places
from engines.common.speech.corpus import LANGUAGES_KEPT_OUT
from engines.common.speech.inventory import INDEX, SIL
from engines.common.speech.network import STRIDE
from engines.common.speech.strangers import changes, groups
from engines.common.speech.vectors import track_labels
from engines.common.video_metrics import correlation
from engines.mouthbank.teacher import Teacher, load_teacher
from engines.mouthbank.voice_net import VoiceNet, load_voice
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference import bundle as bundles

CLIPS = 40  # of a group
LOOK_AHEAD = 8  # frames, of a run's head that is measured
BLOCK = 16  # frames that a bundle hears at a time
NOISE = "pink_noise_10_db"
Mover = Callable[[Array], Array]  # features (n, bands) to displacement (n - look-ahead, points, 3)
Change = Callable[[Array], Array]  # of band powers (n, bands)
Figures = dict[str, float]


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


def agreement(found: Array, taught: Array, labels: Array) -> tuple[float, float]:
    """r of two lip openings (m,) over a clip, and between the first of its sounds and the last."""
    count = min(len(found), len(taught), len(labels))
    found, taught, said = found[:count], taught[:count], np.flatnonzero(labels[:count] != INDEX[SIL])
    cut = slice(said[0], said[-1] + 1) if len(said) else slice(0, 0)
    return correlation(found, taught), correlation(found[cut], taught[cut]) if len(said) > 1 else 0.0


class Judge:
    """The teacher, and the net that is measured by it."""

    def __init__(self, dataset: Dataset, teacher: Teacher, move: Mover, spec: LogMelSpec) -> None:
        self._dataset, self._teacher, self._move = dataset, teacher, move
        self._front_end = LogMel(spec)
        self._aligned = {entry.name for entry in usable(dataset.entries)}

    def _labels(self, entry: Entry) -> Array:
        frames = len(self._dataset.power(entry))
        return track_labels(self._dataset, entry, entry.name in self._aligned, frames)

    def _motions(self, entry: Entry, change: Change | None = None) -> tuple[Array, Array]:
        """The net's motion (n, 168, 3) every 10 ms, and the teacher's (m, 168, 3) every 20 ms."""
        log_power = self._dataset.power(entry)
        power = np.exp(log_power.astype(np.float32))
        found = self._move(self._front_end.compress(power if change is None else change(power)))
        return found, self._teacher.moved(log_power, self._dataset.vectors(entry))

    def heard(self, entries: Sequence[Entry], change: Change | None = None) -> list[Figures]:
        """Net against teacher in clips of those who are only heard, and ``shuffled``: with another clip's voice."""
        motions = [self._motions(entry, change) for entry in entries]
        found, taught = ([openings(each[k], TEMPLATE) for each in motions] for k in (0, 1))
        told = []
        for place, entry in enumerate(entries):
            labels = self._labels(entry)[::STRIDE]
            r, spoken = agreement(found[place][::STRIDE], taught[place], labels)
            other = others(place, len(entries)) or [place]
            shuffled = agreement(found[other[0]][::STRIDE], taught[place], labels)[1]
            told.append({"r": r, "r_spoken": spoken, "r_shuffled": shuffled})
        return told

    def filmed(self, entry: Entry) -> Figures:
        """Net, teacher and the real mouth of a filmed clip, each against each, in speech."""
        clip = self._dataset.clip(entry)
        found, taught = (openings(each, clip.neutral) for each in self._motions(entry))
        real, labels = openings(clip.motion, clip.neutral), self._labels(entry)
        at = places(len(real), clip.fps, 100)
        at = at[(at < len(found)) & (at // STRIDE < len(taught)) & (at < len(labels))]
        found, taught, real, labels = found[at], taught[at // STRIDE], real[: len(at)], labels[at]
        pairs = {"net_teacher": (found, taught), "teacher_mouth": (taught, real), "net_mouth": (found, real)}
        return {name: agreement(*pair, labels)[1] for name, pair in pairs.items()}


def by_speaker(entries: Iterable[Entry], figures: Iterable[Figures]) -> dict[str, Figures]:
    """The mean of each speaker's clips."""
    own: dict[str, list[Figures]] = defaultdict(list)
    for entry, each in zip(entries, figures, strict=True):
        own[entry.speaker].append(each)
    return {
        speaker: {name: float(np.mean([each[name] for each in theirs])) for name in theirs[0]}
        for speaker, theirs in own.items()
    }


def over_speakers(means: Mapping[str, Figures]) -> dict[str, Estimate]:
    """Each figure's mean and error over speakers."""
    return {name: estimate(each[name] for each in means.values()) for name in next(iter(means.values()))}


def product(one: Estimate, other: Estimate) -> Figures:
    """``one`` times ``other``, with the error that both leave."""
    error = float(np.hypot(one.error * other.mean, one.mean * other.error))
    return {"expected": one.mean * other.mean, "expected_error": error}


def strangers(judge: Judge, entries: Sequence[Entry]) -> dict[str, Figures]:
    """The filmed strangers, each; ``missed`` is what the net really has less the product."""
    means = by_speaker(entries, (judge.filmed(entry) for entry in entries))
    for own in means.values():
        own["missed"] = own["net_mouth"] - own["net_teacher"] * own["teacher_mouth"]
    return means


def filmed_entries(dataset: Dataset, speakers: Sequence[str]) -> list[Entry]:
    """The clips of filmed people that the encoder has listened to. Raises ConfigError where somebody has none."""
    found = [entry for entry in dataset.listened() if entry.filmed and entry.speaker in speakers]
    if missing := sorted(set(speakers) - {entry.speaker for entry in found}):
        raise ConfigError("no filmed clips with vectors of", missing[0], "prepare the folder again with --vectors")
    return found


def chosen(entries: list[Entry], count: int = CLIPS, seed: int = 0) -> dict[str, list[Entry]]:
    """Up to ``count`` clips of each group of strangers."""
    known = groups(entries)
    away = [f"language kept out {language}" for language in LANGUAGES_KEPT_OUT]
    abroad = [e for e in known.get("held_out", []) if e.language != "en"]
    found = {
        "english, speakers kept out": known.get("language en", []),
        "women": [e for e in known.get("language en", []) if e.gender == "female"],
        "men": [e for e in known.get("language en", []) if e.gender == "male"],
        "librispeech": known.get("librispeech", []),
        "other languages, speakers kept out": abroad,
        **{name: known.get(name, []) for name in away},
    }
    return {name: random.Random(seed).sample(clips, min(count, len(clips))) for name, clips in found.items() if clips}


def measure(judge: Judge, entries: list[Entry], trust: Estimate, spec: LogMelSpec) -> dict[str, dict[str, object]]:
    """All groups, clean and in noise; ``trust`` is the teacher's r in speech with real mouths."""
    ways: Mapping[str, Change | None] = {"clean": None, NOISE: changes(spec)[NOISE]}
    told: dict[str, dict[str, object]] = {}
    for name, clips in chosen(entries).items():
        told[name] = {"clips": len(clips), "speakers": len({entry.speaker for entry in clips})}
        for way, change in ways.items():
            found = over_speakers(by_speaker(clips, judge.heard(clips, change)))
            told[name][way] = plain(found) | rounded(product(found["r_spoken"], trust))
    return told


def plain(found: Mapping[str, Estimate]) -> dict[str, float | None]:
    """Each mean under its name, and its error."""
    return rounded({key: value for name, each in found.items() for key, value in
                    ((name, each.mean), (f"{name}_error", each.error))})  # fmt: skip


def rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
    """For a file; an error of one alone is null."""
    return {name: round(float(value), 4) if np.isfinite(value) else None for name, value in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Does the listening net move as the teacher does?")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--run", type=Path, required=True, help="run of train-engine mouthbank")
    parser.add_argument("--bundle", type=Path, help="measure this bundle in place of the run's net")
    parser.add_argument("--stranger", action="append", required=True, metavar="SPEAKER",
                        help="filmed, and learnt from by nobody; may be repeated")  # fmt: skip
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec, dataset = LogMelSpec(), Dataset(*arguments.data)
    bundle = arguments.bundle
    move = of_bundle(bundle) if bundle else of_net(load_voice(arguments.run).ahead(LOOK_AHEAD))
    judge = Judge(dataset, load_teacher(arguments.run), move, spec)
    filmed = strangers(judge, filmed_entries(dataset, arguments.stranger))
    people = over_speakers(filmed)
    told: dict[str, object] = {"bundle": bundles.load(bundle).label if bundle else None, "strangers": plain(people)}
    told |= {"each": {name: rounded(own) for name, own in filmed.items()}}
    told |= {"groups": measure(judge, dataset.listened(), people["teacher_mouth"], spec)}
    text = json.dumps(told, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
