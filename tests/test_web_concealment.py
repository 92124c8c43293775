"""Lost sound is concealed by the decoder that the browser's packets go through."""

from __future__ import annotations

import random

import numpy as np
import pytest
from aiortc.codecs.opus import OpusDecoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket
from av import AudioFrame, CodecContext
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.web.rtc.aiortc_access import SteadyBuffer
from realtime_dub.web.rtc.concealment import frame_samples, with_lost

FRAME = 960
RATE = 48_000


def voice(seconds: float) -> np.ndarray:
    """A vowel of slowly moving pitch, -1..1."""
    at = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(140 + 20 * np.sin(2 * np.pi * 0.7 * at)) / RATE
    wave = sum(np.sin(number * phase) / number for number in range(1, 12))
    return 0.3 * wave / np.abs(wave).max()


def packets(samples: np.ndarray) -> list[bytes]:
    """As a browser sends them: 20 ms of Opus each."""
    encoder = CodecContext.create("libopus", "w")
    encoder.format, encoder.layout, encoder.sample_rate, encoder.bit_rate = "s16", "mono", RATE, 32_000
    encoder.options = {"application": "voip", "frame_duration": "20"}
    made: list[bytes] = []
    for start in range(0, len(samples) - FRAME + 1, FRAME):
        values = (samples[start : start + FRAME] * 32_767).astype(np.int16)[None]
        frame = AudioFrame.from_ndarray(values, format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, start
        made += [bytes(each) for each in encoder.encode(frame)]
    return made


def received(sent: list[bytes], lost: set[int]) -> tuple[np.ndarray, np.ndarray]:
    """What the decoder gives for the packets that come: samples, and which of them it gave at all."""
    buffer, decoder = SteadyBuffer(), OpusDecoder()
    out, there = np.zeros(len(sent) * FRAME), np.zeros(len(sent) * FRAME, bool)
    for number, data in enumerate(sent):
        if number in lost:
            continue
        packet = RtpPacket(sequence_number=number, timestamp=number * FRAME)
        packet._data = data
        frame = buffer.add(packet)[1]
        if frame is None:
            continue
        for decoded in decoder.decode(JitterFrame(frame.data, frame.timestamp)):
            heard = decoded.to_ndarray().reshape(-1, 2)[:, 0] / 32_768
            assert not there[decoded.pts : decoded.pts + len(heard)].any()
            out[decoded.pts : decoded.pts + len(heard)] = heard
            there[decoded.pts : decoded.pts + len(heard)] = True
    return out, there


def power(samples: np.ndarray) -> float:
    return float(np.mean(np.square(samples)))


def test_a_lost_packet_is_bridged_without_a_click() -> None:
    sent = packets(voice(2))
    whole, _ = received(sent, set())
    bridged, there = received(sent, {40})
    hole = slice(40 * FRAME, 41 * FRAME)
    assert there[: (len(sent) - 4) * FRAME].all()
    assert power(bridged[hole] - whole[hole]) < 0.5 * power(whole[hole])  # silence would be 1
    edges = np.abs(np.diff(bridged[39 * FRAME : 43 * FRAME])).max()
    assert edges < 1.5 * np.abs(np.diff(whole[39 * FRAME : 43 * FRAME])).max()


def test_a_longer_hole_fades() -> None:
    sent = packets(voice(2))
    bridged, there = received(sent, {40, 41, 42, 43, 44})
    levels = [power(bridged[number * FRAME : (number + 1) * FRAME]) for number in range(39, 46)]
    assert there[39 * FRAME : 46 * FRAME].all()
    assert levels[3] < 0.5 * levels[0]  # after 60 ms
    assert levels[5] < levels[3]


def test_a_hole_that_no_packet_can_hold_stays_one() -> None:
    sent = packets(voice(2))
    _, there = received(sent, set(range(40, 50)))
    assert not there[40 * FRAME : 50 * FRAME].any()
    assert there[50 * FRAME : 90 * FRAME].all()


def test_two_in_a_hundred_lost_leave_no_hole() -> None:
    sent = packets(voice(10))
    dice = random.Random(3)
    lost = {number for number in range(5, len(sent)) if dice.random() < 0.02}
    whole, _ = received(sent, set())
    bridged, there = received(sent, lost)
    assert there[: (len(sent) - 4) * FRAME].all()
    hole = np.repeat([number in lost for number in range(len(sent))], FRAME)
    hole[-5 * FRAME :] = False
    assert power((bridged - whole)[hole]) < 0.25 * power(whole[hole])  # silence would be 1


@pytest.mark.parametrize(
    ("config", "samples"), [(0, 480), (3, 2880), (9, 960), (12, 480), (15, 960), (16, 120), (31, 960)]
)
def test_the_length_of_a_frame_is_read(config: int, samples: int) -> None:
    assert frame_samples(bytes([config << 3])) == samples


@given(st.binary(max_size=40), st.integers(1, 200))
def test_whatever_comes_is_told_of_or_left_alone(packet: bytes, lost: int) -> None:
    found = with_lost(packet, lost)
    if found is not None:
        data, samples = found
        assert data.endswith(packet[1:])
        assert samples == lost * frame_samples(packet) < 5_760
        assert data[1] & 0x3F == lost + 1
