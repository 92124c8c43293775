"""A line of text to the phonemes that a network has learnt: read by espeak-ng, in the IPA."""

# ruff: noqa: RUF001, RUF003, E501

from __future__ import annotations

import unicodedata
from collections.abc import Collection

from realtime_dub.errors import ConfigError
from realtime_dub.voice.espeak import espeak

SILENCE = "sil"
# Letters of the IPA that networks trained here know by another sound's name.
ALIKE = {
    "g": "ɡ", "ɹ": "r", "ɾ": "d", "ɻ": "r", "ʁ": "x", "χ": "x", "ɣ": "x", "ɦ": "h", "c": "k", "q": "k", "ç": "ʃ", "ɕ": "ʃ",
    "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "ʈ": "t", "ɖ": "d", "ɳ": "n", "ɲ": "n", "ʎ": "l", "ɫ": "l", "ɭ": "l", "β": "v", "ʋ": "v",
    "ɨ": "ɪ", "ʉ": "u", "ɯ": "ɪ", "ɤ": "ʌ", "ɵ": "ø", "œ": "ø", "ɐ": "ʌ", "ɒ": "ɔ", "ʏ": "y", "ɚ": "ɜ", "ɝ": "ɜ", "ᵻ": "ɪ",
}  # fmt: skip


def phonemes_of(text: str, known: Collection[str], language: str = "en-us") -> list[str]:
    """Names among ``known``, silence around them.

    Raises ConfigError for nothing to say, a sound or a language that is not known, a network of other names than the
    IPA's; DependencyError without espeak-ng.
    """
    if "ə" not in known or SILENCE not in known:
        raise ConfigError("cannot read a script for", "a network of ARPAbet's phonemes", "give phonemes = instead")
    if not any(char.isalnum() for char in text):
        raise ConfigError("nothing to speak:", "the script is empty", "write a line into it")
    found = named(_read(text, language), known)
    if not found:
        raise ConfigError("nothing to speak:", f"espeak-ng reads no sound in {text[:40]!r}", "write it in letters")
    # What is said twice is one, as it was learnt.
    said = [name for name, before in zip(found, ["", *found], strict=False) if name != before]
    return [SILENCE, *said, SILENCE]


def named(written: str, known: Collection[str]) -> list[str]:
    """Phonemes parted by ``_`` and spaces; marks of stress, length and tone are none. Raises ConfigError."""
    found: list[str] = []
    for phoneme in written.replace("_", " ").split():
        letters = [c for c in unicodedata.normalize("NFC", phoneme) if unicodedata.category(c) in ("Ll", "Lo")]
        found += _letters([ALIKE.get(c) or unicodedata.normalize("NFD", c)[0] for c in letters], known)
    return found


def _letters(letters: list[str], known: Collection[str]) -> list[str]:
    """Two letters that are one sound, as in ``tʃ``, are one."""
    found: list[str] = []
    while letters:
        count = 2 if "".join(letters[:2]) in known else 1
        name = "".join(letters[:count])
        if name not in known:
            raise ConfigError("cannot speak the sound", repr(name), "write the script in another way")
        found.append(name)
        letters = letters[count:]
    return found


def _read(text: str, language: str) -> str:
    # A word of another language comes with the language around it: (en)bˈʌt(fr)
    return "".join(part.rpartition(")")[2] for part in espeak().phonemes(text, language).split("("))
