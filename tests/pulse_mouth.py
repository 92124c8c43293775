"""Run by ``test_look_ahead_microphone.py`` in a process of its own: microphone -> ring -> ear -> net -> gate.

    python pulse_mouth.py SECONDS LOOK_AHEAD_MS...

The ring holds the whole time, and each look-ahead's net hears it afterwards, so that a slow machine is no late one:
time is told by the stamps alone. The last line is JSON: for each look-ahead the machine's times in seconds, and how
far the mouth is open there.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import EndOfStream
from realtime_dub.face.alignment import LOWER
from realtime_dub.face.landmarks import OPENING
from realtime_dub.flow import AudioRing, Pump
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS
from realtime_dub.mouth.gate import SpeechGate
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.pipeline.voice_feeder import VoiceFeeder
from realtime_dub.sources.microphone import MicrophoneSource

STEP_NS = 40 * MS
OPENING_AT = np.searchsorted(LOWER, OPENING)


def listen(seconds: float) -> tuple[AudioRing, int, int]:
    """A ring that holds what the microphone heard from one instant to another."""
    clock = MonotonicClock()
    source = MicrophoneSource("stage_microphone", clock)
    info = source.open()
    ring = AudioRing(info.rate, info.channels, round((seconds + 2) * NS))
    pump = Pump("microphone", lambda: ring.write(source.read()), EndOfStream, source.close)
    pump.start()
    while ring.end_ns is None:
        time.sleep(0.01)
    start_ns = ring.end_ns
    while ring.end_ns < start_ns + seconds * NS:
        time.sleep(0.05)
    end_ns = ring.end_ns
    pump.close()
    return ring, start_ns, end_ns


def openings(ring: AudioRing, start_ns: int, end_ns: int, look_ahead_ms: int) -> tuple[list[float], list[float]]:
    """25 times a second, in seconds, and the change of the lips' opening that is shown there."""
    stream, gate = MotionStream(load_default("mouthbank", look_ahead_ms)), SpeechGate()
    ear, at_ns = VoiceFeeder(ring, stream, start_ns), start_ns
    times_s, opened = [], []
    for until_ns in range(start_ns, end_ns, STEP_NS):
        ear.hear_until(until_ns)
        while at_ns <= stream.heard_until_ns():
            motion = stream.at(at_ns)
            gaps = motion.displacement[OPENING_AT[:, 1], 1] - motion.displacement[OPENING_AT[:, 0], 1]
            times_s.append(at_ns / NS)
            opened.append(float(gaps.mean()) * gate(motion.speech, at_ns))
            at_ns += STEP_NS
    return times_s, opened


if __name__ == "__main__":
    sound = listen(float(sys.argv[1]))
    print(json.dumps([openings(*sound, int(ms)) for ms in sys.argv[2:]]))
