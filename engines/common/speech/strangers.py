"""People whom no speech net was trained on, in the groups that cards tell of, and what their sound is put through."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engines.common import Array
from engines.common.augment import make_noises, warp
from engines.common.dataset import Entry
from engines.common.speech.corpus import EVALUATION, LANGUAGES_KEPT_OUT
from engines.common.speech.synthesise import ESPEAK, FLITE
from realtime_dub.audio.frontends.logmel import LogMelSpec

Distortion = Callable[[Array], Array]


def groups(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Whom the card tells of, real voices alone: speakers kept out, by corpus, gender and language, and what is kept
    out whole: a corpus, and languages."""
    held = [entry for entry in entries if entry.part == "validation"]
    away = [entry for entry in entries if entry.part == "test" and entry.corpus not in (ESPEAK, FLITE)]
    found = {"held_out": held, "librispeech": [entry for entry in away if entry.corpus == EVALUATION]}
    found["languages_kept_out"] = [entry for entry in away if entry.language in LANGUAGES_KEPT_OUT]
    for corpus in sorted({entry.corpus for entry in held}):
        found[corpus] = [entry for entry in held if entry.corpus == corpus]
    for gender in ("female", "male"):
        found[gender] = [e for e in held if e.gender == gender and not e.filmed]
    for language in sorted({entry.language for entry in held}):
        found[f"language {language}"] = [e for e in held if e.language == language and not e.filmed]
    for language in LANGUAGES_KEPT_OUT:
        found[f"language kept out {language}"] = [entry for entry in away if entry.language == language]
    return {name: clips for name, clips in found.items() if clips}


def changes(spec: LogMelSpec) -> dict[str, Distortion]:
    """What the sound of the speakers kept out is put through."""
    pink = make_noises(spec, np.random.default_rng(3), 60.0)[1]
    telephone = np.where((np.arange(spec.bands) < 52) & (np.arange(spec.bands) > 4), 1, 1e-4).astype(np.float32)
    return {
        "pink_noise_10_db": lambda power: power + np.resize(pink, power.shape) * (power.mean() / 10),
        "telephone": lambda power: power * telephone,
        "tract_15_percent_shorter": lambda power: warp(power, 1.15),
        "quieter_by_20_db": lambda power: power * np.float32(0.01),
    }
