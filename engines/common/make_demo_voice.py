"""Makes ``realtime_dub/assets/demo_voice.opus`` with flite (apt install flite):

    python -m engines.common.make_demo_voice

Each sentence is synthesised by itself and the pauses are put between, because flite hardly pauses at a full stop.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

VOICE = "rms"  # of CMU ARCTIC, male: the clearest of flite's voices to a speech recogniser, and of espeak-ng's
SENTENCES = (
    "Hello, this is real time dub.",
    "Pick a microphone, and my mouth moves with your voice.",
    "Picture and sound leave together, inside a fixed budget.",
    "Maybe the best part: nobody waits.",
)
STRETCH = 0.87  # the voice speaks slowly by nature
EDGE_S, PAUSE_S = 0.4, 0.6
PEAK = 0.7
BIT_RATE = 40_000
TARGET = Path(__file__).parents[2] / "realtime_dub" / "assets" / "demo_voice.opus"


def speak(text: str) -> tuple[npt.NDArray[np.float32], int]:
    """One sentence without the silence around it: samples (n,) and their rate."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/sentence.wav"
        options = ["-voice", VOICE, "--setf", f"duration_stretch={STRETCH}"]
        subprocess.run(["flite", *options, "-t", text, "-o", path], check=True)
        with wave.open(path) as file:
            rate = file.getframerate()
            samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(np.float32) / 32768
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    return samples[loud[0] : loud[-1] + 1], rate


def compose() -> tuple[npt.NDArray[np.float32], int]:
    """The whole speech."""
    spoken = [speak(text) for text in SENTENCES]
    rate = spoken[0][1]
    edge, pause = (np.zeros(round(seconds * rate), np.float32) for seconds in (EDGE_S, PAUSE_S))
    parts = [edge]
    for samples, _ in spoken:
        parts += [samples, pause]
    speech = np.concatenate([*parts[:-1], edge])
    return speech * np.float32(PEAK / np.abs(speech).max()), rate


def write(path: Path, speech: npt.NDArray[np.float32], rate: int) -> None:
    """Encode as Opus in Ogg, the same bytes every time."""
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(speech[None, :], format="fltp", layout="mono")
        frame.rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def main() -> None:
    parser = argparse.ArgumentParser(description="Synthesise the demo voice with flite.")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    speech, rate = compose()
    path = parser.parse_args().output
    write(path, speech, rate)
    print(f"{path}: {len(speech) / rate:.2f} s, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
