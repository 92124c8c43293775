"""What moves the mouth although the person does not speak, and what the gate misses of speech.

`python -m benchmarks.false_movement --data PREPARED [--part validation] [--bundle FOLDER]`

Everything is heard block by block through the code that runs live: motion net, probability of speech, gate, 25 pictures
a second. PREPARED is a folder of `prepare-dataset SPEECH --layout speech`; of its people those are heard whom no net
was trained on: `--part test` a corpus kept out, `--part validation` speakers kept out of the other corpora, on whom the
gate was chosen. The sounds that are no speech are made from a seed (`scenes.py`).

Speed: of the lips that the dub moves, as a share of their speed in clean speech; opening: mean change from rest, mouth
widths. Between: the same while the sound stands between sentences.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks import scenes
from benchmarks.output import last_line, show
from benchmarks.scenes import Sentence
from engines.common import Array
from engines.common.dataset import Dataset
from engines.common.metrics import LIPS_AT, OPENING_AT
from engines.common.sounds import RATE
from engines.common.speech.inventory import INDEX, SIL
from realtime_dub.inference.bundle import Bundle, load, load_default
from realtime_dub.media import MS, NS, Floats
from realtime_dub.mouth.gate import FADE_OUT_NS, HOLD_NS, SpeechGate
from realtime_dub.mouth.mouthbank.motion import MotionStream

BLOCK = 2560  # the stream gives the same for any; fewer calls take less time
FRAME_NS = 40 * MS
HOPS = 4  # label frames to a picture
SETTLED = round((HOLD_NS + FADE_OUT_NS) / FRAME_NS)  # pictures after a word by which the live mouth is back
LEAD = 3  # pictures before a word that belong to it
AFTER_S, GAP_S, BEFORE_S = 0.3, 2.0, 0.3
SNR_DB = (20, 10, 5, 0)


@dataclass(frozen=True, eq=False)
class Watched:
    """Pictures of a sound."""

    share: Array  # (T,) of the dubbed mouth
    moved: Array  # (T, points, 3) what is drawn of it, mouth widths from rest

    @property
    def speed(self) -> Array:
        """Of the lips, (T - 1,), mouth widths a picture."""
        return np.asarray(np.linalg.norm(np.diff(self.moved[:, LIPS_AT, :2], axis=0), axis=-1).mean(-1))

    @property
    def opening(self) -> Array:
        """Change of the lips' opening from rest (T,)."""
        gaps = self.moved[:, OPENING_AT[:, 1], 1] - self.moved[:, OPENING_AT[:, 0], 1]
        return np.asarray(np.abs(gaps.mean(1)))


def watch(bundle: Bundle, sound: Floats) -> Watched:
    """What a sound (n,) at 16 kHz makes of the mouth."""
    stream, gate = MotionStream(bundle), SpeechGate()
    share: list[float] = []
    moved: list[Floats] = []
    count = len(sound) * NS // RATE // FRAME_NS
    sound = np.concatenate([sound, np.zeros(RATE // 4, np.float32)])
    for at in range(0, len(sound), BLOCK):
        stream.hear(sound[at : at + BLOCK], at * NS // RATE)
        while len(share) < count and len(share) * FRAME_NS <= stream.heard_until_ns():
            motion = stream.at(len(share) * FRAME_NS)
            share.append(gate(motion.speech, len(share) * FRAME_NS))
            moved.append(motion.displacement * np.float32(share[-1]))
    return Watched(np.array(share), np.stack(moved))


@dataclass(frozen=True)
class Still:
    """How still the mouth is while the person does not speak."""

    open: float  # share of the pictures that are dubbed
    speed: float  # of the lips, as a share of that in speech
    opening: float  # mouth widths


def still(watched: Watched, where: Array, speech_speed: float) -> Still:
    """Figures of the pictures ``where`` (T,) is true."""
    speed = watched.speed[where[1:] & where[:-1]].mean() / speech_speed
    return Still(float((watched.share[where] > 0).mean()), float(speed), float(watched.opening[where].mean()))


@dataclass(frozen=True)
class Heard:
    """How speech passes the gate."""

    missed: float  # share of the pictures of speech less than half dubbed
    delay_ms: float  # of the opening after a pause, median
    delay_90_ms: float  # 90 %
    late: float  # share of the openings that come more than 400 ms late, or never
    open: float  # share of the pictures of long pauses that are dubbed


def spoken(labels: Array) -> Array:
    """Whether a word is spoken, at each picture (T,)."""
    return np.asarray(labels[::HOPS] != INDEX[SIL])


def pauses(said: Array) -> Array:
    """The pictures (T,) so long after a word, and before the next, that the live mouth should be seen."""
    at = np.flatnonzero(said)
    places = np.arange(len(said))
    before = places - at[np.maximum(np.searchsorted(at, places, "right") - 1, 0)]
    after = at[np.minimum(np.searchsorted(at, places), len(at) - 1)] - places
    return np.asarray(~said & ((before < 0) | (before > SETTLED)) & ((after < 0) | (after > LEAD)))


def onsets(said: Array) -> Iterator[int]:
    """Where speech begins after the gate has had time to shut."""
    for at in np.flatnonzero(said[1:] & ~said[:-1]) + 1:
        if not said[max(0, at - SETTLED - 1) : at].any():
            yield int(at)


def framed(person: Sentence, seed: int = 0) -> tuple[Floats, Array]:
    """A sentence in a quiet room, two seconds before and behind it, and its labels."""
    pad = round(GAP_S * RATE)
    count = len(person.labels) * scenes.HOP
    sound = np.concatenate([np.zeros(pad, np.float32), np.resize(person.sound, count), np.zeros(pad, np.float32)])
    silence = np.full(round(GAP_S * 100), INDEX[SIL])
    return sound + scenes.room(len(sound), seed), np.concatenate([silence, person.labels, silence])


def heard(bundle: Bundle, people: list[Sentence], colour: str, snr_db: float) -> Heard:
    """The gate's figures over all sentences, in noise of ``colour`` or, without one, in a quiet room."""
    missed, opened, delays = [], [], []
    for index, person in enumerate(people):
        sound, labels = framed(person, seed=index)
        if colour:
            noise = scenes.noise_of(colour, people, len(sound), np.random.default_rng([scenes.SEED, index]))
            sound = sound + scenes.at_level(noise, -snr_db)
        share = watch(bundle, sound).share
        said = spoken(labels)[: len(share)]
        missed.append(share[said] < 0.5)
        opened.append(share[pauses(said)] > 0)
        delays += [_delay(share, at) for at in onsets(said)]
    return _summed(np.concatenate(missed), np.concatenate(opened), np.array(delays) * FRAME_NS / MS)


def _delay(share: Array, at: int) -> float:
    """Pictures from the first of speech to the first that is half dubbed; negative where it was open before."""
    early = min(at, 5)
    opened = np.flatnonzero(share[at - early :] >= 0.5)
    return float(opened[0] - early) if len(opened) else np.inf


def _summed(missed: Array, opened: Array, delays: Array) -> Heard:
    middle, most = np.quantile(delays, (0.5, 0.9), method="nearest")
    return Heard(float(missed.mean()), float(middle), float(most), float((delays > 400).mean()), float(opened.mean()))


def between(kind: str, people: list[Sentence], count: int = 6) -> tuple[Floats, Array]:
    """Sentences 2 s apart with a sound of ``kind`` in each pause, and their labels; what goes on goes on beneath."""
    rng = np.random.default_rng([scenes.SEED, 1, scenes.kinds().index(kind)])
    parts = [framed(person, seed=index) for index, person in enumerate(people[:count])]
    sound = np.concatenate([own[: -round((GAP_S - BEFORE_S) * RATE)] for own, _ in parts])
    labels = np.concatenate([own[: -round((GAP_S - BEFORE_S) * 100)] for _, own in parts])
    other = scenes.nobody(kind, people[::-1], len(sound) / RATE + 0.01, scenes.SEED + 1)[: len(sound)]
    if kind not in scenes.SHORT:
        return sound + other, labels
    at = 0
    for own, _ in parts:
        start = at + round(AFTER_S * RATE)
        event = scenes.other_sound(kind, rng)[: round((GAP_S - 2 * AFTER_S) * RATE)]
        sound[start : start + len(event)] += event
        at += len(own) - round((GAP_S - BEFORE_S) * RATE)
    return sound, labels


@dataclass(frozen=True)
class Report:
    """Everything that was measured."""

    alone: dict[str, Still]
    between: dict[str, Still]
    speech: dict[str, Heard]


def speed_of_speech(bundle: Bundle, people: list[Sentence]) -> float:
    """Mean speed of the lips in clean speech, mouth widths a picture."""
    speeds = []
    for person in people:
        watched = watch(bundle, person.sound)
        said = spoken(person.labels)[: len(watched.share)]
        speeds.append(watched.speed[: len(said) - 1][said[1:] & said[:-1]])
    return float(np.concatenate(speeds).mean())


def measure(bundle: Bundle, people: list[Sentence], seconds: float) -> Report:
    """All tables."""
    usual = speed_of_speech(bundle, people)
    alone, among = {}, {}
    for kind in scenes.kinds():
        watched = watch(bundle, scenes.nobody(kind, people, seconds))
        alone[kind] = still(watched, np.arange(len(watched.share)) >= NS // FRAME_NS, usual)
        sound, labels = between(kind, people)
        watched = watch(bundle, sound)
        among[kind] = still(watched, pauses(spoken(labels)[: len(watched.share)]), usual)
    conditions = [("", 0), *((colour, db) for colour in ("pink", "white", "babble") for db in SNR_DB)]
    return Report(
        alone,
        among,
        {f"{colour} {db} dB" if colour else "clean": heard(bundle, people, colour, db) for colour, db in conditions},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what moves the mouth although the person does not speak.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--part", choices=("test", "validation"), default="test")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--bundle", type=Path)
    arguments = parser.parse_args()
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    people = scenes.sentences(Dataset(*arguments.data), arguments.part, arguments.clips)
    report = measure(bundle, people, arguments.seconds)
    for name, told in (("Nobody speaks", report.alone), ("Between sentences", report.between)):
        show(
            name, ("sound", "dubbed", "speed", "opening"), [(kind, *asdict(row).values()) for kind, row in told.items()]
        )
    columns = ("noise", "missed", "delay ms", "90 % ms", "late", "pauses dubbed")
    show("Speech", columns, [(name, *asdict(row).values()) for name, row in report.speech.items()])
    last_line({"bundle": bundle.label, "clips": len(people)} | asdict(report))


if __name__ == "__main__":
    main()
