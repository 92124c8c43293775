"""How far lips stand open for a phoneme of the IPA, 0 = shut, 1 = as far as in speech: what a fit to lips expects."""

# ruff: noqa: RUF001

from __future__ import annotations

import unicodedata

PAUSE = 0.12  # lips at rest are nearly shut
UNKNOWN = 0.45
# As phoneticians order them: closures, lip on teeth, fricatives, vowels by jaw.
OPENINGS = {
    0.0: "pbmʙɓ",
    0.15: "fvɸβɱʋ",
    0.3: "szʃʒɕʑʂʐwɥʍuʊʉɯyʏ",
    0.4: "tdnɾrɹɻlɫɭɬʎɲɳʈɖθðjcɟçkɡgqŋxɣχʁʀhɦʔʕħ",
    0.5: "iɪɨoɵøᵻ",
    0.65: "eəɘɤɚɝɜɔœɞ",
    0.85: "ɛʌɐɒ",
    1.0: "aɑæɶ",
}
OPENING = {letter: opening for opening, letters in OPENINGS.items() for letter in letters}


def opening_of(phoneme: str) -> float:
    """The widest of its letters; of a pause, which is empty, the lips at rest."""
    if not phoneme:
        return PAUSE
    letters = unicodedata.normalize("NFD", phoneme)
    found = [OPENING[letter] for letter in letters if letter in OPENING]
    return max(found) if found else UNKNOWN
