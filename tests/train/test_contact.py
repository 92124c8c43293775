"""Counting the p, b and m in which lips touch, on gaps whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.closing import FILMED, counted, share
from benchmarks.closing import figures as over_people
from engines.common.grid import sentence
from engines.common.mouth_figures import Score
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


def test_a_clip_of_grid_is_called_as_it_is_spoken() -> None:
    assert sentence("s05_bbaf2n") == ["bin", "blue", "at", "f", "two", "now"]
    assert sentence("s04_pwijzp_hd") == ["place", "white", "in", "j", "zero", "please"]
    assert sentence("holiday") == []
    assert sentence("s05_bbaw2n") == []  # GRID has no letter w


def test_lips_of_a_dubbed_clip_touch_where_they_are_as_near_as_the_true_ones_come() -> None:
    truth = np.full(75, 0.3)
    truth[10:13] = truth[40:43] = 0.05  # how the tracker reads this person's shut lips
    dubbed = truth.copy()
    dubbed[40:43] = 0.1
    said = [Segment("b", 0.4, 0.48), Segment("m", 1.6, 1.7), Segment("p", 9.0, 9.1)]
    told = counted(Score("s05_bbaf2n", "s05", truth, dubbed, {}), said)
    assert [contact.found for contact in told] == pytest.approx([0.0, 0.05])
    assert share(told) == 0.5
    assert share(told, filmed=True) == 1
    assert np.isnan(share([]))


def test_people_count_alike_however_much_they_say() -> None:
    near, far = Contact("b", 0.0, 0.0), Contact("p", 0.1, 0.0)
    told = over_people({"dubbed": {"s05": [near, near, near, far], "s33": [far]}})
    mean, each = told["dubbed"]
    assert mean.mean == pytest.approx(0.375)
    assert each == {"s05": 0.75, "s33": 0.0}
    assert told[FILMED][0].mean == 1
