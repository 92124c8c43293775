"""ARPAbet as published checkpoints number it: vowels without and with stress, consonants, three silences."""

from __future__ import annotations

VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
SILENCES = ("sp", "spn", "sil")
STRESSED = tuple(f"{vowel}{stress}" for vowel in VOWELS for stress in ("", 0, 1, 2))
SYMBOLS = (*sorted((*STRESSED, *CONSONANTS)), *SILENCES)
