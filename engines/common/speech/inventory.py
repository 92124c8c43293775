"""The sounds that the speech net tells apart: 42 classes of the IPA, shared by all languages, and their visemes.

Diphthongs are their two ends. Sounds of other languages go to the class whose lips and jaw look alike: long to short,
nasal to oral, retroflex to alveolar, palatal to the plain sound.
"""

# ruff: noqa: RUF001, E501

from __future__ import annotations

import unicodedata

SIL = "sil"
CONSONANTS = (
    "p",
    "b",
    "m",
    "f",
    "v",
    "θ",
    "ð",
    "t",
    "d",
    "n",
    "s",
    "z",
    "l",
    "r",
    "ʃ",
    "ʒ",
    "tʃ",
    "dʒ",
    "k",
    "ɡ",
    "ŋ",
    "x",
    "h",
    "j",
    "w",
)
VOWELS = ("i", "ɪ", "e", "ɛ", "æ", "a", "ɑ", "ɔ", "o", "ʊ", "u", "y", "ø", "ʌ", "ə", "ɜ")
CLASSES = (SIL, *CONSONANTS, *VOWELS)
INDEX = {name: index for index, name in enumerate(CLASSES)}
UNKNOWN = 255  # in the place of a class: somebody speaks, and nobody knows which sound

VISEMES = {
    "rest": (SIL,),
    "closed": ("p", "b", "m"),
    "lip on teeth": ("f", "v"),
    "tongue between": ("θ", "ð"),
    "teeth": ("t", "d", "n", "s", "z"),
    "pushed out": ("ʃ", "ʒ", "tʃ", "dʒ"),
    "back": ("k", "ɡ", "ŋ", "x", "h"),
    "l": ("l",),
    "r": ("r",),
    "round": ("w", "u", "ʊ", "y", "ø"),
    "half round": ("o", "ɔ"),
    "spread": ("i", "ɪ", "j"),
    "half open": ("e", "ɛ", "ə", "ɜ"),
    "open": ("æ", "a", "ɑ", "ʌ"),
}
VISEME_OF = tuple(next(i for i, names in enumerate(VISEMES.values()) if name in names) for name in CLASSES)

# Of the CMU dictionary, stress marks off.
ARPABET: dict[str, tuple[str, ...]] = {
    "SIL": (SIL,), "AA": ("ɑ",), "AE": ("æ",), "AH": ("ʌ",), "AO": ("ɔ",), "AW": ("a", "ʊ"), "AX": ("ə",),
    "AY": ("a", "ɪ"), "B": ("b",), "CH": ("tʃ",), "D": ("d",), "DH": ("ð",), "EH": ("ɛ",), "ER": ("ɜ",),
    "EY": ("e", "ɪ"), "F": ("f",), "G": ("ɡ",), "HH": ("h",), "IH": ("ɪ",), "IY": ("i",), "JH": ("dʒ",),
    "K": ("k",), "L": ("l",), "M": ("m",), "N": ("n",), "NG": ("ŋ",), "OW": ("o", "ʊ"), "OY": ("ɔ", "ɪ"),
    "P": ("p",), "PAU": (SIL,), "R": ("r",), "S": ("s",), "SH": ("ʃ",), "T": ("t",), "TH": ("θ",),
    "UH": ("ʊ",), "UW": ("u",), "V": ("v",), "W": ("w",), "Y": ("j",), "Z": ("z",), "ZH": ("ʒ",),
}  # fmt: skip

# Letters of the IPA that are no class themselves.
_ALIKE = {
    "g": "ɡ", "ɹ": "r", "ɾ": "d", "ɻ": "r", "ʀ": "x", "ʁ": "x", "χ": "x", "ɣ": "x", "ħ": "h", "ʕ": "h", "ɦ": "h", "ʔ": "h",
    "c": "k", "ɟ": "ɡ", "q": "k", "ç": "ʃ", "ɕ": "ʃ", "ʑ": "ʒ", "ʂ": "ʃ", "ʐ": "ʒ", "ʈ": "t", "ɖ": "d", "ɳ": "n",
    "ɲ": "n", "ʎ": "l", "ɫ": "l", "ɭ": "l", "ɬ": "l", "β": "v", "ɸ": "f", "ʋ": "v", "ɱ": "m", "ɥ": "w", "ʍ": "w",
    "ɨ": "ɪ", "ʉ": "u", "ɯ": "ɪ", "ɤ": "ʌ", "ɘ": "ə", "ɵ": "ø", "œ": "ø", "ɐ": "ʌ", "ɒ": "ɔ", "ʏ": "y", "ɚ": "ɜ", "ɝ": "ɜ",
    "ᵻ": "ɪ", "ɞ": "ɜ", "ɶ": "a",
}  # fmt: skip
_AFFRICATES = {("t", "ʃ"): "tʃ", ("d", "ʒ"): "dʒ"}


def from_arpabet(phone: str) -> tuple[str, ...]:
    """Classes of one phone as dictionaries write it (``OW1``, ``HH_B``); silence for a noise."""
    return ARPABET.get(phone.split("_")[0].rstrip("012").upper(), (SIL,))


def from_ipa(text: str) -> tuple[str, ...]:
    """Classes of one phoneme in the IPA, as espeak-ng writes it; what is no sound (stress, length, tone) gives none."""
    found: list[str] = []
    for char in unicodedata.normalize("NFC", text):
        letter = _ALIKE.get(char) or unicodedata.normalize("NFD", char)[0]
        if found and (found[-1], letter) in _AFFRICATES:
            found[-1] = _AFFRICATES[(found[-1], letter)]
        elif letter in INDEX:
            found.append(letter)
    return tuple(found)


def viseme_of(name: str) -> str:
    """The viseme of a class."""
    return tuple(VISEMES)[VISEME_OF[INDEX[name]]]
