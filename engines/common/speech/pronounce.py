"""Text of many languages to the classes of the inventory, word by word, as espeak-ng reads it."""

# ruff: noqa: RUF001, RUF002

from __future__ import annotations

import re
from functools import cached_property

from engines.common.speech.inventory import from_arpabet, from_ipa
from engines.common.speech.synthesise import LEFT_OUT, NAMES, Espeak

Phone = tuple[str, ...]  # classes that are said one after another: two for a diphthong or an affricate like "ts"
Word = list[Phone]

# Where people of one language speak unlike each other, the reading that fits the sound is taken.
READINGS = {
    "en": ("en-us", "gmw/en"),
    "es": ("es", "es-419"),
    "pt": ("pt-br", "pt"),
    "vi": ("vi", "vi-vn-x-south"),
}
# What espeak-ng writes otherwise than the IPA does: a tone of Vietnamese, vowels that have not these lips.
CORRECTIONS = {
    "vi": {"ɜ": ""},
    "ru": {"y": "ɨ"},
    "et": {"ɵ": "ɤ"},
    "hu": {"ɑ": "ɒ"},
}
_MARKS = re.compile(r"\([a-z-]+\)")  # "(en)": from here on in another language's sounds


class Pronouncer:
    """Text to words of phones; espeak-ng must be installed."""

    def __init__(self, espeak: Espeak | None = None) -> None:
        self._given = espeak

    @cached_property
    def _espeak(self) -> Espeak:
        return self._given or Espeak()

    def readings(self, text: str, language: str) -> list[list[Word]]:
        """The ways to say a text; none where the language is not read well or the text has no sounds."""
        if language in LEFT_OUT:
            return []
        found: list[list[Word]] = []
        for voice in READINGS.get(language, (NAMES.get(language, language),)):
            words = words_in(self._espeak.phonemes(text, voice), CORRECTIONS.get(language, {}))
            if words and words not in found:
                found.append(words)
        return found


def words_in(ipa: str, corrections: dict[str, str] | None = None) -> list[Word]:
    """Words of ``h_ə_l_ˈoʊ m_aɪ``; what is said long or twice is one phone."""
    found = []
    for token in _MARKS.sub("", ipa).split():
        word: Word = []
        for phoneme in token.split("_"):
            for letter, instead in (corrections or {}).items():
                phoneme = phoneme.replace(letter, instead)
            classes = _single(from_ipa(phoneme))
            if classes and (not word or classes != word[-1]):
                word.append(classes)
        if word:
            found.append(word)
    return found


def from_phones(phones: list[list[str]]) -> list[Word]:
    """Words of phones that a corpus tells in ARPAbet."""
    return [[from_arpabet(phone) for phone in word] for word in phones if word]


def _single(classes: Phone) -> Phone:
    return tuple(name for i, name in enumerate(classes) if i == 0 or classes[i - 1] != name)
