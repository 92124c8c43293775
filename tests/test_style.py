"""How one person's way to speak changes the net's motion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import LIPS_INNER, mean_lip_opening
from realtime_dub.face.types import Points
from realtime_dub.media import MS
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.looks import ENOUGH
from realtime_dub.mouth.mouthbank.motion import Motion
from realtime_dub.mouth.mouthbank.style import LEAST, MOST, PRESSED, Style, kept_shut, quantile

pytestmark = pytest.mark.computes

_LOWER_LIP = LIPS_INNER[11:]


def opened(amount: float) -> Points:
    """The template with its lower lip down by ``amount`` of its mouth's width."""
    shape = TEMPLATE.copy()
    shape[_LOWER_LIP, 1] += amount * mouth_width(TEMPLATE)
    return shape


def motion(amount: float, speech: float = 1.0) -> Motion:
    moved = (opened(amount) - TEMPLATE)[LOWER] / np.float32(mouth_width(TEMPLATE))
    return Motion(moved.astype(np.float32), speech)


def seen(amounts: np.ndarray) -> Bank:
    """A bank that has seen a mouth this far open."""
    bank = Bank()
    for k, amount in enumerate(amounts):
        bank.learn_face(opened(float(amount)), k * 120 * MS)
    return bank


def gap_of(bank: Bank, displacement: Points) -> float:
    """Opening beyond the template's own, mouth widths."""
    assert bank.neutral is not None
    shape = bank.neutral.copy()
    shape[LOWER] += displacement * np.float32(mouth_width(bank.neutral))
    return float(mean_lip_opening(shape) - mean_lip_opening(TEMPLATE)) / mouth_width(TEMPLATE)


@pytest.fixture
def open_mouthed() -> Bank:
    """Rests with the lips 0.15 apart, closes them for a tenth of the time, opens to 0.4."""
    rng = np.random.default_rng(0)
    return seen(rng.permutation(np.concatenate([np.zeros(20), np.full(100, 0.15), np.linspace(0.15, 0.4, 60)])))


def test_lips_close_though_the_person_rests_with_open_ones(open_mouthed: Bank) -> None:
    style = Style()
    assert gap_of(open_mouthed, np.zeros((len(LOWER), 3), np.float32)) == pytest.approx(0.15, abs=0.01)
    assert gap_of(open_mouthed, style(motion(0.0), open_mouthed, 1.0)) == pytest.approx(-PRESSED, abs=0.01)


def test_lips_that_the_net_leaves_near_each_other_are_pressed_and_farther_ones_open(open_mouthed: Bank) -> None:
    style = Style()
    near = [gap_of(open_mouthed, style.applied(motion(amount), open_mouthed, 1.0)) for amount in (-0.005, 0, 0.005)]
    assert all(-PRESSED - 0.002 <= gap <= -0.75 * PRESSED for gap in near)
    assert gap_of(open_mouthed, style.applied(motion(0.06), open_mouthed, 1.0)) == pytest.approx(0.06, abs=0.005)
    opened = [gap_of(open_mouthed, style.applied(motion(0.002 * k), open_mouthed, 1.0)) for k in range(40)]
    assert np.diff(opened).min() > -1e-4  # who opens farther is seen farther open
    wide = motion(0.0)
    wide.displacement[:, 0] += 0.1  # a pursed or a smiling mouth stays so while it is shut
    assert np.allclose(
        style.applied(wide, open_mouthed, 1.0)[:, 0] - style.applied(motion(0.0), open_mouthed, 1.0)[:, 0], 0.1
    )


def test_a_persons_own_opens_no_lips_a_little_that_the_net_has_shut(open_mouthed: Bank) -> None:
    style = Style()

    def opened_by(net: float, own: float) -> float:
        """How much farther the lips are open by a person's own of that size."""
        made = style.applied(motion(net), open_mouthed, 1.0)
        kept = kept_shut(motion(own).displacement, style.opened(made, open_mouthed))
        return gap_of(open_mouthed, made + kept) - gap_of(open_mouthed, made)

    assert style.opened(style.applied(motion(0.2), open_mouthed, 1.0), open_mouthed) == pytest.approx(0.2, abs=0.01)
    assert style.opened(motion(0.2).displacement, Bank(neutral=TEMPLATE)) == np.inf
    assert opened_by(0.0, 0.02) < 0.004  # a p, b or m
    assert opened_by(0.0, 0.15) == pytest.approx(0.15, abs=0.01)  # the person says that it is none
    assert opened_by(0.1, 0.02) == pytest.approx(0.02, abs=1e-4)
    assert opened_by(0.1, -0.02) == pytest.approx(-0.02, abs=1e-4)
    assert opened_by(0.0, -0.02) == pytest.approx(-0.02, abs=1e-4)
    gaps = [own + opened_by(0.0, own) for own in np.linspace(0, 0.3, 60)]
    assert np.diff(gaps).min() > 0
    wide = np.zeros((len(LOWER), 3), np.float32)
    wide[:, 0] = 0.05
    assert np.array_equal(kept_shut(wide + motion(0.02).displacement, 0.0)[:, 0], wide[:, 0])


@pytest.mark.parametrize(("widest", "scale"), [(0.3, 1.2), (0.1, LEAST), (0.9, MOST)])
def test_motion_is_taken_in_the_persons_measure(widest: float, scale: float) -> None:
    bank, style = seen(np.tile(np.linspace(0, widest, 50), 4)), Style()
    for k in range(2000):
        style(motion(0.25 * (k % 50) / 49), bank, 1.0)
    assert style.scale == pytest.approx(scale, rel=0.12)
    assert LEAST <= style.scale <= MOST


def test_nothing_is_assumed_of_whom_nobody_has_seen_speak() -> None:
    bank = seen(np.zeros(ENOUGH - 1))
    assert bank.closed is None
    displacement = Style()(motion(0.2), bank, 0.5)
    assert np.allclose(displacement, 0.5 * motion(0.2).displacement, atol=1e-6)


def test_who_only_listens_is_not_taken_for_one_who_mumbles() -> None:
    bank, style = seen(np.tile(np.linspace(0, 0.05, 50), 4)), Style()
    for k in range(100):
        style(motion(0.25 * (k % 50) / 49), bank, 1.0)
    assert bank.wide == 0
    assert style.scale == 1


def test_what_is_known_survives_saving(open_mouthed: Bank, tmp_path: Path) -> None:
    path = tmp_path / "me.bank"
    open_mouthed.save(path)
    loaded = Bank.load(path)
    assert np.array_equal(loaded.closed, open_mouthed.closed)
    assert loaded.wide == pytest.approx(open_mouthed.wide)


@pytest.mark.parametrize("count", [1, 2, 7, 300])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.9, 0.95, 1.0])
def test_quantiles_are_those_of_numpy_to_the_bit(count: int, share: float) -> None:
    values = np.random.default_rng(count).normal(size=count).tolist()
    assert quantile(values, share) == float(np.quantile(values, share))
