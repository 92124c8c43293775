"""Voices that start late, pause, come in bursts, slowly, with jitter or late: heard whole, the mouth in step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from live_helpers import RATE, START_NS, live
from voice_scripts import Listener, from_pipe, is_whole, open_in_silence, share_moved, speech, spoken, stamped

from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.pipeline.live.voice_line import VoiceLine

pytestmark = pytest.mark.computes

PIPE = 16_000


def paced(values: np.ndarray, speed: float, start_s: float) -> list[tuple[float, np.ndarray]]:
    """20 ms at a time, by a producer whose clock runs at ``speed``."""
    size = PIPE // 50
    return [(start_s + (i + 1) * 0.02 / speed, values[i * size : (i + 1) * size]) for i in range(len(values) // size)]


def jittery(values: np.ndarray, start_s: float, most_s: float) -> list[tuple[float, np.ndarray]]:
    rng, writes, at_s = np.random.default_rng(0), [], 0.0
    for due_s, part in paced(values, 1.0, start_s):
        at_s = max(at_s, due_s + rng.uniform(0, most_s))
        writes.append((at_s, part))
    return writes


@pytest.mark.parametrize(("rate", "pause_s"), [(8_000, 1), (16_000, 7), (22_050, 7), (48_000, 30)])
def test_two_sentences_of_a_speech_program_are_both_heard_and_seen(rate: int, pause_s: int) -> None:
    first, second = speech(3, rate, 1), speech(3, rate, 2)
    voice = from_pipe([(1.2, first), (4.2 + pause_s, second)], rate)
    run = live(9 + pause_s, generator=Listener(), rate=rate, voice=voice)
    assert is_whole(run, first, second)
    assert share_moved(run) > 0.95
    assert open_in_silence(run) == 0
    frames = run.report.frames
    assert frames["starved"] == pytest.approx((frames["total"] / 25 - 6) * 25, abs=8)
    assert "slow" not in frames
    assert not any("too slow" in note for note in run.report.notes)
    assert any(note.startswith(f"no audio came in time for {frames['starved']} of") for note in run.report.notes)


@pytest.mark.slow
def test_bursts_are_spoken_one_after_the_other_also_where_one_comes_while_another_is_spoken() -> None:
    sentences = [speech(5, PIPE, seed) for seed in range(4)]
    voice = from_pipe([(1.2, sentences[0]), (1.2, sentences[1]), (4, sentences[2]), (20, sentences[3])], PIPE)
    run = live(27, generator=Listener(), rate=PIPE, voice=voice)
    assert is_whole(run, *sentences)
    assert share_moved(run) == 1
    at_s = [(each.at_ns - START_NS) / NS for each in run.output.taken if each.stamped.tick.audio.samples.any()]
    assert at_s[0] < 1.5
    assert 20 < next(at for at in at_s if at > 18) < 20.5  # the last one is not late by the others


@pytest.mark.parametrize("speed", [0.5, 0.9, 1.0, 1.1])
def test_a_producer_of_another_speed_is_heard_whole(speed: float) -> None:
    words = speech(4, PIPE, 3)
    run = live(3 + 4 / min(speed, 1), generator=Listener(), rate=PIPE, voice=from_pipe(paced(words, speed, 1.3), PIPE))
    assert is_whole(run, words)
    assert share_moved(run) > 0.95
    assert "slow" not in run.report.frames


def test_a_producer_with_jitter_is_heard_whole_with_few_holes() -> None:
    words = speech(5, PIPE, 4)
    run = live(9, generator=Listener(), rate=PIPE, voice=from_pipe(jittery(words, 1.3, 0.3), PIPE))
    assert is_whole(run, words)
    assert share_moved(run) > 0.95
    out = run.output.sound[:, 0]
    loud = np.flatnonzero(np.abs(out) > 1e-3)
    steps = np.diff(loud)
    assert (steps > 1).sum() <= 8
    assert steps[steps > 1].sum() < 0.5 * PIPE


def test_a_voice_that_starts_late_moves_the_mouth_from_its_first_word() -> None:
    words = speech(3, PIPE, 5)
    run = live(11, generator=Listener(), rate=PIPE, voice=from_pipe([(6.0, words)], PIPE))
    assert is_whole(run, words)
    assert share_moved(run) == 1


def test_one_that_ends_is_heard_to_its_last_sample_and_starves_nobody_after_it() -> None:
    words = speech(2.0049, PIPE, 6)
    run = live(8, generator=Listener(), rate=PIPE, voice=[*from_pipe([(1.0, words)], PIPE), (0, None)])
    assert is_whole(run, words)
    assert run.report.frames["starved"] < 30  # before it began


@pytest.mark.parametrize("late_ms", [50, 100, 200, 400, 3000])
@pytest.mark.parametrize("start_s", [0, 2])
def test_a_voice_later_than_declared_is_spoken_later_with_its_mouth(late_ms: int, start_s: int) -> None:
    words = speech(4, RATE, 7)
    run = live(10, generator=Listener(), voice=stamped(words, RATE, start_s, lambda at_s: late_ms / 1000))
    assert share_moved(run) > 0.97
    assert open_in_silence(run) == 0
    assert "slow" not in run.report.frames
    if start_s:
        assert is_whole(run, words)
    notes = [note for note in run.report.notes if "came late" in note and "spoken up to" in note]
    assert bool(notes) == (late_ms >= 100)


@pytest.mark.parametrize("late_ms", [60, 100, 400])
def test_timers_that_wake_late_do_not_switch_the_engine_off(late_ms: int) -> None:
    words = speech(4, RATE, 7)
    voice = stamped(words, RATE, 1, lambda at_s: late_ms / 1000)
    run = live(8, generator=Listener(), voice=voice, wakes_late_ns=2 * MS)
    assert is_whole(run, words)
    assert share_moved(run) > 0.9
    assert "slow" not in run.report.frames


STALLS: dict[str, Callable[[float], float]] = {
    "jitter": lambda at_s: float(np.random.default_rng(round(at_s * 100)).uniform(0, 0.3)),
    "stall of 2 s": lambda at_s: max(0.0, 3 - at_s) if 1 < at_s < 3 else 0.0,
    "one block": lambda at_s: 0.25 if abs(at_s - 1.5) < 0.004 else 0.0,
}


@pytest.mark.parametrize("kind", STALLS)
def test_stamped_sound_that_comes_late_at_times_is_heard_whole(kind: str) -> None:
    words = speech(5, RATE, 8)
    run = live(12, generator=Listener(), voice=stamped(words, RATE, 2, STALLS[kind]))
    assert is_whole(run, words)
    assert share_moved(run) > 0.95
    assert "slow" not in run.report.frames


@pytest.mark.parametrize("late_s", [0.085, 0.095])
def test_a_block_late_for_its_mouth_alone_makes_no_hole_and_no_delay(late_s: float) -> None:
    words = speech(5, RATE, 8)
    late = lambda at_s: late_s if abs(at_s % 0.7 - 0.3) < 0.004 else 0.0  # noqa: E731  one in 70
    run = live(9, generator=Listener(), voice=stamped(words, RATE, 2, late))
    assert is_whole(run, words)
    loud = np.flatnonzero(np.abs(run.output.sound[:, 0]) > 1e-3)
    assert np.diff(loud).max() == 1
    assert not any("spoken up to" in note for note in run.report.notes)
    assert share_moved(run) > 0.9


@pytest.mark.parametrize("stall_s", [0.15, 2])
def test_a_delay_that_is_not_needed_any_more_is_cut_from_the_pauses(stall_s: float) -> None:
    words = np.concatenate([speech(3, RATE, 9), np.full(RATE, 30, "<i2")])
    values = np.tile(words, 7)
    run = live(32, generator=Listener(), voice=stamped(values, RATE, 2, lambda at_s: max(0.0, stall_s - at_s)))
    got, want = spoken(run), values[np.abs(values) > 100].astype(np.float32) / 32_768
    assert len(got) == len(want)
    assert np.abs(got - want).max() < 1e-3
    ends = [each for each in run.output.taken if np.abs(each.stamped.tick.audio.samples).max() > 0.02]
    late_ns = ends[-1].at_ns - 160 * MS - START_NS - (2 + 27) * NS  # the last word's end on the output
    assert late_ns < 10 * MS


def test_a_starved_engine_is_never_taken_for_a_slow_one() -> None:
    run = live(12, generator=Listener(), voice=stamped(speech(4, RATE, 1), RATE, 6, lambda at_s: 0), budget_ms=125)
    assert run.report.frames["starved"] > 90
    assert "slow" not in run.report.frames
    assert not any("too slow" in note for note in run.report.notes)
    assert share_moved(run) > 0.95


def test_a_slow_engine_is_counted_as_one_and_never_makes_a_hole_in_the_sound() -> None:
    words = speech(9, RATE, 1)
    run = live(
        12,
        engine_ns=lambda since: 300 * MS if 3 * NS <= since < 6 * NS else 8 * MS,
        generator=Listener(),
        voice=stamped(words, RATE, 2, lambda at_s: 0),
    )
    assert is_whole(run, words)
    assert np.flatnonzero(np.diff(np.flatnonzero(np.abs(run.output.sound[:, 0]) > 1e-3)) > 1).size == 0
    assert run.report.frames["slow"] > 50
    assert any("too slow" in note for note in run.report.notes)


def test_more_than_a_minute_of_waiting_sound_is_left_out_and_said() -> None:
    line = VoiceLine(8_000, 1, NS, 50 * MS)
    line.begin()
    second = np.full((8_000, 1), 0.5, np.float32)
    for number in range(70):  # all at once, each stamped after the one before it
        line.put(AudioBlock(second, 8_000, number * NS), 0)
    assert line.notes == ["the voice came too fast: with 60 s of it waiting, 9.0 s were left out"]
    heard = [line.read(number * NS, 8_000) for number in range(70)]
    assert [each.all() for each in heard] == [True] * 61 + [False] * 9


@pytest.mark.parametrize("at_s", [0.0, 2.0])
@pytest.mark.parametrize("stamped_s", [-5.0, 0.0])
def test_five_seconds_in_one_block_are_spoken_in_five_seconds(at_s: float, stamped_s: float) -> None:
    words = speech(5, RATE, 6)
    at_ns = START_NS + round(at_s * NS) + NS // 2
    block = AudioBlock(words.astype(np.float32)[:, None] / 32_768, RATE, at_ns + round(stamped_s * NS))
    run = live(9, generator=Listener(), voice=[(at_ns, block)])
    assert is_whole(run, words)
    assert share_moved(run) > 0.97


def test_the_line_is_bounded_by_its_ring_and_silent_where_nothing_came() -> None:
    line = VoiceLine(8_000, 1, NS, 50 * MS)
    assert line.end_ns is None
    assert not line.read(0, 800).any()
    line.begin()
    line.put(AudioBlock(np.ones((800, 1), np.float32), 8_000, 0), 120 * MS)
    assert line.end_ns == 170 * MS  # 20 ms too late for its own instant, which nobody has asked for: 70 ms
    assert line.notes == ["the voice came late or in pieces: it was spoken up to 70 ms later, with its mouth"]


def test_a_speaker_that_asks_early_hears_a_late_voice_whole() -> None:
    line, heard = VoiceLine(8_000, 1, NS, 75 * MS), []
    line.begin()
    line.leave(40 * MS)  # of a budget of 160 ms, a speaker that is 100 ms ahead, and its buffer
    for number in range(100):
        now_ns = number * 10 * MS + 110 * MS
        line.put(AudioBlock(np.ones((80, 1), np.float32), 8_000, number * 10 * MS), now_ns)
        heard.append(line.peek(now_ns + 100 * MS - 160 * MS, 80).all())
    assert sum(heard) >= 95
    assert heard[10:] == [True] * 90
