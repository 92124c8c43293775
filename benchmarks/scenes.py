"""Sound to measure the gate with: people kept out of training, noise about them, and sounds that are no speech.

The sounds come from another seed than those of training, and from ranges outside of theirs (``engines/common/sounds``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.spoilt import pink
from engines.common.dataset import Dataset, Entry
from engines.common.room_sounds import BACKGROUNDS, EVENTS
from engines.common.sounds import BODY, RATE, Die
from realtime_dub.media import Floats

HOP = RATE // 100
SPEECH_RMS = 0.05  # of the frames in which somebody speaks
ROOM_DB = -45.0  # a microphone in a quiet room, against speech
SEED = 2027
# The loudest tenth of a second of what is short, the mean of what goes on, against speech, dB.
LEVELS_DB = {
    "breath": -20.0,
    "sniff": -18.0,
    "smack": -15.0,
    "cough": 0.0,
    "laughter": -3.0,
    "throat": -6.0,
    "clap": 0.0,
    "door": 3.0,
    "keys": -12.0,
    "telephone": -10.0,
    "music": -10.0,
    "fan": -20.0,
    "traffic": -15.0,
}
SHORT = (*BODY, *EVENTS)
NEXT_ROOM_DB = (-15, -20, -25)
NOISE_DB = (-20, -30, -40)
CORPORA = ("Common Voice 13", "Common Voice 6.1", "speechocean762", "LibriSpeech")


@dataclass(frozen=True, eq=False)
class Sentence:
    """A clip of somebody never trained on."""

    name: str
    speaker: str
    sound: Floats  # (n,) at 16 kHz, speech of SPEECH_RMS
    labels: Floats  # (frames,) at 100 Hz, class of engines.common.speech.inventory; 0 is silence


def sentences(dataset: Dataset, part: str = "test", count: int = 24) -> list[Sentence]:
    """``count`` clips, speaker by speaker in turn, of ``part`` (validation or test) of the corpora of real voices."""
    known = [entry for entry in dataset.spoken(part) if entry.corpus in CORPORA]
    return [_sentence(dataset, entry) for entry in _in_turn(known)[:count]]


def _in_turn(entries: list[Entry]) -> list[Entry]:
    """One clip of each speaker, then a second of each, in the index's order of keys."""
    seen: dict[str, int] = {}
    turns = []
    for entry in sorted(entries, key=lambda e: e.name):
        turn = seen[entry.speaker] = seen.get(entry.speaker, 0) + 1
        turns.append((turn, entry.name, entry))
    return [entry for *_, entry in sorted(turns, key=lambda item: item[:2])]


def _sentence(dataset: Dataset, entry: Entry) -> Sentence:
    sound, labels = dataset.audio(entry), dataset.phones(entry)[1]
    said = np.repeat(labels > 0, HOP)
    voiced = sound[: len(said)][said[: len(sound)]]
    return Sentence(entry.name, entry.speaker, at_level(sound, 0.0, float(np.sqrt((voiced**2).mean()))), labels)


def at_level(sound: Floats, decibel: float, rms: float | None = None) -> Floats:
    """``sound`` (n,), of ``rms`` now, at ``decibel`` against speech."""
    now = float(np.sqrt((sound**2).mean())) if rms is None else rms
    return np.asarray(sound * (SPEECH_RMS * 10 ** (decibel / 20) / now), np.float32)


def loudest(sound: Floats) -> float:
    """Root mean square of the loudest tenth of a second."""
    count = RATE // 10
    total = np.concatenate([[0.0], np.cumsum(sound.astype(np.float64) ** 2)])
    return (
        float(np.sqrt(np.max(total[count:] - total[:-count]) / count))
        if len(sound) > count
        else float(np.sqrt((sound**2).sum() / count))
    )


def room(count: int, seed: int = 0) -> Floats:
    """The noise (n,) of a quiet room."""
    return at_level(pink(max(count, RATE), np.random.default_rng(seed)), ROOM_DB)[:count]


def other_sound(name: str, rng: np.random.Generator) -> Floats:
    """One sound of a kind (n,) at its level."""
    die = Die(rng, outside=True)
    if name in BACKGROUNDS:
        return at_level(BACKGROUNDS[name](die), LEVELS_DB[name])
    sound = {**BODY, **EVENTS}[name](die)
    return at_level(sound, LEVELS_DB[name], loudest(sound))


def next_room(people: list[Sentence], decibel: float, seconds: float, rng: np.random.Generator) -> Floats:
    """One or two of ``people``, or a television, behind a wall (n,)."""
    count = int(seconds * RATE)
    total = np.zeros(count)
    for _ in range(2):
        chosen = [people[i].sound for i in rng.integers(0, len(people), 6)]
        total += np.resize(np.concatenate(chosen), count)
    reach = int(rng.uniform(0.35, 0.7) * RATE)
    echo = rng.standard_normal(reach) * np.exp(-6.9 * np.arange(reach) / reach)
    size = 1 << (count + reach).bit_length()
    hz = np.fft.rfftfreq(size, 1 / RATE)
    wall = 1 / (1 + (hz / rng.uniform(700, 1400)) ** 2)
    heard = np.fft.irfft(np.fft.rfft(total, size) * np.fft.rfft(echo, size) * wall, size)[:count]
    return at_level(heard.astype(np.float32), decibel)


def kinds() -> list[str]:
    """Everything that is not the person speaking."""
    noises = [f"noise {db} dB" for db in NOISE_DB]
    return ["digital silence", *noises, *LEVELS_DB, *(f"next room {db} dB" for db in NEXT_ROOM_DB)]


def nobody(name: str, people: list[Sentence], seconds: float, seed: int = SEED) -> Floats:
    """``seconds`` (n,) of one of :func:`kinds`; what is short again and again, half a second to 1.2 s apart."""
    rng, count = np.random.default_rng([seed, kinds().index(name)]), int(seconds * RATE)
    if name == "digital silence":
        return np.zeros(count, np.float32)
    if name.startswith("noise"):
        return at_level(pink(count, rng), float(name.split()[1]))
    if name.startswith("next room"):
        return room(count, seed) + next_room(people, float(name.split()[2]), seconds, rng)
    parts: list[Floats] = []
    while sum(map(len, parts)) < count:
        rest = 0 if name in BACKGROUNDS else int(rng.uniform(0.5, 1.2) * RATE)
        parts += [np.zeros(rest, np.float32), other_sound(name, rng)]
    return room(count, seed) + np.concatenate(parts)[:count]


def babble(people: list[Sentence], count: int, rng: np.random.Generator) -> Floats:
    """Six people at once (count,)."""
    chosen = [np.concatenate([people[i].sound for i in rng.integers(0, len(people), 5)]) for _ in range(6)]
    return np.asarray(sum(np.roll(np.resize(row, count), int(rng.integers(count))) for row in chosen), np.float32)


def noise_of(colour: str, people: list[Sentence], count: int, rng: np.random.Generator) -> Floats:
    """Pink, white or babble (count,)."""
    if colour == "babble":
        return babble(people, count, rng)
    return pink(count, rng) if colour == "pink" else rng.standard_normal(count).astype(np.float32)
