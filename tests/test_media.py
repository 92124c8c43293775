"""Time arithmetic is exact: integers in, integers out, whatever their size and sign."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.media import (
    NS,
    AudioBlock,
    Frame,
    ns_to_samples,
    ns_to_ticks,
    rescale,
    samples_to_ns,
    ticks_to_ns,
)

pytestmark = pytest.mark.computes

HUGE = st.integers(-(10**30), 10**30)
FACTOR = st.integers(1, 10**12)
RATES = st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
TIME_BASES = st.sampled_from(
    [Fraction(1, 25), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 15360), Fraction(1, 1000)]
)


@given(HUGE, FACTOR, FACTOR)
def test_rescale_rounds_half_up_exactly(value: int, numerator: int, denominator: int) -> None:
    exact = Fraction(value * numerator, denominator)
    assert rescale(value, numerator, denominator) == math.floor(exact + Fraction(1, 2))


@given(HUGE, FACTOR)
def test_rescale_by_one_changes_nothing(value: int, factor: int) -> None:
    assert rescale(value, factor, factor) == value


@given(st.lists(HUGE, min_size=2, max_size=2), FACTOR, FACTOR)
def test_rescale_keeps_order(pair: list[int], numerator: int, denominator: int) -> None:
    low, high = sorted(pair)
    assert rescale(low, numerator, denominator) <= rescale(high, numerator, denominator)


@given(st.integers(-(10**15), 10**15), RATES)
def test_samples_survive_the_way_through_time(samples: int, rate: int) -> None:
    assert ns_to_samples(samples_to_ns(samples, rate), rate) == samples


@given(st.integers(-(10**15), 10**15), TIME_BASES)
def test_ticks_survive_the_way_through_time(ticks: int, time_base: Fraction) -> None:
    assert ns_to_ticks(ticks_to_ns(ticks, time_base), time_base) == ticks


@given(st.integers(-(10**18), 10**18), RATES)
def test_time_is_off_by_half_a_sample_at_most(ns: int, rate: int) -> None:
    assert abs(samples_to_ns(ns_to_samples(ns, rate), rate) - ns) * 2 * rate <= NS + 2 * rate


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=30), RATES)
def test_counting_samples_never_drifts(lengths: list[int], rate: int) -> None:
    """A block's start from the count of samples before it, against adding up rounded durations."""
    total = sum(lengths)
    assert abs(samples_to_ns(total, rate) - Fraction(total * NS, rate)) <= Fraction(1, 2)


def test_a_day_of_ntsc_ends_where_it_should() -> None:
    frames = 24 * 3600 * 30
    assert ticks_to_ns(frames, Fraction(1001, 30000)) == 24 * 3600 * 1001 * NS // 1000


@pytest.mark.parametrize(("rate", "samples", "ns"), [(16000, 1, 62500), (48000, 1, 20833), (44100, 441, 10_000_000)])
def test_known_lengths(rate: int, samples: int, ns: int) -> None:
    assert samples_to_ns(samples, rate) == ns


@given(st.integers(0, 4000), RATES, st.integers(0, 10**15), st.integers(1, 2))
def test_a_block_ends_where_the_next_begins(count: int, rate: int, pts_ns: int, channels: int) -> None:
    block = AudioBlock(np.zeros((count, channels), np.float32), rate, pts_ns)
    assert block.channels == channels
    assert block.end_ns - block.pts_ns == block.duration_ns == samples_to_ns(count, rate)


def test_a_frame_knows_its_size() -> None:
    frame = Frame(np.zeros((48, 64, 3), np.uint8), pts_ns=0, seq=0)
    assert (frame.width, frame.height) == (64, 48)
