"""A voice of piper's says it: VITS (Kim, Kong, Son, ICML 2021) from a file that the user has.

Its network is somebody's, so it runs where it can do no harm (``inference/sandbox/``). How long each symbol lasts is a
tensor inside of every such network, which is made an output here.
"""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.media import Floats
from realtime_dub.voice.contract import Wish
from realtime_dub.voice.espeak import Phone, Speech
from realtime_dub.voice.tts.onnx_file import outputs_of, with_output
from realtime_dub.voice.tts.piper_voice import (
    BEGIN,
    DO,
    END,
    ENDS,
    WAITS,
    Numbered,
    PiperConfig,
    numbered,
    read_voice,
    sentences_of,
)

RUN_S = 30.0  # for a sentence, on a slow machine
MOST_THREADS = 2
LOUDEST = 0.7
PAUSE_S = 0.2  # between sentences
LENGTHS = "Ceil"  # what makes the symbols' lengths whole frames
STRESSES, LETTERS = "ˈˌ", ("Ll", "Lo", "Lu")  # kinds of characters
PAUSES = (BEGIN, END, *ENDS, *WAITS)
INPUTS = ("input", "input_lengths", "scales")


class ByPiper:
    """A ``Program``."""

    title = "piper"

    def __init__(self, path: Path, speaker: int | None = None) -> None:
        """``speaker``: of a voice that has several. Raises UserError."""
        from realtime_dub.inference.sandbox.session import SandboxSession

        model, self._config = read_voice(path)
        self._speaker = _speaker(speaker, self._config, path)
        self._lengths = _lengths_in(model)
        model = model if self._lengths is None else with_output(model, self._lengths)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self._session = SandboxSession(model, path.name, min(cores, MOST_THREADS), RUN_S)
        self._audio = self._session.outputs[0].name
        self.rate, self.language = self._config.audio.sample_rate, self._config.espeak.voice
        wanted = {*INPUTS, *(["sid"] if self._speaker is not None else [])}
        if {each.name for each in self._session.inputs} != wanted:
            self.close()
            raise BundleError("cannot use the voice", f"{path}: it does not take {', '.join(sorted(wanted))}", DO)

    def speak(self, text: str, speed: float) -> Speech:
        sounds: list[Floats] = []
        phones: list[Phone] = []
        at_s, pause = 0.0, np.zeros(round(PAUSE_S * self.rate), np.float32)
        for symbols in sentences_of(text, self._config):
            for part in numbered(symbols, self._config):
                sound, ends = self._run(part, speed)
                phones += _phones(part, ends / self.rate + at_s, at_s)
                sounds += [sound, pause]
                at_s += (len(sound) + len(pause)) / self.rate
        whole = np.concatenate([np.zeros(0, np.float32), *sounds[:-1]])
        return Speech(whole, self.rate, tuple(phones))

    def close(self) -> None:
        self._session.close()

    def _run(self, part: Numbered, speed: float) -> tuple[Floats, Floats]:
        """Samples (n,), and the sample at which each symbol ends (s,): even shares where the network does not tell."""
        about = self._config.inference
        feeds = {
            "input": np.array([part.numbers]),
            "input_lengths": np.array([len(part.numbers)]),
            "scales": np.array([about.noise_scale, about.length_scale / speed, about.noise_w]),
        }
        if self._speaker is not None:
            feeds["sid"] = np.array([self._speaker])
        found = self._session.run({name: np.asarray(each, np.float32) for name, each in feeds.items()})
        sound = np.asarray(found[self._audio], np.float32).ravel()
        if not len(sound) or not np.isfinite(sound).all():
            raise BundleError("cannot speak by", "the voice: its sound is none", DO)
        lengths = found[self._lengths].ravel() if self._lengths in found else np.ones(len(part.numbers), np.float32)
        if len(lengths) != len(part.numbers) or not np.isfinite(lengths).all() or lengths.sum() <= 0:
            lengths = np.ones(len(part.numbers), np.float32)
        ends = np.cumsum(np.maximum(lengths, 0.0))
        places = ends[np.cumsum(part.counts) - 1] / max(float(ends[-1]), 1e-9) * len(sound)
        return sound * LOUDEST / max(float(np.abs(sound).max()), 1e-6), np.asarray(places)


def open_piper(argument: str, wish: Wish) -> ByPiper:
    """``argument``: the voice's file. Raises UserError for what is none, or cannot do what is wished."""
    if not argument:
        raise ConfigError("which voice says it:", "piper", "name its file: piper:VOICE.onnx")
    if wish.sample is not None:
        raise ConfigError("the voice piper takes no", "--speaker", "leave it out: its file says who speaks")
    found = ByPiper(Path(argument), wish.speaker_id)
    spoken = found.language
    if wish.language is not None and wish.language.partition("-")[0] != spoken.partition("-")[0]:
        found.close()
        raise ConfigError(f"{argument} does not speak", repr(wish.language), f"leave it out: it speaks {spoken}")
    return found


def _speaker(asked: int | None, config: PiperConfig, path: Path) -> int | None:
    """Who speaks; None for a voice of one. Raises ConfigError for a number that it has not."""
    if config.num_speakers <= 1:
        if asked:
            raise ConfigError(f"{path} has no speaker", str(asked), "leave --speaker-id out: it has one")
        return None
    number = config.default_speaker_id if asked is None else asked
    if number >= config.num_speakers:
        raise ConfigError(f"{path} has no speaker", str(number), f"choose one of 0 to {config.num_speakers - 1}")
    return number


def _lengths_in(model: bytes) -> str | None:
    """The tensor that says how long each symbol lasts; None where it cannot be told which. Raises nothing."""
    try:
        found = outputs_of(model, LENGTHS)
    except ValueError:  # ONNX Runtime will say what it is
        return None
    return found[0] if len(found) == 1 else None


def _phones(part: Numbered, ends_s: Floats, begin_s: float) -> list[Phone]:
    """Stresses belong to the phoneme behind them, other marks and spaces to the one before; stops are pauses."""
    found: list[Phone] = []
    start_s, stress_s = begin_s, begin_s
    for symbol, end in zip(part.symbols, ends_s.tolist(), strict=True):
        if symbol in PAUSES:
            found.append(Phone("", start_s, end))
        elif unicodedata.category(symbol[0]) in LETTERS:
            found.append(Phone(symbol, stress_s, end))
        elif symbol not in STRESSES and found:
            found[-1] = Phone(found[-1].name, found[-1].start_s, end)
        stress_s = stress_s if symbol in STRESSES else end
        start_s = end
    return [each for each in found if each.end_s > each.start_s]
