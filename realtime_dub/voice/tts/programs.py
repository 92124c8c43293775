"""Programs that say a text: one contract, one table. A new one is one file and one line here.

Each is loaded, or begun, when it is asked for. ``NAME`` or ``NAME:ARGUMENT`` names it: flite's voice, piper's file, a
language of espeak-ng's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from realtime_dub.errors import ConfigError
from realtime_dub.imports import resolve
from realtime_dub.voice.contract import Wish
from realtime_dub.voice.espeak import Speech

USUAL = "espeak-ng"
PROGRAMS = {
    "espeak-ng": "realtime_dub.voice.tts.by_espeak:open_espeak",
    "flite": "realtime_dub.voice.tts.by_flite:open_flite",
    "piper": "realtime_dub.voice.tts.by_piper:open_piper",
}


class Program(Protocol):
    """Says texts, one after the other."""

    title: str  # for messages
    rate: int  # Hz

    def speak(self, text: str, speed: float) -> Speech:
        """``text`` at ``speed`` times the usual one; without samples where it has no sound for it. Raises UserError."""

    def close(self) -> None:
        """Release everything. Idempotent."""


Open = Callable[[str, Wish], Program]


def open_program(spec: str, wish: Wish) -> Program:
    """What ``NAME`` or ``NAME:ARGUMENT`` says, and nothing: espeak-ng.

    Raises DependencyError where it is not installed, ConfigError for what it cannot do.
    """
    if wish.emotion is not None:
        raise ConfigError("the voice tts takes no", "--emotion", "leave it out: it is calm")
    name, _, argument = spec.partition(":")
    name = name or USUAL
    if name not in PROGRAMS:
        raise ConfigError("no such voice for a script:", repr(name), f"choose one of {', '.join(PROGRAMS)}")
    make: Open = resolve(PROGRAMS[name])
    return make(argument, wish)


def typed_spec(argument: str) -> str:
    """The program in what stands behind ``tts:``, where a language alone is espeak-ng's."""
    return argument if argument.partition(":")[0] in PROGRAMS else f"{USUAL}:{argument}"
