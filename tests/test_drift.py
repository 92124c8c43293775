"""Sound cards whose crystals are off, in virtual time."""

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from realtime_dub.audio.drift import DriftCorrector, DriftEstimator
from realtime_dub.media import MS, NS, AudioBlock

pytestmark = pytest.mark.computes

RATE = 8_000
BLOCK = 160  # 20 ms
START_NS = 1_000 * NS
PHASE_HZ = 0.5  # the phase of this tone tells the instant of a sample, unambiguous over 2 s


@dataclass
class Card:
    """A card that records the phase of a slow tone: every sample says when it truly was."""

    ppm: float
    jitter_ns: float = 0.0
    late_share: float = 0.0  # of blocks that are told 30 ms late
    count: int = 0
    extra_ns: int = 0  # time that passed unrecorded

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(3)

    def block(self) -> tuple[np.ndarray, int]:
        times = (np.arange(self.count, self.count + BLOCK) / RATE) * (1 + self.ppm * 1e-6) + self.extra_ns / NS
        self.count += BLOCK
        phase = 2 * np.pi * PHASE_HZ * times
        told_ns = times[0] * NS + self.random.normal() * self.jitter_ns
        told_ns += 30 * MS * (self.random.random() < self.late_share)
        return np.stack([np.sin(phase), np.cos(phase)], axis=1).astype(np.float32), START_NS + round(told_ns)


def errors_ms(block: AudioBlock) -> np.ndarray:
    """How far each sample's stamp is from when it truly was."""
    true_s = np.arctan2(block.samples[:, 0], block.samples[:, 1]) / (2 * np.pi * PHASE_HZ)
    stamp_s = (block.pts_ns - START_NS) / NS + np.arange(len(block.samples)) / RATE
    return ((stamp_s - true_s + 1.0) % 2.0 - 1.0) * 1e3


@pytest.mark.parametrize("ppm", [-300.0, 300.0])
def test_ten_minutes_of_drift_and_jitter(ppm: float) -> None:
    card, corrector = Card(ppm, jitter_ns=2.0 * MS, late_share=0.01), DriftCorrector(RATE, 2)
    worst = np.zeros(11)  # per minute
    given = 0
    for _ in range(11 * 60 * 50):
        for block in corrector.process(*card.block()):
            assert not block.gap
            minute = min(10, (block.pts_ns - START_NS) // (60 * NS))
            if block.pts_ns > START_NS + 10 * NS:
                worst[minute] = max(worst[minute], abs(errors_ms(block)[[0, -1]]).max())
            given += len(block.samples)
    assert worst.max() < 1.0
    assert worst[6:].max() < 1.0  # no growth
    assert abs(corrector.estimator.skew_ppm - ppm) < 10
    assert abs(given / RATE - 660 * (1 + ppm * 1e-6)) < 0.02


@pytest.mark.parametrize("ppm", [-300.0, 0.0, 300.0])
def test_start_up_is_bounded(ppm: float) -> None:
    card, corrector = Card(ppm, jitter_ns=2.0 * MS), DriftCorrector(RATE, 2)
    errors = [errors_ms(b) for _ in range(1000) for b in corrector.process(*card.block())]
    assert np.abs(np.concatenate(errors)).max() < 6.0  # three sigma of the jitter: the first block's own
    assert np.abs(np.concatenate(errors[400:])).max() < 2.0


def test_blocks_follow_one_another_exactly_at_the_nominal_rate() -> None:
    card, corrector = Card(250.0, jitter_ns=1.0 * MS), DriftCorrector(RATE, 2)
    count, first_ns, next_ns = 0, 0, None
    for _ in range(500):
        for block in corrector.process(*card.block()):
            assert next_ns is None or block.pts_ns == next_ns
            first_ns = block.pts_ns if next_ns is None else first_ns
            count += len(block.samples)
            next_ns = first_ns + round(count * NS / RATE)
            assert corrector.next_ns == next_ns


def test_pitch_never_bends_audibly() -> None:
    card, corrector = Card(-300.0, jitter_ns=3.0 * MS), DriftCorrector(RATE, 2)
    errors = np.concatenate([errors_ms(b) for _ in range(2000) for b in corrector.process(*card.block())])
    speed = np.abs(np.diff(errors)) * RATE / 1e3  # change of error per second of sound
    assert np.percentile(speed, 99) < 0.0056


def test_lost_samples_become_a_marked_gap_of_their_length() -> None:
    card, corrector = Card(100.0), DriftCorrector(RATE, 2)
    for _ in range(300):
        corrector.process(*card.block())
    card.extra_ns = 250 * MS
    blocks = corrector.process(*card.block(), lost=True)
    blocks += corrector.process(*card.block())
    gaps = [block for block in blocks if block.gap]
    assert abs(sum(block.duration_ns for block in gaps) - 250 * MS) < 1 * MS
    assert not any(block.samples.any() for block in gaps)
    assert all(b.pts_ns == a.end_ns or abs(b.pts_ns - a.end_ns) <= 1 for a, b in itertools.pairwise(blocks))
    assert np.abs(errors_ms(blocks[-1])).max() < 0.5


@pytest.mark.parametrize("jump_ms", [-200, 300])
def test_an_untold_jump_is_noticed(jump_ms: int) -> None:
    card, corrector = Card(0.0, jitter_ns=0.5 * MS), DriftCorrector(RATE, 2)
    for _ in range(300):
        corrector.process(*card.block())
    card.extra_ns = jump_ms * MS
    blocks = [block for _ in range(200) for block in corrector.process(*card.block())]
    assert np.abs(errors_ms(blocks[-1])).max() < 2.0
    gap_ns = sum(block.duration_ns for block in blocks if block.gap)
    assert abs(gap_ns - max(0, jump_ms) * MS) < 120 * MS


def test_the_estimator_is_exact_on_a_straight_line() -> None:
    estimator = DriftEstimator(48_000)
    for block in range(3000):
        estimator.update(480 * block, 7 * NS + round(block * 10 * MS * (1 - 200e-6)))
    assert abs(estimator.skew_ppm + 200) < 0.1
    assert abs(estimator.time_ns(480 * 3000) - (7 * NS + round(30 * NS * (1 - 200e-6)))) < 1_000
    assert abs(estimator.count_at(estimator.time_ns(1_440_123)) - 1_440_123) < 1e-3
    assert isinstance(estimator.time_ns(5), int)
