"""The front end: same numbers at any chunking, frames where they say they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec, mel_filters

SPEC = LogMelSpec()


def noise(count: int, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 0.1).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1200), min_size=1, max_size=12), st.integers(0, 99))
def test_chunks_of_any_size_give_what_the_whole_gives(sizes: list[int], seed: int) -> None:
    sound = noise(sum(sizes), seed)
    stream = LogMel()
    parts = [stream.process(part) for part in np.split(sound, np.cumsum(sizes)[:-1])]
    whole = LogMel().process(sound)
    streamed = np.concatenate(parts)
    assert streamed.shape == whole.shape
    assert np.abs(streamed - whole).max(initial=0) < 1e-5
    assert stream.frames == len(whole)


@pytest.mark.parametrize(("count", "frames"), [(0, 0), (199, 0), (200, 1), (359, 1), (360, 2), (16_000, 99)])
def test_a_frame_comes_half_a_window_after_its_centre(count: int, frames: int) -> None:
    assert len(LogMel().process(noise(count))) == frames


@pytest.mark.parametrize("frame", [3, 40])
def test_a_click_is_strongest_in_the_frame_centred_on_it(frame: int) -> None:
    sound = np.zeros(16_000, np.float32)
    sound[frame * SPEC.hop] = 1.0
    energy = LogMel().power(sound).sum(1)
    assert energy.argmax() == frame
    assert energy[frame - 1] == pytest.approx(energy[frame + 1], rel=1e-3)
    assert LogMel().frame_ns(frame) == frame * 10_000_000


def test_half_window_and_hop_in_time() -> None:
    assert (SPEC.half_window_ns, SPEC.hop_ns) == (12_500_000, 10_000_000)


def test_white_noise_reads_its_variance_in_every_band() -> None:
    power = LogMel().power(noise(160_000)).mean(0)
    assert np.abs(power - 0.01).max() < 0.002


@pytest.mark.parametrize("hz", [200, 1000, 4000])
def test_a_tone_lies_in_its_own_band(hz: int) -> None:
    tone = np.sin(2 * np.pi * hz * np.arange(8000) / 16_000).astype(np.float32)
    band = LogMel().power(tone)[10:-10].mean(0).argmax()
    centre = (mel_filters(SPEC)[:, band] * np.arange(257)).sum() * 16_000 / 512
    assert abs(centre - hz) < 60


def test_silence_reads_the_floor() -> None:
    mel = LogMel().process(np.zeros(1600, np.float32))
    assert np.allclose(mel, (np.log(SPEC.floor) - SPEC.mean) / SPEC.scale)


def test_reset_starts_anew() -> None:
    front_end = LogMel()
    first = front_end.process(noise(3001))
    front_end.reset()
    assert np.array_equal(front_end.process(noise(3001)), first)


def test_every_filter_sums_to_one() -> None:
    assert np.allclose(mel_filters(SPEC).sum(0), 1, atol=1e-5)


@pytest.mark.parametrize("change", [{"hop": 0}, {"floor": 0}, {"kind": "mfcc"}, {"surprise": 1}])
def test_a_spec_that_cannot_be_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        LogMelSpec.model_validate(change)
