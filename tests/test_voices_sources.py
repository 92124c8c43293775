"""What microphones and browsers give when they stall, come late or come back, heard through the live loop."""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction

import numpy as np
import pytest
from av import AudioFrame
from fake_sound import FakeHost
from live_helpers import RATE, START_NS, Run, live
from voice_scripts import Coming, Listener, is_whole, open_in_silence, share_moved, speech, spoken

from realtime_dub.audio.device_contract import Device
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import MS, NS, AudioBlock, VoiceInfo, samples_to_ns
from realtime_dub.sources.microphone import MicrophoneSource
from realtime_dub.sources.paced_voice import PacedVoice
from realtime_dub.web.rtc.browser_input import BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVoice

DESK = Device(0, "Desk mic", 1, RATE)
FRAME = RATE // 50


class Desk:
    """A microphone that the test plays on, and what comes of it and when."""

    def __init__(self) -> None:
        self.clock, self.coming = VirtualClock(START_NS), Coming()
        self.host = FakeHost({"input": [DESK], "output": []})
        self.source = MicrophoneSource("default", self.clock, self.host)
        self.source.open()

    def speak(self, values: np.ndarray) -> None:
        for at in range(0, len(values), RATE // 100):
            self.clock.advance_to(self.clock.now_ns() + 10 * MS)
            block = values[at : at + RATE // 100].astype(np.float32)[:, None] / 32_768
            self.host.streams[-1].feed(block, 12 * MS)
            self._read()

    def stall(self, seconds: float) -> None:
        """Nothing comes for so long; then the device is there again."""
        streams = len(self.host.streams)
        self.clock.advance_to(self.clock.now_ns() + round(seconds * NS))
        while len(self.host.streams) == streams:
            self._read()
            time.sleep(0.001)  # real time, for the reopener's thread
        self._read()

    def _read(self) -> None:
        block = self.source.read()
        self.coming.append((self.clock.now_ns(), block))
        while self.source._pending:
            self.coming.append((self.clock.now_ns(), self.source.read()))


def heard(coming: Coming, seconds: float) -> Run:
    run = live(seconds, generator=Listener(), voice=coming, wakes_late_ns=2 * MS)
    assert "slow" not in run.report.frames
    return run


def test_a_microphone_that_says_nothing_at_first_and_stalls_later_moves_the_mouth_whenever_it_speaks() -> None:
    desk, words = Desk(), [speech(2, RATE, seed) for seed in range(2)]
    desk.stall(4)
    desk.speak(words[0])
    desk.stall(2)
    desk.speak(words[1])
    desk.source.close()
    seconds = (desk.clock.now_ns() - START_NS) / NS + 1
    run = heard(desk.coming, seconds)
    assert share_moved(run) > 0.95
    assert len(spoken(run)) > 0.98 * sum(map(len, words))  # a moment of each beginning was taken for silence already
    assert open_in_silence(run) == 0


class Disk:
    """A file on a disk that sleeps once for two seconds."""

    def __init__(self, values: np.ndarray, clock: VirtualClock) -> None:
        self._values, self._clock, self._at = values, clock, 0

    def open(self) -> VoiceInfo:
        return VoiceInfo(RATE, 1, False, "disk", 0)

    def read(self) -> AudioBlock:
        if self._at >= len(self._values):
            raise EndOfStream
        if self._at == 2 * RATE:
            self._clock.advance_to(self._clock.now_ns() + 2 * NS)
        part = self._values[self._at : self._at + RATE // 10].astype(np.float32)[:, None] / 32_768
        self._at += RATE // 10
        return AudioBlock(part, RATE, samples_to_ns(self._at - len(part), RATE))

    def close(self) -> None:
        pass


def test_a_file_whose_disk_sleeps_is_spoken_on_whole() -> None:
    clock, words, coming = VirtualClock(START_NS + NS), speech(6, RATE, 5), Coming()
    voice = PacedVoice(Disk(words, clock), clock)
    voice.open()
    with contextlib.suppress(EndOfStream):
        while True:
            block = voice.read()
            coming.append((clock.now_ns(), block))
    run = heard(coming, 11)
    assert is_whole(run, words)
    assert share_moved(run) > 0.95


class Browser:
    """Frames of 20 ms as they come from a browser, and what comes of them and when."""

    def __init__(self) -> None:
        self.clock, self.coming = VirtualClock(START_NS), Coming()
        self._input = BrowserInput(self.clock)
        self._voice = BrowserVoice(self._input)
        self._voice.open()
        self._frames = 0

    def speak(self, values: np.ndarray, from_s: float, late: object) -> None:
        """``late``: seconds that each frame is late by; frames keep their order."""
        for number in range(len(values) // FRAME):
            due_ns = START_NS + round((from_s + number * 0.02 + 0.02 + late(number * 0.02)) * NS)
            self.clock.advance_to(due_ns)
            self._input.add_audio(self._frame(values[number * FRAME : (number + 1) * FRAME]))
            self._read()

    def leave(self) -> None:
        self._input.restart("audio")
        self._frames = 0

    def _frame(self, values: np.ndarray) -> AudioFrame:
        frame = AudioFrame.from_ndarray(values[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._frames * FRAME, Fraction(1, RATE)
        self._frames += 1
        return frame

    def _read(self) -> None:
        self.coming.append((self.clock.now_ns(), self._voice.read()))
        while self._voice._pending:
            self.coming.append((self.clock.now_ns(), self._voice.read()))


def test_an_interpreter_who_comes_later_leaves_and_comes_back_is_heard_whole() -> None:
    browser, words = Browser(), [speech(3, RATE, seed) for seed in range(2)]
    browser.speak(words[0], 5, lambda at_s: 0)
    browser.leave()
    browser.speak(words[1], 15, lambda at_s: 0)
    run = heard(browser.coming, 20)
    assert len(spoken(run)) == pytest.approx(sum(map(len, words)), abs=50)
    assert share_moved(run) > 0.95
    assert open_in_silence(run) == 0
    assert share_moved(run, to_s=6.0) > 0.9  # at once


@pytest.mark.parametrize("stall_s", [0.3, 0.9, 2.0])
def test_a_network_that_stands_still_and_then_gives_all_at_once_loses_nothing(stall_s: float) -> None:
    browser, words = Browser(), speech(6, RATE, 3)
    browser.speak(words, 1, lambda at_s: max(0.0, 2 + stall_s - at_s) if 2 < at_s < 2 + stall_s else 0.0)
    run = heard(browser.coming, 12)
    assert len(spoken(run)) == pytest.approx(len(words), rel=0.01)
    assert share_moved(run) > 0.95


def test_a_network_with_jitter_loses_nothing() -> None:
    browser, words = Browser(), speech(5, RATE, 4)
    browser.speak(words, 1, lambda at_s: float(np.random.default_rng(round(at_s * 50)).uniform(0, 0.3)))
    run = heard(browser.coming, 9)
    assert len(spoken(run)) == pytest.approx(len(words), rel=0.02)
    assert share_moved(run) > 0.95
