"""espeak-ng through its own library, a system package: the phonemes of a text, its speech, and when each begins."""

from __future__ import annotations

import ctypes
import ctypes.util
import threading
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.media import Floats

INSTALL = "install espeak-ng: sudo apt install espeak-ng, or brew install espeak-ng"
NAMES = ("libespeak-ng.so.1", "libespeak-ng.dylib", "libespeak-ng.1.dylib", "espeak-ng.dll", "libespeak-ng.dll")
RETRIEVAL, PHONEME_EVENTS, IPA_EVENTS, NO_EXIT = 1, 1, 2, 0x8000
SYNCHRONOUS, CHARACTERS, UTF8 = 2, 1, 1
LIST_END, PHONEME = 0, 7
RATE, PITCH, RANGE = 1, 3, 4  # espeak_PARAMETER
IPA = 2  # of espeak_TextToPhonemes; what parts phonemes is told in its upper bits
SLOWEST, QUICKEST = 80, 450  # words per minute that the library takes
NORMAL = 160


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


class _Voice(ctypes.Structure):
    """``espeak_VOICE``."""

    _fields_: ClassVar = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),  # a byte of priority, the code, a zero; and so on
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is said. ``pitch`` and ``pitch_range``: 0 to 99; ``variant``: of the voice, such as f3."""

    language: str = "en"
    words_per_minute: int = NORMAL
    pitch: int = 50
    variant: str = ""
    pitch_range: int = 50


@dataclass(frozen=True, slots=True, eq=False)
class Phone:
    """A phoneme in the IPA as espeak-ng tells it, empty for a pause; seconds from the speech's start."""

    name: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """``samples`` (n,), -1..1."""

    samples: Floats
    rate: int
    phones: tuple[Phone, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Espeak:
    """The library. It has one state per process: see :func:`espeak`."""

    def __init__(self) -> None:
        """Raises DependencyError where it is not installed."""
        self._library = _load()
        self.rate = int(self._library.espeak_Initialize(SYNCHRONOUS, 0, None, PHONEME_EVENTS | IPA_EVENTS | NO_EXIT))
        if self.rate <= 0:
            raise DependencyError("cannot start", "espeak-ng: its data are not there", INSTALL)
        self._lock = threading.Lock()
        self._callback = _CALLBACK(self._take)  # kept: the library holds no reference
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._sound: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[float, str]] = []

    @property
    def version(self) -> str:
        return str(self._library.espeak_Info(None).decode("ascii", "replace")).split()[0]

    def languages(self) -> list[str]:
        """The codes that it knows, such as en, en-gb, es, hi."""
        with self._lock:
            return sorted(set(self._codes()))

    def speak(self, text: str, manner: Manner) -> Speech:
        """``text`` as speech; without samples where nothing in it is said. Raises ConfigError for a language."""
        with self._lock:
            self._use(manner)
            self._sound, self._events = [], []
            data = text.replace("\0", " ").encode("utf-8", "replace")
            size = ctypes.c_size_t(len(data) + 1)
            self._library.espeak_Synth(data, size, 0, CHARACTERS, 0, UTF8, None, None)
            self._library.espeak_Synchronize()
            whole = np.concatenate([np.zeros(0, np.int16), *self._sound])
            return Speech(whole.astype(np.float32) / 32768, self.rate, self._phones(len(whole) / self.rate))

    def phonemes(self, text: str, language: str) -> str:
        """The IPA of a text, phonemes joined by ``_`` and words by spaces. Raises ConfigError for a language.

        A word that it takes for another language's has marks around it, such as ``(en)`` and ``(fr)``.
        """
        with self._lock:
            self._use(Manner(language))
            data = ctypes.create_string_buffer(text.replace("\0", " ").encode("utf-8", "replace"))
            at, clauses = ctypes.c_void_p(ctypes.addressof(data)), []
            while at.value:
                clause = self._library.espeak_TextToPhonemes(ctypes.byref(at), UTF8, IPA | ord("_") << 8)
                clauses.append((clause or b"").decode("utf-8", "ignore"))
            return " ".join(clauses)

    def _use(self, manner: Manner) -> None:
        voice = manner.language + (f"+{manner.variant}" if manner.variant else "")
        if not manner.language or self._library.espeak_SetVoiceByName(voice.encode("utf-8", "replace")) != 0:
            some = ", ".join(code for code in sorted(set(self._codes())) if len(code) == 2)
            raise ConfigError("espeak-ng does not speak", repr(manner.language), f"choose one of {some}")
        rate = max(SLOWEST, min(QUICKEST, manner.words_per_minute))
        for parameter, value in ((RATE, rate), (PITCH, manner.pitch), (RANGE, manner.pitch_range)):
            self._library.espeak_SetParameter(parameter, value, 0)

    def _codes(self) -> list[str]:
        found, at, voices = [], 0, self._library.espeak_ListVoices(None)
        while voices[at]:
            code = ctypes.string_at(voices[at].contents.languages + 1)
            found.append(code.decode("ascii", "replace"))
            at += 1
        return found

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            self._sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
        at = 0
        while events[at].type != LIST_END:
            if events[at].type == PHONEME:
                self._events.append((events[at].audio_position / 1000, events[at].string.decode("utf-8", "ignore")))
            at += 1
        return 0

    def _phones(self, seconds: float) -> tuple[Phone, ...]:
        """An event is the start of its phoneme; a name of no sound is a pause."""
        ends = [start for start, _ in self._events[1:]] + [seconds]
        pairs = zip(self._events, ends, strict=True)
        return tuple(Phone(name.strip("_: "), start, min(end, seconds)) for (start, name), end in pairs if end > start)


@cache
def espeak() -> Espeak:
    """The one of this process. Raises DependencyError."""
    return Espeak()


def _load() -> Any:
    found = ctypes.util.find_library("espeak-ng")
    for name in (*NAMES, *([found] if found else [])):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise DependencyError("no voice for a script:", "espeak-ng is not installed", INSTALL)
