"""Run by ``test_pulse.py`` in a process of its own: microphone -> ring -> speaker, the voice delayed by L.

    python pulse_loop.py SECONDS DELAY_MS [MICROPHONE SPEAKER]

Ends sooner when it is terminated. The last line is JSON: what microphone and speaker counted and noted.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from fractions import Fraction

import numpy as np

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import EndOfStream
from realtime_dub.flow import AudioRing, Pump
from realtime_dub.media import MS, NS, OutputFormat, Samples, Tick
from realtime_dub.publishers.speaker import SpeakerPublisher
from realtime_dub.sources.microphone import MicrophoneSource

PICTURE = np.zeros((16, 16, 3), np.uint8)


def main(seconds: float, delay_ns: int, microphone: str = "stage_microphone", output: str = "hall_speaker") -> None:
    clock, stopped = MonotonicClock(), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    source = MicrophoneSource(microphone, clock)
    info = source.open()
    ring = AudioRing(info.rate, info.channels, 2 * NS)

    def read_voice(instant_ns: int, count: int) -> Samples:
        return ring.read(instant_ns - delay_ns, count)

    pump = Pump("microphone", lambda: ring.write(source.read()), EndOfStream, source.close)
    pump.start()
    speaker = SpeakerPublisher(output, clock)
    speaker.attach(read_voice)
    speaker.open(OutputFormat(16, 16, Fraction(25), info.rate, info.channels, live=True))
    print("running", flush=True)
    until = time.monotonic() + seconds
    while time.monotonic() < until and not stopped.wait(0.04):
        speaker.publish(Tick(PICTURE, 0, 40 * MS, 0, None))
    speaker.close()
    ended = pump.close()
    counts = {
        "ended": ended,
        "error": repr(pump.error) if pump.error else "",
        "notes": [*source.notes, *speaker.notes],
        "microphone": {"losses": source.losses, "overflows": source.overflows, "block_ms": info.block_ns / MS},
        "speaker": {
            "losses": speaker.losses,
            "underflows": speaker.underflows,
            "slips": speaker.slips,
            "latency_ms": speaker.latency_ns / MS,
        },
    }
    print(json.dumps(counts))


if __name__ == "__main__":
    main(float(sys.argv[1]), int(float(sys.argv[2]) * MS), *sys.argv[3:])
