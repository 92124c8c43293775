"""What a browser sends as sound, frame by frame: channels, loss, and a reader that is too slow."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS
from realtime_dub.web.rtc.browser_input import QUEUE, BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVoice

TONE = (9_000 * np.sin(2 * np.pi * 200 * np.arange(960) / 48_000)).astype(np.int16)  # four periods: frames join


def frame(index: int, *signs: int) -> av.AudioFrame:
    """20 ms of a tone, a sign for each channel."""
    values = np.stack([TONE * sign for sign in signs], axis=1).reshape(1, -1)
    made = av.AudioFrame.from_ndarray(np.ascontiguousarray(values), "s16", "stereo" if len(signs) == 2 else "mono")
    made.rate, made.pts, made.time_base = 48_000, index * 960, Fraction(1, 48_000)
    return made


def send(browser_input: BrowserInput, clock: VirtualClock, index: int, *signs: int) -> None:
    clock.advance_to(NS + (index + 1) * 20 * MS)
    browser_input.add_audio(frame(index, *signs))


def test_opposite_channels_do_not_cancel_and_a_change_of_channels_is_taken() -> None:
    clock = VirtualClock(NS)
    browser_input = BrowserInput(clock)
    sounds = browser_input.add_audio_reader()
    for index in range(90):
        send(browser_input, clock, index, *((1, -1) if index < 30 else (1,) if index < 60 else (0, 1)))
    level = [float(np.abs(sounds.get_nowait()[0]).max()) for _ in range(90)]
    assert min(level[2:30]) > 0.25
    assert min(level[30:60]) > 0.25
    assert min(level[62:]) > 0.25


def test_sound_that_a_slow_reader_loses_is_a_marked_gap() -> None:
    clock = VirtualClock(NS)
    browser_input = BrowserInput(clock)
    voice = BrowserVoice(browser_input)
    voice.open()
    for index in range(QUEUE + 25):  # half a second too much
        send(browser_input, clock, index, 1)
    blocks = [voice.read() for _ in range(QUEUE)]
    send(browser_input, clock, QUEUE + 25, 1)
    while voice._pending or not voice._queue.empty():
        blocks.append(voice.read())
    voice.close()
    lost_ns = sum(block.duration_ns for block in blocks if block.gap)
    assert abs(lost_ns - 500 * MS) < 25 * MS
    assert voice.lost().overflows == 1
    assert abs(blocks[-1].end_ns - blocks[0].pts_ns - (QUEUE + 26) * 20 * MS) < 25 * MS


def test_who_yields_to_others_has_fewer_frames_worked_on_and_is_still_there() -> None:
    clock = VirtualClock(NS)
    browser_input, yields = BrowserInput(clock), False
    browser_input.yields = lambda: yields
    slot = browser_input.add_frame_reader()

    def given(count: int) -> int:
        found = 0
        for _ in range(count):
            clock.advance_to(clock.now_ns() + 40 * MS)
            picture = av.VideoFrame(64, 48, "yuv420p")
            picture.pts, picture.time_base = clock.now_ns() * 9 // 100_000, Fraction(1, 90_000)
            browser_input.add_frame(picture)
            found += slot.take(0) is not None
        return found

    assert given(25) == 25
    yields = True
    assert 8 <= given(25) <= 9
    assert browser_input.moves
    yields = False
    assert given(25) == 25
