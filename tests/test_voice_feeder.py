"""What the generator hears of the ring and of a file: every sample once, at its time, however it is asked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from live_helpers import EveryThird, PuppetGenerator, sound

from realtime_dub.errors import EndOfStream
from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, NS, AudioBlock, ns_to_samples, samples_to_ns
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.voice_feeder import VoiceFeeder, askable_ns, needs_ns, resampler_delay_ns


class Holding:
    """Decimates by three and keeps 480 samples back."""

    def __init__(self) -> None:
        self._held = np.zeros((0, 1), np.float32)

    def process(self, samples: np.ndarray) -> np.ndarray:
        self._held = np.concatenate([self._held, samples])
        give = max(0, (len(self._held) - 480) // 3 * 3)
        out, self._held = self._held[:give:3], self._held[give:]
        return out


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20))
@settings(max_examples=40)
def test_hearing_in_pieces_is_hearing_at_once(steps_ms: list[int]) -> None:
    ring = AudioRing(48_000, 1, 30 * NS)
    ring.write(AudioBlock(sound(0, 48_000 * 7), 48_000, NS))
    pieces, once = PuppetGenerator(), PuppetGenerator()
    ear, until = VoiceFeeder(ring, pieces, 0, lambda rate: EveryThird()), 0
    for step in steps_ms:
        until += step
        ear.hear_until(until * MS)
    VoiceFeeder(ring, once, 0, lambda rate: EveryThird()).hear_until(until * MS)
    assert sum(map(len, pieces.heard)) == sum(map(len, once.heard)) == until * 16
    if until:
        assert np.array_equal(np.concatenate(pieces.heard), np.concatenate(once.heard))


def test_channels_are_mixed_and_times_are_exact() -> None:
    ring = AudioRing(16_000, 2, NS)
    samples = np.stack([np.full(1600, 0.2), np.full(1600, 0.6)], axis=1).astype(np.float32)
    ring.write(AudioBlock(samples, 16_000, 5 * NS))
    generator = PuppetGenerator()
    VoiceFeeder(ring, generator, 5 * NS - 10 * MS).hear_until(5 * NS + 50 * MS)
    assert generator.pts == [5 * NS - 10 * MS]
    assert not generator.heard[0][:160].any()
    assert np.allclose(generator.heard[0][160:], 0.4)
    assert len(generator.heard[0]) == 960


def test_what_a_resampler_holds_back_is_measured() -> None:
    assert resampler_delay_ns(48_000, lambda rate: Holding()) == 10 * MS
    assert resampler_delay_ns(16_000) == 0


def test_with_the_measured_delay_the_generator_can_be_asked() -> None:
    ring, generator = AudioRing(48_000, 1, 3 * NS), PuppetGenerator(look_ahead_ms=30)
    ring.write(AudioBlock(sound(0, 96_000), 48_000, 0))
    needs = needs_ns(generator, resampler_delay_ns(48_000, lambda rate: Holding()))
    ear = VoiceFeeder(ring, generator, 0, lambda rate: Holding())
    for k in range(20):
        ear.hear_until(k * 40 * MS + needs)
        assert askable_ns(generator, k * 40 * MS) == k * 40 * MS
    assert askable_ns(generator, NS) is None
    heard = generator.heard_until_ns()
    assert askable_ns(generator, heard + 5 * MS) == heard


class Blocks:
    def __init__(self, sizes: list[int], start_ns: int) -> None:
        self._sizes, self._start_ns, self._at = sizes, start_ns, 0

    def read(self) -> AudioBlock:
        if not self._sizes:
            raise EndOfStream
        count = self._sizes.pop(0)
        self._at += count
        pts_ns = self._start_ns + samples_to_ns(self._at - count, 8_000)
        return AudioBlock(sound(self._at - count, count), 8_000, pts_ns)


@given(
    st.lists(st.integers(1, 500), max_size=12),
    st.integers(0, NS),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 600)), max_size=12),
)
def test_pulled_voice_reads_by_time_forwards(sizes: list[int], start_ns: int, reads: list[tuple[int, int]]) -> None:
    total, at = sum(sizes), 0
    voice = PulledVoice(Blocks(list(sizes), start_ns), 8_000, 1)
    track = np.concatenate([np.zeros((ns_to_samples(start_ns, 8_000), 1)), sound(0, total), np.zeros((99_999, 1))])
    for step, count in reads:
        at += step * 8  # whole ms
        got = voice.read(samples_to_ns(at, 8_000), count)
        assert np.array_equal(got, track[at : at + count].astype(np.float32))
        voice.forget(samples_to_ns(at, 8_000))
    assert voice.goes_on(0) == (total > 0)
    assert not voice.goes_on(start_ns + samples_to_ns(total + 1, 8_000))


@pytest.mark.parametrize("frames", [1, 2])
def test_goes_on_is_about_the_instant(frames: int) -> None:
    voice = PulledVoice(Blocks([800 * frames], 0), 8_000, 1)
    assert voice.goes_on(100 * MS * frames - MS)
    assert not voice.goes_on(100 * MS * frames)


def test_a_voice_with_opposite_signs_on_two_channels_is_heard() -> None:
    ring = AudioRing(16_000, 2, 3 * NS)
    voice = sound(0, 32_000)
    ring.write(AudioBlock(np.concatenate([voice, -voice], axis=1), 16_000, 0))
    generator = PuppetGenerator()
    VoiceFeeder(ring, generator, 0).hear_until(2 * NS)
    heard = np.concatenate(generator.heard)[3200:]
    np.testing.assert_allclose(np.abs(heard), np.abs(voice[3200:, 0]), atol=1e-5)
