"""Synthesised speech with the times at which its synthesiser says each phoneme: espeak-ng and flite.

espeak-ng speaks a hundred languages with one formant voice and its variants, and tells phonemes as events; flite has
recorded voices of six people and tells where its segments end. Both are Debian packages.
"""

from __future__ import annotations

import subprocess
import tempfile
import wave

import numpy as np

from engines.common import Array
from engines.common.speech.corpus import RATE
from engines.common.speech.force_align import Segment, spread
from engines.common.speech.inventory import SIL, from_arpabet, from_ipa
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.voice.espeak import Manner, espeak

ESPEAK, FLITE = "espeak-ng", "flite"
FLITE_VOICES = {"slt": "female", "rms": "male", "awb": "male", "kal16": "male"}
VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7")
# Common Voice's names of languages that espeak-ng calls otherwise. It misreads the script of ja, and zh needs a list.
NAMES = {"sv-SE": "sv", "zh-CN": "cmn"}
LEFT_OUT = ("ja", "zh-CN")
ENGLISHES = ("gmw/en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")


class Espeak:
    """espeak-ng by the names of its voices; one that is not there says nothing."""

    def __init__(self) -> None:
        """Raises DependencyError where espeak-ng is not installed."""
        self._library = espeak()

    def speak(
        self, text: str, voice: str, words_per_minute: int, pitch: int, pitch_range: int
    ) -> tuple[Array, list[Segment]]:
        """Sound at 16 kHz and its segments; empty where the voice is not there."""
        manner = Manner(voice, words_per_minute, pitch, pitch_range=pitch_range)
        try:
            speech = self._library.speak(text, manner)
        except ConfigError:
            return np.zeros(0, np.float32), []
        segments: list[Segment] = []
        for phone in speech.phones:
            segments += spread(from_ipa(phone.name) or (SIL,), phone.start_s, phone.end_s)
        return to_rate(speech.samples, speech.rate), segments

    def phonemes(self, text: str, voice: str) -> str:
        """The IPA of a text, phonemes joined by ``_`` and words by spaces; empty where the voice is not there."""
        try:
            return self._library.phonemes(text, voice)
        except ConfigError:
            return ""


def to_rate(sound: Array, rate: int) -> Array:
    """Sound (n,) at 16 kHz."""
    import soxr

    return np.asarray(soxr.resample(sound, rate, RATE), np.float32) if rate != RATE else sound


def speak_flite(text: str, voice: str, stretch: float, pitch: float) -> tuple[Array, list[Segment]]:
    """As :meth:`Espeak.speak`, by flite; ``pitch`` multiplies the voice's own. Raises DependencyError without it."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/said.wav"
        settings = ["--setf", f"duration_stretch={stretch:.3f}", "--setf", f"f0_shift={pitch:.3f}"]
        command = ["flite", "-voice", voice, *settings, "-psdur", "-t", text, "-o", path]
        try:
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        except FileNotFoundError as error:
            raise DependencyError("cannot run", FLITE, "install the system package flite") from error
        with wave.open(path) as file:
            rate = file.getframerate()
            sound = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    return to_rate(sound, rate), flite_segments(told)


def flite_segments(told: str) -> list[Segment]:
    """Segments of what ``flite -psdur`` prints: ``pau:0.164 hh:0.255 ...``, a phone and its end in seconds."""
    segments: list[Segment] = []
    start = 0.0
    for token in told.split():
        name, _, end = token.rpartition(":")
        segments += spread(from_arpabet(name), start, float(end))
        start = float(end)
    return segments
