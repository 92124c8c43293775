"""What the benchmarks of voices count, on texts and sounds whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.languages import BYTES, LINES, errors, plain, sounds, text_of
from benchmarks.typed import spoken
from benchmarks.vocoders import HPM, OWN, Heard, rows_of

pytestmark = pytest.mark.computes


def test_tokens_of_bytes_are_text() -> None:
    letters = {byte: letter for letter, byte in BYTES.items()}
    assert len(letters) == 256
    for text in ("Mañana va", "खिड़की बंद", " a b"):
        written = "".join(letters[byte] for byte in text.encode())
        assert text_of(["<|hi|>", written[:3], written[3:], "<|endoftext|>"]) == text.strip()
    assert text_of([letters[0xE0]]) == "\ufffd"  # a letter that was cut in two


def test_errors_leave_stops_and_capitals_out() -> None:
    assert plain("¿Me  puedes, DECIR?") == "me puedes decir"
    assert errors("El tren sale.", "el tren sale", "es")[::2] == [0, 0, 0]
    found = errors("El tren sale.", "el buen sale", "es")
    assert found[:2] == [1, 3]
    assert found[2:4] == [2, 12]
    assert errors("Hola.", "", "es")[1::2] == errors("Hola.", "", "es")[::2]


def test_hindi_in_the_letters_of_urdu_sounds_alike() -> None:
    hindi, urdu, other = sounds("काम करता है", "hi"), sounds("کام کرتا ہے", "hi"), sounds("children", "hi")
    alike = len(set(hindi) & set(urdu)) / len(set(hindi))
    assert alike > 0.7
    assert alike > len(set(hindi) & set(other)) / len(set(hindi))


def test_each_language_has_as_many_lines() -> None:
    assert len({len(each) for each in LINES.values()}) == 1


def test_lines_are_parted_at_pauses() -> None:
    loud, pause = np.full(8_000, 0.1), np.zeros(16_000)
    parts = spoken(np.concatenate([pause, loud, pause, loud, loud, pause]), 16_000)
    assert [len(each) for each in parts] == [pytest.approx(8_000 + 3_200, abs=2), pytest.approx(16_000 + 3_200, abs=2)]
    assert spoken(pause, 16_000) == []


def test_rows_of_vocoders() -> None:
    heard = [Heard(1, 6, 2.0, 0.1, 0.02), Heard(0, 4, 4.0, 0.3, 0.04)]
    rows = rows_of({f"{OWN} world": heard, f"{HPM} world": heard})
    assert rows[0] == (OWN, "world", pytest.approx(0.1), pytest.approx(3.0), pytest.approx(0.2), pytest.approx(30.0))
    assert rows[1][4] is None
