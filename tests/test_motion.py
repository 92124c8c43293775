"""The motion of the mouth from sound, with the shipped bundle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.audio.frontends.logmel import LogMel
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import OPENING
from realtime_dub.inference.bundle import Bundle, load_default
from realtime_dub.mouth.mouthbank.motion import MotionStream

pytestmark = pytest.mark.computes

RATE = 16_000
ORIGIN_NS = 7_123_456_789
HOP_NS = 10_000_000
OPENING_AT = np.searchsorted(LOWER, OPENING)
BUNDLE = load_default("mouthbank")


def vowel(seconds: float, first: float = 750, second: float = 1200, pitch: float = 120) -> np.ndarray:
    """A voice with two formants: pulses through two resonances, at -20 dB."""
    count = int(seconds * RATE)
    pulses = np.zeros(count)
    pulses[:: round(RATE / pitch)] = 1
    spectrum = np.fft.rfft(pulses)
    hz = np.fft.rfftfreq(count, 1 / RATE)
    gain = sum(1 / (1 + ((hz - formant) / 80) ** 2) for formant in (first, second, 2600)) / (1 + hz / 800)
    sound = np.fft.irfft(spectrum * gain, count)
    return (0.1 * sound / sound.std()).astype(np.float32)


def syllables(count: int = 4) -> np.ndarray:
    """Half a second of silence, then vowels of 0.2 s with pauses of 0.2 s, then silence."""
    pause = np.zeros(RATE // 5, np.float32)
    parts = [np.zeros(RATE // 2, np.float32)]
    for _ in range(count):
        parts += [vowel(0.2), pause]
    return np.concatenate([*parts, np.zeros(RATE // 2, np.float32)])


def hear_all(sound: np.ndarray, sizes: list[int] | int = 1600, bundle: Bundle = BUNDLE) -> MotionStream:
    stream = MotionStream(bundle)
    sizes = [sizes] if isinstance(sizes, int) else sizes
    at, turn = 0, 0
    while at < len(sound):
        part = sound[at : at + sizes[turn % len(sizes)]]
        stream.hear(part, ORIGIN_NS + at * 1_000_000_000 // RATE)
        at, turn = at + len(part), turn + 1
    return stream


def trace(stream: MotionStream, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    motions = [stream.at(ORIGIN_NS + i * HOP_NS) for i in range(int(seconds * 100))]
    return np.stack([m.displacement for m in motions]), np.array([m.speech for m in motions])


def opening_change(displacement: np.ndarray) -> np.ndarray:
    gaps = displacement[:, OPENING_AT[:, 1], 1] - displacement[:, OPENING_AT[:, 0], 1]
    return np.asarray(gaps.mean(1))


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
def test_chunks_of_any_size_give_the_same_motion(sizes: list[int]) -> None:
    sound = syllables(2)
    moved, speech = trace(hear_all(sound, sizes), 1.7)
    whole_moved, whole_speech = trace(hear_all(sound, len(sound)), 1.7)
    assert np.abs(moved - whole_moved).max() < 1e-5
    assert np.abs(speech - whole_speech).max() < 1e-5


def test_motion_of_frame_i_is_at_i_times_the_hop() -> None:
    """Against the network run by hand: output n + look-ahead is the motion at ``origin + n * hop``, exactly."""
    sound = syllables(1)
    spec = BUNDLE.spec
    feeds = {state.before: np.zeros(state.shape, np.float32) for state in spec.states}
    mel = LogMel(spec.audio).process(sound)
    outputs = BUNDLE.session().run(feeds | {"mel": mel[None]})["displacement"][0]
    stream = hear_all(sound, 160)
    for frame in (0, 33, 71, len(mel) - 9):
        found = stream.at(ORIGIN_NS + frame * HOP_NS).displacement
        assert np.abs(found - outputs[frame + 8]).max() < 1e-5
    between = stream.at(ORIGIN_NS + 60 * HOP_NS + HOP_NS // 2).displacement
    assert np.abs(between - (outputs[68] + outputs[69]) / 2).max() < 1e-5


@pytest.mark.parametrize("count", [16_000, 16_199, 16_200, 16_321])
def test_what_is_known_lags_by_window_and_look_ahead(count: int) -> None:
    stream = hear_all(np.zeros(count, np.float32), 331)
    frames = (count - 200) // 160 + 1
    assert stream.heard_until_ns() == ORIGIN_NS + (frames - 1 - 8) * HOP_NS
    end_ns = ORIGIN_NS + count * 1_000_000_000 // RATE
    lag = end_ns - stream.heard_until_ns()
    assert stream.front_end_ns + stream.look_ahead_ns <= lag < stream.front_end_ns + stream.look_ahead_ns + HOP_NS


def test_silence_is_rest() -> None:
    for level in (0.0, 3e-4):
        sound = level * np.random.default_rng(0).standard_normal(2 * RATE)
        moved, speech = trace(hear_all(sound.astype(np.float32)), 1.8)
        assert np.abs(moved).mean() < 0.01
        assert np.abs(opening_change(moved)).max() < 0.03
        assert speech.max() < 0.3


def test_vowels_open_the_mouth_while_they_sound() -> None:
    moved, speech = trace(hear_all(syllables()), 2.5)
    change = opening_change(moved)
    times = np.arange(len(change)) * 0.01
    voiced = ((times - 0.5) % 0.4 < 0.2) & (times >= 0.5) & (times < 2.1)
    silent = (times < 0.3) | (times > 2.3)
    assert change[voiced].mean() > 0.05
    assert abs(change[silent]).mean() < 0.02
    assert speech[voiced].mean() > 0.7
    assert speech[silent].mean() < 0.2


def test_rest_before_the_first_sound() -> None:
    stream = MotionStream(BUNDLE)
    assert stream.heard_until_ns() < -(1 << 61)
    assert not stream.at(0).displacement.any()
    stream.hear(vowel(1.0), ORIGIN_NS)
    before = stream.at(ORIGIN_NS - 1)
    assert not before.displacement.any()
    assert before.speech == 0
    assert stream.at(ORIGIN_NS + 500_000_000).displacement.any()


def test_history_is_bounded_and_its_oldest_is_kept() -> None:
    stream = hear_all(vowel(5.0))
    newest, oldest = stream.heard_until_ns(), stream.heard_until_ns() - 2_900_000_000
    assert np.array_equal(stream.at(ORIGIN_NS).displacement, stream.at(oldest - 200_000_000).displacement)
    assert not np.array_equal(stream.at(oldest + HOP_NS).displacement, stream.at(oldest + 2 * HOP_NS).displacement)
    assert np.array_equal(stream.at(newest + 1_000_000_000).displacement, stream.at(newest).displacement)


def test_sound_that_jumps_starts_a_new_stream() -> None:
    stream = hear_all(vowel(1.0))
    later_ns = ORIGIN_NS + 9_000_000_000
    stream.hear(vowel(1.0), later_ns)
    fresh = MotionStream(BUNDLE)
    fresh.hear(vowel(1.0), later_ns)
    assert stream.heard_until_ns() == fresh.heard_until_ns()
    at_ns = later_ns + 400_000_000
    assert np.array_equal(stream.at(at_ns).displacement, fresh.at(at_ns).displacement)


def test_streams_keep_their_own_state() -> None:
    sound = syllables(2)
    one, other = MotionStream(BUNDLE), MotionStream(BUNDLE)
    for at in range(0, len(sound), 640):
        pts_ns = ORIGIN_NS + at * 1_000_000_000 // RATE
        one.hear(sound[at : at + 640], pts_ns)
        other.hear(np.zeros(len(sound[at : at + 640]), np.float32), pts_ns)
    alone, _ = trace(hear_all(sound, 640), 1.5)
    assert np.array_equal(trace(one, 1.5)[0], alone)


class Counted(MotionStream):
    """Counts what its network is given."""

    def __init__(self) -> None:
        self.calls: list[int] = []
        super().__init__(BUNDLE)
        self.calls.clear()

    def _moved(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        self.calls.append(len(frames))
        return super()._moved(frames)


def test_the_network_is_called_once_for_a_mouth_whatever_pieces_its_voice_comes_in() -> None:
    stream, sound = Counted(), syllables(2)
    for at in range(0, len(sound), RATE // 50):  # as a sound device gives it; a mouth for every second piece
        stream.hear(sound[at : at + RATE // 50], ORIGIN_NS + at * 1_000_000_000 // RATE)
        if at % (RATE // 25):
            stream.at(stream.heard_until_ns())
    assert set(stream.calls[1:-1]) == {4}


def test_what_waits_for_a_mouth_is_heard_before_the_level_is_forgotten() -> None:
    sound = syllables(2)
    at_once, asked = (hear_all(sound, 640) for _ in range(2))
    asked.at(ORIGIN_NS)
    for stream in (at_once, asked):
        stream.forget_level()
    assert np.array_equal(trace(at_once, 1.5)[1], trace(asked, 1.5)[1])
