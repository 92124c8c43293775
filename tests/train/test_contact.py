"""Counting the p, b and m in which lips touch, on gaps whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from engines.common.speech.force_align import Segment
from engines.common.speech.inventory import INDEX
from engines.mouthbank.contact import Contact, contacts, figures, labelled


def test_the_closed_sounds_of_a_clip_are_found_with_their_times() -> None:
    labels = np.array([INDEX["a"]] * 3 + [INDEX["m"]] * 5 + [INDEX["p"]] * 2 + [INDEX["s"]] * 4 + [INDEX["b"]])
    found = labelled(labels.astype(np.uint8))
    assert [segment.name for segment in found] == ["m", "p", "b"]
    assert [round(segment.start, 2) for segment in found] == [0.03, 0.08, 0.14]
    assert found[-1].end == pytest.approx(0.15)


def test_a_gap_counts_within_40_ms_of_its_sound_and_not_beyond() -> None:
    gaps = np.full(25, 0.2)
    gaps[10] = 0.0  # at 0.4 s
    said = [Segment("p", 0.43, 0.5), Segment("b", 0.46, 0.5), Segment("m", 0.3, 0.37), Segment("m", 5.0, 5.1)]
    assert [contact.found for contact in contacts(said, 25, gaps)] == [0.0, 0.2, 0.0]


def test_shares_are_told_by_sound() -> None:
    told = [Contact("p", 0.0, 0.01), Contact("p", 0.2, 0.0), Contact("m", 0.03, 0.2)]
    shares = figures(told)
    assert shares["all"] == {"sounds": 3, "touch": 0.6667, "touch_real": 0.6667}
    assert shares["p"] == {"sounds": 2, "touch": 0.5, "touch_real": 1.0}
    assert shares["m"] == {"sounds": 1, "touch": 1.0, "touch_real": 0.0}
    assert figures([]) == {}
    assert "touch_real" not in figures([Contact("b", 0.0)])["all"]  # type: ignore[operator]
