"""A person's own way to open the mouth: told by looks, believed as far as there are some, an opening left as it is."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, LIPS_INNER, mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.inference.spec import UsualSpec
from realtime_dub.media import MS
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.motion import Motion
from realtime_dub.mouth.mouthbank.style import PRESSED, Style
from realtime_dub.mouth.mouthbank.way import MOST

pytestmark = pytest.mark.computes

WIDTH = mouth_width(TEMPLATE)
LOWER_LIP = LIPS_INNER[11:]
ROUNDS = 0.4  # how much narrower the mouth of somebody becomes, of an opening


def opened(amount: float, rounds: float) -> Points:
    """The template opened by ``amount`` of its mouth's width, the corners drawn in by ``rounds`` of that."""
    shape = TEMPLATE.copy()
    shape[LOWER_LIP, 1] += amount * WIDTH
    for corner, side in zip(CORNERS, np.sign(TEMPLATE[list(CORNERS), 0]), strict=True):
        shape[corner, 0] -= side * rounds * amount * WIDTH / 2
    return shape


def of_net(amount: float) -> Motion:
    """A net that opens every mouth straight down."""
    return Motion(((opened(amount, 0) - TEMPLATE)[LOWER] / np.float32(WIDTH)).astype(np.float32), 1.0)


def seen(amounts: np.ndarray, rounds: float = ROUNDS) -> Bank:
    bank = Bank()
    for k, amount in enumerate(amounts):
        bank.learn_face(opened(float(amount), rounds), k * 120 * MS)
    return bank


def speaking(count: int, most: float = 0.3) -> np.ndarray:
    """Openings of somebody who speaks now and then."""
    rng = np.random.default_rng(0)
    return rng.permutation(np.concatenate([np.zeros(count // 2), np.linspace(0, most, count // 2)]))


def said(bank: Bank, amount: float, before: int = 60, usual: UsualSpec | None = None) -> Points:
    """The face of ``bank`` when the net, which has spoken for a while, opens the mouth by ``amount``."""
    style = Style(usual)
    for k in range(before):
        style(of_net(0.3 * (k % 20) / 19), bank, 1.0)
    assert bank.neutral is not None
    shape = bank.neutral.copy()
    shape[LOWER] += style.applied(of_net(amount / style.scale), bank, 1.0) * np.float32(mouth_width(bank.neutral))
    return shape


def narrower(shape: Points) -> float:
    """Than the template's mouth, in its widths."""
    return 1 - mouth_width(shape) / WIDTH


def test_who_rounds_the_lips_when_they_part_is_dubbed_with_round_ones() -> None:
    bank = seen(speaking(240))
    for amount in (0.0, 0.15, 0.3):
        shape = said(bank, amount)
        assert 0.5 * ROUNDS * amount - 0.01 <= narrower(shape) <= 1.1 * ROUNDS * amount + 0.01
        pressed = PRESSED if amount == 0 else 0
        assert float(mean_lip_opening(shape)) / WIDTH == pytest.approx(
            float(mean_lip_opening(TEMPLATE)) / WIDTH + amount - pressed, abs=0.02
        )
    assert narrower(said(seen(speaking(240), rounds=0.0), 0.3)) == pytest.approx(0, abs=0.01)


def test_a_few_looks_are_believed_less() -> None:
    few, many = (narrower(said(seen(speaking(count)), 0.3)) for count in (14, 240))
    assert 0.1 * many < few < 0.7 * many


def test_who_was_seen_at_rest_moves_as_the_net_does() -> None:
    bank = seen(np.tile(np.linspace(0, 0.05, 50), 4))
    assert not bank.speaks
    assert narrower(said(bank, 0.3)) == pytest.approx(0, abs=1e-3)


def test_a_net_that_has_hardly_spoken_is_not_moved_at_once() -> None:
    bank = seen(speaking(240))
    steps = [narrower(said(bank, 0.3, before)) for before in (0, 2, 10, 40)]
    assert steps[0] == pytest.approx(0, abs=1e-4)
    assert all(np.diff(steps) > -0.01)


def usual_of_net(most: float = 0.3) -> UsualSpec:
    """Of a net whose lips only part."""
    none, one = (of_net(amount).displacement.tolist() for amount in (0.0, 1.0))
    return UsualSpec(openings=tuple(np.linspace(0, most, 21).tolist()), line=(none, one))


def test_a_net_that_tells_what_is_usual_is_moved_from_the_first_word() -> None:
    bank, usual = seen(speaking(240)), usual_of_net()
    settled = narrower(said(bank, 0.3))
    assert settled > 0.03
    for before in (0, 2, 10, 40):
        assert narrower(said(bank, 0.3, before, usual)) == pytest.approx(settled, rel=0.45), before
    assert narrower(said(bank, 0.3, 0)) == pytest.approx(0, abs=1e-4)


def test_who_opens_the_mouth_farther_than_is_usual_does_so_from_the_first_word() -> None:
    bank = seen(speaking(240, most=0.3))
    first, later = (Style(usual_of_net(0.15)) for _ in range(2))
    first(of_net(0.15), bank, 1.0)
    for _ in range(60):
        later(of_net(0.15), bank, 1.0)
    alone = Style()
    alone(of_net(0.15), bank, 1.0)
    assert 1.0 < alone.scale < first.scale
    assert first.scale == pytest.approx(later.scale, rel=0.25)


def test_what_is_usual_gives_way_to_the_voice_that_is_heard() -> None:
    bank, usual = seen(speaking(240)), usual_of_net(0.9)
    style, alone = Style(usual), Style()
    for k in range(400):
        for each in (style, alone):
            each(of_net(0.3 * (k % 20) / 19), bank, 1.0)
    assert style.scale == pytest.approx(alone.scale, rel=0.02)


def test_nobody_is_moved_far() -> None:
    bank = seen(speaking(240), rounds=3.0)
    moved = said(bank, 0.3) - bank.neutral
    straight = of_net(0.3).displacement * np.float32(WIDTH)
    assert np.abs(moved[LOWER] - straight).max() <= (MOST + 0.05) * WIDTH


def test_it_is_kept_in_the_bank(tmp_path: Path) -> None:
    bank = seen(speaking(240))
    bank.save(tmp_path / "me.bank")
    loaded = Bank.load(tmp_path / "me.bank")
    assert np.allclose(said(loaded, 0.3), said(bank, 0.3), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "sums"),
    [
        ("waysums", [[10, 20], [20, 30]]),
        ("waysums", [[-1, 0], [0, 1]]),
        ("waysums", [[10, 1], [2, 1]]),
        ("waysums", [[np.nan, 0], [0, 1]]),
        ("waysums", [10, 1]),
        ("waymoments", [[1.0]]),
    ],
)
def test_sums_of_no_mouth_are_refused(tmp_path: Path, name: str, sums: object) -> None:
    path = tmp_path / "me.bank"
    seen(speaking(60)).save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    packed = io.BytesIO()
    np.savez(packed, **arrays | {name: np.asarray(sums, np.float32)})
    path.write_bytes(packed.getvalue())
    with pytest.raises(BundleError, match="cannot read bank"):
        Bank.load(path)
