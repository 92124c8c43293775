"""Synthesised speech with the times at which its synthesiser says each phoneme: espeak-ng and flite.

espeak-ng speaks a hundred languages with one formant voice and its variants, and tells phonemes as events; flite has
recorded voices of six people and tells where its segments end. Both are Debian packages.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
import wave
from typing import ClassVar

import numpy as np

from engines.common import Array
from engines.common.speech.corpus import RATE
from engines.common.speech.force_align import Segment, spread
from engines.common.speech.inventory import SIL, from_arpabet, from_ipa
from realtime_dub.errors import DependencyError

ESPEAK, FLITE = "espeak-ng", "flite"
FLITE_VOICES = {"slt": "female", "rms": "male", "awb": "male", "kal16": "male"}
VARIANTS = ("", "+f1", "+f2", "+f3", "+f4", "+f5", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7")
# Common Voice's names of languages that espeak-ng calls otherwise. It misreads the script of ja, and zh needs a list.
NAMES = {"sv-SE": "sv", "zh-CN": "cmn"}
LEFT_OUT = ("ja", "zh-CN")
ENGLISHES = ("gmw/en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029")


class _Event(ctypes.Structure):
    """``espeak_EVENT`` of speak_lib.h; ``string`` is the union's phoneme name."""

    _fields_: ClassVar = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("string", ctypes.c_char * 8),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))
_SYNCHRONOUS, _PHONEME_EVENTS_IPA, _UTF8, _CHARACTERS = 2, 1 | 2, 1, 1
_IPA = 2  # of espeak_TextToPhonemes; the separator is told in its upper bits
_LIST_END, _PHONEME = 0, 7
_RATE, _PITCH, _RANGE = 1, 3, 4  # espeak_PARAMETER


class Espeak:
    """espeak-ng through its library. One per process."""

    def __init__(self, library: str = "libespeak-ng.so.1") -> None:
        """Raises DependencyError where espeak-ng is not installed."""
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise DependencyError("cannot load", library, "install the system package espeak-ng") from error
        self.rate = self._library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IPA)
        if self.rate <= 0:
            raise DependencyError("cannot start", ESPEAK, "install the system package espeak-ng again")
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)
        self._sound: list[Array] = []
        self._events: list[tuple[float, str]] = []

    def _take(self, samples: object, count: int, events: object) -> int:
        if samples and count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _LIST_END:  # type: ignore[index]
            event = events[index]  # type: ignore[index]
            if event.type == _PHONEME:
                self._events.append((event.audio_position / 1000, event.string.decode("utf-8", "ignore")))
            index += 1
        return 0

    def speak(
        self, text: str, voice: str, words_per_minute: int, pitch: int, pitch_range: int
    ) -> tuple[Array, list[Segment]]:
        """Sound at 16 kHz and its segments; empty where the voice is not there."""
        self._sound, self._events = [], []
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return np.zeros(0, np.float32), []
        for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_RANGE, pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        data = text.encode()
        self._library.espeak_Synth(data, ctypes.c_size_t(len(data) + 1), 0, _CHARACTERS, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate([np.zeros(0, np.int16), *self._sound]).astype(np.float32) / 32768
        return to_rate(sound, self.rate), self._segments(len(sound) / self.rate)

    def phonemes(self, text: str, voice: str) -> str:
        """The IPA of a text, phonemes joined by ``_`` and words by spaces; empty where the voice is not there."""
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            return ""
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        data = ctypes.create_string_buffer(text.encode())
        at, clauses = ctypes.c_void_p(ctypes.addressof(data)), []
        while at.value:
            clause = self._library.espeak_TextToPhonemes(ctypes.byref(at), _UTF8, _IPA | ord("_") << 8)
            clauses.append((clause or b"").decode("utf-8", "ignore"))
        return " ".join(clauses)

    def _segments(self, seconds: float) -> list[Segment]:
        """An event is the start of its phoneme; a name of no sound is a pause."""
        ends = [start for start, _ in self._events[1:]] + [seconds]
        segments: list[Segment] = []
        for (start, name), end in zip(self._events, ends, strict=True):
            if end > start:
                segments += spread(from_ipa(name) or (SIL,), start, end)
        return segments


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
