"""Synthesised speech as a part of a prepared data set: texts of its corpora, in voices of espeak-ng and flite."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path

from engines.common import Array
from engines.common.dataset import ALIGNMENTS, INDEX
from engines.common.prepare.phones import append_row, store, tidy, write_audio
from engines.common.speech.corpus import ENGLISH, RATE, Row, words_of
from engines.common.speech.force_align import Segment
from engines.common.speech.synthesise import (
    ENGLISHES,
    ESPEAK,
    FLITE,
    FLITE_VOICES,
    LEFT_OUT,
    NAMES,
    VARIANTS,
    Espeak,
    speak_flite,
)
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.errors import MediaError

FLITE_SHARE = 0.4
FEWEST = 3  # segments; fewer are no sentence


def make_all(table: list[Row], out: Path, hours: float, spec: LogMelSpec, seed: int = 0) -> dict[str, float]:
    """Synthesise ``hours`` of speech from the table's texts into ``out``; goes on where it was broken off.

    Returns the hours by synthesiser. Raises MediaError without English texts, DependencyError without a synthesiser.
    """
    out.mkdir(parents=True, exist_ok=True)
    have = {row["track"]: row["seconds"] for row in tidy(out / ALIGNMENTS)}
    seconds = {name: sum(s for key, s in have.items() if key.startswith(f"{name}__")) for name in (ESPEAK, FLITE)}
    goals = {FLITE: hours * 3600 * FLITE_SHARE, ESPEAK: hours * 3600 * (1 - FLITE_SHARE)}
    texts = _texts(table)
    if not texts[ENGLISH]:
        raise MediaError("no English texts to train on in the table", "of clips", "leave --synthetic out")
    espeak = Espeak()
    for engine, goal in goals.items():
        index = 0
        while seconds[engine] < goal:
            key = f"{engine}__{index:05}"
            if key not in have:
                seconds[engine] += _make(engine, espeak, texts, out, key, random.Random(f"{seed} {key}"), spec)
            index += 1
    return {name: value / 3600 for name, value in seconds.items()}


def _texts(table: list[Row]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for row in table:
        if row.part == "train" and row.language not in LEFT_OUT:
            texts[row.language].append(row.text)
    return texts


def _make(
    engine: str, espeak: Espeak, texts: dict[str, list[str]], out: Path, key: str, rng: random.Random, spec: LogMelSpec
) -> float:
    """One sentence; returns its seconds."""
    speak = _by_flite if engine == FLITE else lambda texts, rng: _by_espeak(espeak, texts, rng)
    sound, segments, about = speak(texts, rng)
    good = len(segments) > FEWEST
    if good:
        kept = write_audio(out, key, sound * 0.5)
        append_row(out / INDEX, {"track": key, "corpus": engine, "part": "train", **about})
        store(out, key, kept, segments, spec)
    taken = round(len(sound) / RATE, 2) if good else 0.0
    append_row(out / ALIGNMENTS, {"track": key, "seconds": taken, "score": 0.0, "sane": good, "aligner": ""})
    return taken


Spoken = tuple[Array, list[Segment], dict[str, str]]


def _by_flite(texts: dict[str, list[str]], rng: random.Random) -> Spoken:
    voice = rng.choice(list(FLITE_VOICES))
    text = " ".join(words_of(rng.choice(texts[ENGLISH])))
    sound, segments = speak_flite(text, voice, rng.uniform(0.75, 1.2), rng.uniform(0.85, 1.25))
    about = {"language": ENGLISH, "speaker": f"{FLITE} {voice}", "gender": FLITE_VOICES[voice], "text": text}
    return sound, segments, about


def _by_espeak(espeak: Espeak, texts: dict[str, list[str]], rng: random.Random) -> Spoken:
    language = ENGLISH if rng.random() < 0.3 else rng.choice(sorted(texts))
    variant = rng.choice(VARIANTS)
    voice = (rng.choice(ENGLISHES) if language == ENGLISH else NAMES.get(language, language)) + variant
    text = rng.choice(texts[language])
    sound, segments = espeak.speak(text, voice, rng.randint(120, 240), rng.randint(20, 80), rng.randint(20, 80))
    gender = "female" if "+f" in variant else "male"
    return sound, segments, {"language": language, "speaker": f"{ESPEAK} {voice}", "gender": gender, "text": text}
