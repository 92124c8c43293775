"""flite says it, a program of its own: English, in voices that need neither a network nor a file.

Black and Lenzo: Flite: a small fast run-time synthesis engine (SSW4, 2001). It prints each phoneme and its end.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np

from realtime_dub.errors import ConfigError, DependencyError, MediaError
from realtime_dub.media import Floats
from realtime_dub.voice.contract import Wish
from realtime_dub.voice.espeak import Phone, Speech
from realtime_dub.voice.pitch import pitch_hz
from realtime_dub.voice.tts.script import language_of

INSTALL = "install flite: sudo apt install flite, or brew install flite"
USUAL = "slt"
TIMEOUT_S = 60.0  # of a sentence; it takes a hundredth of its length
WORDS = "We were away a year ago, and you are all mine."
MOST_SHIFT = 2.0  # of the pitch, either way
PHONE = re.compile(r"([a-z]+):(\d+(?:\.\d+)?)", re.ASCII)
# ARPAbet, as flite's English voices name it, in the IPA.
IPA = {
    "aa": "ɑ", "ae": "æ", "ah": "ʌ", "ao": "ɔ", "aw": "aʊ", "ax": "ə", "axr": "ɚ", "ay": "aɪ", "b": "b", "ch": "tʃ",
    "d": "d", "dh": "ð", "dx": "ɾ", "eh": "ɛ", "el": "l", "em": "m", "en": "n", "er": "ɜ", "ey": "eɪ", "f": "f",
    "g": "ɡ", "hh": "h", "hv": "h", "ih": "ɪ", "iy": "i", "jh": "dʒ", "k": "k", "l": "l", "m": "m", "n": "n",
    "nx": "n", "ng": "ŋ", "ow": "oʊ", "oy": "ɔɪ", "p": "p", "r": "ɹ", "s": "s", "sh": "ʃ", "t": "t", "th": "θ",
    "uh": "ʊ", "uw": "u", "v": "v", "w": "w", "y": "j", "z": "z", "zh": "ʒ", "pau": "",
}  # fmt: skip


class ByFlite:
    """A ``Program``."""

    title = "flite"

    def __init__(self, voice: str, shift: float = 1.0) -> None:
        """``shift``: times the voice's own pitch. Raises DependencyError without flite."""
        self._voice, self.shift = voice, shift
        self.rate = self.speak("a", 1.0).rate

    def speak(self, text: str, speed: float) -> Speech:
        if not language_of(text).startswith("en"):
            return Speech(np.zeros(0, np.float32), self.rate, ())
        settings = ("--setf", f"duration_stretch={1 / speed:.3f}", "--setf", f"f0_shift={self.shift:.3f}")
        with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
            path = Path(folder) / "said.wav"
            said = text.replace("\0", " ")
            told = _run("-voice", self._voice, *settings, "-psdur", "-t", said, "-o", str(path))
            samples, rate = _read(path)
        return Speech(samples, rate, _phones(told, len(samples) / rate))

    def close(self) -> None:
        """Each text has a process of its own."""


def open_flite(argument: str, wish: Wish) -> ByFlite:
    """``argument``: one of its voices. Raises DependencyError without flite, ConfigError for what it cannot do."""
    if wish.speaker_id is not None:
        raise ConfigError("the voice flite takes no", "--speaker-id", f"name a voice: flite:{USUAL}")
    if wish.language is not None and not wish.language.startswith("en"):
        raise ConfigError("flite does not speak", repr(wish.language), "leave it out, or use espeak-ng")
    voices = names()
    if argument and argument not in voices:
        raise ConfigError("flite has no voice", repr(argument), f"choose one of {', '.join(voices)}")
    found = ByFlite(argument or (USUAL if USUAL in voices else voices[0]))
    if wish.sample is not None:
        found.shift = _shift_to(wish, found)
    return found


def names() -> list[str]:
    """Its voices. Raises DependencyError without flite."""
    return _run("-lv").partition(":")[2].split()


def _shift_to(wish: Wish, program: ByFlite) -> float:
    assert wish.sample is not None
    wanted = pitch_hz(wish.sample, wish.sample_rate)
    if wanted is None:
        raise MediaError("nobody speaks in", "the sample of --speaker", "give some seconds of one voice")
    own = program.speak(WORDS, 1.0)
    reached = pitch_hz(own.samples, own.rate) or wanted
    return float(np.clip(wanted / reached, 1 / MOST_SHIFT, MOST_SHIFT))


def _run(*arguments: str) -> str:
    """What it prints. Raises DependencyError where it is not there, or ends in a fault."""
    if (program := shutil.which("flite")) is None:
        raise DependencyError("no voice for a script:", "flite is not installed", INSTALL)
    try:
        done = subprocess.run(
            [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DependencyError("cannot speak by", f"flite: {type(error).__name__}", INSTALL) from error
    return done.stdout.decode("ascii", "replace")


def _read(path: Path) -> tuple[Floats, int]:
    """Samples (n,) of what it wrote, and their rate."""
    try:
        with wave.open(str(path)) as file:
            rate, data = file.getframerate(), file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise DependencyError("cannot speak by", "flite: it wrote no sound", INSTALL) from error
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768, rate


def _phones(told: str, seconds: float) -> tuple[Phone, ...]:
    """What ``-psdur`` prints, phoneme:end; its ends are brought to the sound's, from which they differ by up to 3 %."""
    found = [(name, float(end)) for name, end in PHONE.findall(told)]
    scale = seconds / found[-1][1] if found and found[-1][1] > 0 else 1.0
    starts = [0.0, *(end for _, end in found)]
    pairs = zip(found, starts, strict=False)  # the last end is no start
    phones = [Phone(IPA.get(name, name), start * scale, end * scale) for (name, end), start in pairs if end > start]
    return tuple(phones) if any(each.name for each in phones) else ()
