"""Whether scripts of three languages are understood: `python -m benchmarks.languages --prepared prepared/s1`.

Subtitles of one line each, in English, Spanish and Hindi, are said for silent clips: fitted to the clip's lips within
the line's time, and at the normal pace without any lips. Whisper base (``engines/common/speech/whisper.py``), told the
language, writes down what it hears. ``words`` and ``letters``: what has to be changed, left out or put in, as a share
of what was written. ``sounds``: the same of the phonemes that espeak-ng reads in either; this recogniser often writes
Hindi in the letters of Urdu, which sounds alike. ``too long``: lines that did not fit their time.
"""

from __future__ import annotations

import argparse
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import last_line, show
from benchmarks.voice import Shown, at_16k, prepared, word_errors
from engines.common import Array
from engines.common.speech.whisper import BESIDE, RATE, bands, fetch
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.espeak import espeak
from realtime_dub.voice.registry import script_speaker
from realtime_dub.voice.tts.script import language_of

START_S, END_S = 0.2, 2.8  # of a line in a clip of three seconds
LISTENED_S = 30  # what the recogniser was made for
PHOTO = SeenFilm(np.zeros(0), (), 0.0)
COLUMNS = ("language", "voice", "words", "letters", "sounds", "lines", "too long")
LINES = {
    "en": (
        "The train leaves early in the morning.",
        "I have never seen the sea in winter.",
        "Please close the window before you go.",
        "She bought bread and fresh milk.",
        "We are waiting for the doctor.",
        "The children play in the garden.",
        "Can you tell me where the station is?",
        "Tomorrow it will rain in the north.",
        "My brother works in a small hospital.",
        "This book is better than the film.",
    ),
    "es": (
        "El tren sale temprano por la mañana.",
        "Nunca he visto el mar en invierno.",
        "Cierra la ventana antes de salir.",
        "Ella compró pan y leche fresca.",
        "Estamos esperando al médico.",
        "Los niños juegan en el jardín.",
        "¿Me puedes decir dónde está la estación?",
        "Mañana va a llover en el norte.",
        "Mi hermano trabaja en un hospital pequeño.",
        "Este libro es mejor que la película.",
    ),
    "hi": (
        "मेरा नाम राम है।",
        "आज मौसम बहुत अच्छा है।",
        "बच्चे बगीचे में खेल रहे हैं।",
        "मुझे पानी चाहिए।",
        "वह कल दिल्ली जाएगा।",
        "यह किताब बहुत अच्छी है।",
        "हम डॉक्टर का इंतज़ार कर रहे हैं।",
        "मेरा भाई अस्पताल में काम करता है।",
        "क्या आप मेरी मदद करेंगे?",
        "खिड़की बंद कर दो।",
    ),
}


class Transcriber:
    """Whisper base, multilingual."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        """Raises DependencyError where its weights cannot be had."""
        import ctranslate2

        where = fetch(folder)
        self._view: Any = ctranslate2.StorageView
        self._net: Any = ctranslate2.models.Whisper(str(where), intra_threads=threads, compute_type="int8")
        self._tokens = (where / BESIDE[1]).read_text("utf-8").split("\n")

    def heard(self, sound: Array, language: str) -> str:
        """What is said in sound (n,) at 16 kHz, of up to 30 s."""
        whole = np.zeros(LISTENED_S * RATE, np.float32)
        whole[: len(sound)] = 0.5 * sound / max(float(np.abs(sound).max()), 1e-6)
        prompt = ["<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>"]
        heard = self._view.from_array(bands(whole)[None])
        found = self._net.generate(heard, [prompt], beam_size=5, max_length=80)
        return text_of([self._tokens[number] for number in found[0].sequences_ids[0]])


def text_of(tokens: Sequence[str]) -> str:
    """Tokens of bytes, each byte written as a letter that can be seen (Radford et al., GPT-2, 2019)."""
    letters = "".join(each for each in tokens if not each.startswith("<|"))
    return bytes(BYTES[letter] for letter in letters if letter in BYTES).decode("utf-8", "replace").strip()


def _bytes() -> dict[str, int]:
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [each for each in range(256) if each not in seen]
    return {chr(each): each for each in seen} | {chr(256 + k): each for k, each in enumerate(unseen)}


BYTES = _bytes()


def plain(text: str) -> str:
    """Without stops and capitals, one space between words."""
    kept = [" " if unicodedata.category(c)[0] == "P" else c for c in unicodedata.normalize("NFC", text.lower())]
    return " ".join("".join(kept).split())


def sounds(text: str, language: str) -> list[str]:
    """Its phonemes without stresses and other marks, read in the language of its letters."""
    letters = language_of(text)
    own = language if letters == language_of("a") else letters  # Latin ones are read as the language that was said
    read = espeak().phonemes(text, "ur" if own == "ar" else own)
    return [c for c in unicodedata.normalize("NFD", read.replace("_", "")) if unicodedata.category(c) in ("Ll", "Lo")]


def errors(said: str, heard: str, language: str) -> list[int]:
    """Of words, letters and sounds: errors, and how many were said."""
    one, other = plain(said), plain(heard)
    pairs = (
        (one.split(), other.split()),
        (list(one), list(other)),
        (sounds(one, language), sounds(other, language) if other else []),
    )
    return [number for a, b in pairs for number in (word_errors(a, b), len(a))]


def rows_of(language: str, clips: Sequence[Shown], listener: Transcriber, by: str) -> list[tuple[object, ...]]:
    speak, rows = script_speaker(by), list[tuple[object, ...]]()
    for voice in ("fitted", "not fitted"):
        counts, late = np.zeros(6, np.int64), 0
        for text, clip in zip(LINES[language], clips, strict=False):
            if voice == "fitted":
                made = speak([Line(text, START_S, END_S)], clip.film, Wish(language))
                late += any("too long" in note for note in made.notes)
            else:
                made = speak([Line(text)], PHOTO, Wish(language))
            heard = listener.heard(at_16k(made), language)
            counts += errors(text, heard, language)
            print(f"{language}, {voice}: {text} | {heard}", flush=True)
        shares = counts[::2] / counts[1::2]
        rows.append((language, voice, *map(float, shares), min(len(clips), len(LINES[language])), late))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prepared", type=Path, required=True, help="filmed clips of three seconds, prepared")
    parser.add_argument("--languages", default=",".join(LINES), help="which, comma-separated")
    parser.add_argument("--by", default="tts", help="what says it: tts, flite, piper:VOICE.onnx")
    parser.add_argument("--clips", type=int, help="so many lines of each")
    args = parser.parse_args()
    clips, listener = prepared(args.prepared)[: args.clips], Transcriber()
    rows = [row for each in args.languages.split(",") for row in rows_of(each, clips, listener, args.by)]
    show("scripts of several languages", COLUMNS, rows)
    last_line({"rows": [list(each) for each in rows]})


if __name__ == "__main__":
    main()
