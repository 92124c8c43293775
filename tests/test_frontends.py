"""The front end: same numbers at any chunking, frames where they say they are."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from realtime_dub.audio.frontends import AudioSpec, open_front_end
from realtime_dub.audio.frontends.framing import slaney_filters
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec, mel_filters
from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec, per_frame
from realtime_dub.audio.frontends.painter_mel import PainterMel, PainterMelSpec

pytestmark = pytest.mark.computes

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


FRONT_ENDS = [
    LogMelSpec(),
    PainterMelSpec(),
    MfccSpec(energy=True, differences=True),  # Synthesizing Obama: 28 values, 100 a second
    per_frame(25.0),  # landmark dubbing: 12 values of each frame period, window three of them
    per_frame(29.97),
]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=8), st.integers(0, 99))
@pytest.mark.parametrize("spec", FRONT_ENDS, ids=lambda spec: f"{spec.kind}-{spec.features}")
def test_every_front_end_streams_what_it_gives_at_once(spec: AudioSpec, sizes: list[int], seed: int) -> None:
    sound = noise(sum(sizes), seed)
    stream, whole = open_front_end(spec), open_front_end(spec)
    parts = [stream.process(part) for part in np.split(sound, np.cumsum(sizes)[:-1])]
    streamed = np.concatenate([*parts, stream.finish()])
    at_once = np.concatenate([whole.process(sound), whole.finish()])
    assert streamed.shape == at_once.shape == (-(-len(sound) // spec.hop), spec.features)
    near = 1e-3 if isinstance(spec, MfccSpec) and spec.decibels else 1e-4  # a decibel is a quarter of a neper
    assert np.abs(streamed - at_once).max(initial=0) < near
    stream.reset()
    again = np.concatenate([stream.process(sound), stream.finish()])
    assert np.array_equal(again, at_once)


@pytest.mark.parametrize("spec", FRONT_ENDS, ids=lambda spec: f"{spec.kind}-{spec.features}")
def test_a_frame_comes_with_half_a_window_of_sound_and_not_before(spec: AudioSpec) -> None:
    stream = open_front_end(spec)
    first = -(-spec.half_window_ns * spec.rate // 1_000_000_000)
    assert len(stream.process(noise(first - 1))) == 0
    assert len(stream.process(noise(1))) == 1


def test_the_mel_of_painters_is_what_librosa_gives() -> None:
    """librosa 0.11: stft with zeros around, mel with its defaults, then Wav2Lip's decibels and scale."""
    at_s = np.arange(16_000) / 16_000
    sound = 0.3 * np.sin(2 * np.pi * 440 * at_s) + 0.1 * np.sin(2 * np.pi * 3000 * at_s)
    found = PainterMel().process(sound.astype(np.float32))
    wanted = {
        0: [-1.3787, 0.8309, -1.392, 0.651, -1.334],
        1: [-1.9305, 0.5689, -1.8713, 0.2601, -1.8129],
        40: [-4.0, 0.1356, -4.0, -0.8206, -4.0],
    }
    for frame, values in wanted.items():
        assert np.allclose(found[frame, [0, 11, 30, 56, 79]], values, atol=1e-3)


def test_cepstra_are_the_cosine_transform_of_log_bands() -> None:
    """Against SciPy, of one window in the middle of a stream."""
    spec, sound = MfccSpec(energy=True), noise(16_000)
    found = Mfcc(spec).process(sound)[50]
    window = sound[50 * spec.hop - 200 : 50 * spec.hop + 200]
    power = np.abs(np.fft.rfft(window * scipy.signal.get_window("hamming", 400, fftbins=False), 512)) ** 2 / 512
    mels = np.linspace(*(2595 * np.log10(1 + np.array([133, 6856]) / 700)), 42)
    edges, at = 700 * (10 ** (mels / 2595) - 1), np.arange(257) * 16_000 / 512
    bands = [power @ np.interp(at, edges[i : i + 3], [0, 1, 0], left=0, right=0) for i in range(40)]
    assert np.allclose(found[:13], scipy.fft.dct(np.log(bands), norm="ortho")[:13], atol=1e-3)
    assert found[13] == pytest.approx(np.log(np.mean(window**2)), abs=1e-4)


def test_cepstra_of_a_frame_period_are_what_librosa_gives() -> None:
    """Its power spectrum of 2,048 points, 128 bands of Slaney's scale, decibels, orthonormal cosines."""
    spec, sound = per_frame(25.0), noise(16_000)
    found = Mfcc(spec).process(sound)[12]
    window = sound[12 * 640 - 960 : 12 * 640 + 960] * scipy.signal.get_window("hann", 1920)
    bands = np.abs(np.fft.rfft(window, 2048)) ** 2 @ slaney_filters(0.0, 8000.0, 128, 16_000, 2048)
    assert spec.features == 12
    assert np.allclose(found, scipy.fft.dct(10 * np.log10(bands), norm="ortho")[1:13], atol=2e-2)


def test_cepstra_of_silence_are_nothing() -> None:
    assert np.allclose(Mfcc(per_frame(25.0)).process(np.zeros(8_000, np.float32)), 0, atol=1e-3)


def test_differences_are_to_the_frame_before() -> None:
    found = Mfcc(MfccSpec(differences=True)).process(noise(4_000))
    assert np.array_equal(found[1:, 13:], np.diff(found[:, :13], axis=0))
    assert not found[0, 13:].any()
