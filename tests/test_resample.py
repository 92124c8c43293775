"""The streaming resampler against truth, against itself in other pieces, and against soxr."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.audio.resample import StreamResampler
from realtime_dub.media import MS, samples_to_ns

pytestmark = pytest.mark.computes

RATES = [(48_000, 16_000), (44_100, 16_000), (8_000, 16_000), (44_100, 48_000), (22_050, 16_000), (96_000, 44_100)]


def in_pieces(samples: np.ndarray, in_rate: int, out_rate: int, size: int) -> np.ndarray:
    resampler = StreamResampler(in_rate, out_rate, samples.shape[1])
    parts = [resampler.process(samples[at : at + size]) for at in range(0, len(samples), size)]
    return np.concatenate([*parts, resampler.flush()])


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_an_impulse_stays_where_it_is(in_rate: int, out_rate: int) -> None:
    samples = np.zeros((in_rate // 2, 1), np.float32)
    samples[in_rate // 4 + 7] = 1.0
    out = in_pieces(samples, in_rate, out_rate, in_rate // 100)[:, 0]
    centre_s = (np.arange(len(out)) * out).sum() / out.sum() / out_rate
    assert abs(centre_s - (in_rate // 4 + 7) / in_rate) < 2e-6


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
@pytest.mark.parametrize("size", [1, 77, 441, 1024])
def test_streaming_is_offline(in_rate: int, out_rate: int, size: int) -> None:
    samples = np.random.default_rng(1).uniform(-1, 1, (3000, 2)).astype(np.float32)
    np.testing.assert_allclose(
        in_pieces(samples, in_rate, out_rate, size), in_pieces(samples, in_rate, out_rate, len(samples)), atol=2e-6
    )


@given(st.lists(st.integers(0, 700), min_size=1, max_size=12), st.sampled_from(RATES))
@settings(max_examples=40, deadline=None)
def test_length_and_held_back_sound_for_any_pieces(sizes: list[int], rates: tuple[int, int]) -> None:
    in_rate, out_rate = rates
    resampler = StreamResampler(in_rate, out_rate, 1)
    taken = given_out = 0
    for size in sizes:
        taken += size
        given_out += len(resampler.process(np.ones((size, 1), np.float32)))
        held_ns = samples_to_ns(taken, in_rate) - samples_to_ns(given_out, out_rate)
        assert held_ns <= resampler.delay_ns + samples_to_ns(1, in_rate)
    given_out += len(resampler.flush())
    assert abs(given_out - taken * out_rate / in_rate) <= 0.5


def test_the_engines_sound_waits_less_than_two_milliseconds() -> None:
    assert max(StreamResampler(rate, 16_000, 1).delay_ns for rate in (44_100, 48_000, 96_000)) < 1.6 * MS


@pytest.mark.parametrize(("in_rate", "out_rate"), RATES)
def test_agrees_with_soxr_in_the_pass_band(in_rate: int, out_rate: int) -> None:
    times = np.arange(in_rate // 4) / in_rate
    top = 0.85 * min(in_rate, out_rate) / 2
    tones = sum(np.sin(2 * np.pi * f * times + f) for f in (100.0, 1234.5, 0.5 * top, top)) / 4
    ours = in_pieces(tones[:, None].astype(np.float32), in_rate, out_rate, 500)[:, 0]
    theirs = soxr.resample(tones, in_rate, out_rate, "VHQ")
    middle = slice(out_rate // 20, -out_rate // 20)
    difference = ours[middle] - theirs[: len(ours)][middle]
    assert np.abs(difference).max() < 1e-3  # -60 dB; most of it at the top


def test_what_would_alias_is_gone() -> None:
    times = np.arange(24_000) / 48_000
    tone = np.sin(2 * np.pi * 9_500 * times)[:, None].astype(np.float32)
    out = in_pieces(tone, 48_000, 16_000, 480)
    assert np.abs(out[400:-400]).max() < 2e-4


def test_equal_rates_pass_unchanged() -> None:
    samples = np.random.default_rng(2).uniform(-1, 1, (100, 2)).astype(np.float32)
    resampler = StreamResampler(44_100, 44_100, 2)
    assert resampler.process(samples) is samples
    assert len(resampler.flush()) == 0
    assert resampler.delay_ns == 0


def test_a_stream_that_changes_its_rate_goes_on_without_an_edge() -> None:
    """The end of one part and the beginning of the next are told what lies beyond them."""
    tone = 0.5 * np.cos(2 * np.pi * 300 * np.arange(44_100) / 44_100)[:, None].astype(np.float32)
    resampler = StreamResampler(44_100, 48_000, 1)
    resampler.go_on_from(tone[:10_000])
    out = np.concatenate([resampler.process(tone[10_000:30_000]), resampler.flush(tone[30_000:])])
    start = 10_000 * 48_000 / 44_100
    times = (start + np.arange(len(out))) / 48_000
    assert np.abs(out[:, 0] - 0.5 * np.cos(2 * np.pi * 300 * times)).max() < 1e-3
    assert len(out) == round(20_000 * 48_000 / 44_100)
