"""Raw sound through real pipes: a speech program's sentences, and the README's command line with one."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soxr
from faces import openings_in
from test_end_to_end import pictures_of, sound_of

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import NS, AudioBlock
from realtime_dub.sources.pcm_stdin import PcmFormat, PcmSource

RATE, FPS = 22_050, 12
SPEECH_PROGRAM = """
import sys, time
import numpy as np, soxr
from realtime_dub.errors import EndOfStream
from realtime_dub.sources.demo_voice import DemoVoiceSource
source, parts = DemoVoiceSource(), []
rate = source.open().rate
try:
    while True:
        parts.append(source.read().samples[:, 0])
except EndOfStream:
    pass
voice = (soxr.resample(np.concatenate(parts), rate, 22050) * 32767).astype("<i2")
sentences = voice[: 2 * 22050], voice[5 * 22050 : 7 * 22050]
np.savez(sys.argv[1], *sentences)
for pause, sentence in zip((0, float(sys.argv[2])), sentences):
    time.sleep(pause)
    sys.stdout.buffer.write(sentence.tobytes())
    sys.stdout.buffer.flush()
"""


def read_all(source: PcmSource) -> Iterator[AudioBlock]:
    """Until the end; none is ahead of its time."""
    with contextlib.suppress(EndOfStream):
        while True:
            block = source.read()
            assert block.end_ns <= time.monotonic_ns() + NS // 50
            yield block


def test_two_bursts_through_a_pipe_are_read_whole_and_stamped_when_they_came() -> None:
    words = [np.random.default_rng(seed).integers(-9000, 9000, 6_001).astype("<i2") for seed in range(2)]
    reading, writing = os.pipe()
    written: list[int] = []

    def write() -> None:
        with os.fdopen(writing, "wb") as stream:
            for each in words:
                stream.write(each.tobytes())
                stream.flush()
                written.append(time.monotonic_ns())
                time.sleep(0.8)

    writer = threading.Thread(target=write)
    with os.fdopen(reading, "rb") as stream:
        source = PcmSource(stream, PcmFormat(16_000), MonotonicClock())
        source.open()
        writer.start()
        blocks = list(read_all(source))
        writer.join()
    heard = np.concatenate([block.samples for block in blocks])[:, 0]
    np.testing.assert_allclose(heard, np.concatenate(words) / 32_768, atol=1e-4)
    second = next(block for block in blocks if block.pts_ns > written[1] - NS // 5)
    assert abs(second.pts_ns - written[1]) < NS // 5
    assert sum(len(block.samples) for block in blocks if block.pts_ns < second.pts_ns) == len(words[0])
    assert source.notes == []


def test_what_a_run_leaves_in_the_pipe_is_said() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb") as pipe:
        pipe.write(bytes(2 * 8_000))
        pipe.flush()
        source = PcmSource(stream, PcmFormat(8_000), MonotonicClock())
        source.open()
        source.read()
        source.close()
    assert source.notes == ["the run ended before the voice: 1.0 s of sound or more waited on standard input"]


def found(sound: np.ndarray, sentence: np.ndarray, rate: int) -> tuple[float, list[int]]:
    """The share of the sentence's loud pieces of 200 ms that are in the sound, and where. A hole spoils a piece."""
    size, places, good = rate // 5, [], []
    length = 1 << (len(sound) + size).bit_length()
    spectrum, sums = np.fft.rfft(sound, length), np.cumsum(np.concatenate(([0.0], sound**2)))
    norms = np.sqrt(sums[size:-1] - sums[: -size - 1]) + 0.1
    for at in range(0, len(sentence) - size, size):
        piece = sentence[at : at + size]
        if np.sqrt((piece**2).mean()) < 0.03:
            continue
        match = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, length)), length)[: len(norms)] / norms
        places.append(int(np.argmax(match)))
        good.append(float(match.max() / np.linalg.norm(piece)) > 0.8)
    return float(np.mean(good)), [place for place, is_good in zip(places, good, strict=True) if is_good]


@pytest.mark.slow
def test_the_recipe_for_a_speech_program_dubs_both_of_its_sentences(tmp_path: Path) -> None:
    said, out, stats = tmp_path / "said.npz", tmp_path / "out.mp4", tmp_path / "stats.json"
    program = tmp_path / "tts.py"
    program.write_text(SPEECH_PROGRAM)
    # A roomy budget: how fast the machine is, is not what is asked here.
    picture = f"--webcam demo --width 480 --height 360 --fps {FPS}"
    options = f"--pcm-rate {RATE} --to {out} --budget-ms 900 --seconds 12 --stats-json {stats}"
    dub = f"{sys.executable} -c 'from realtime_dub.cli import main; main()' {picture} --mic - {options}"
    command = f"{sys.executable} {program} {said} 6 | {dub}"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    frames = json.loads(stats.read_text())["frames"]
    assert frames["starved"] > 12, frames
    sound, rate = sound_of(out)
    spans = []
    with np.load(said) as sentences:
        for sentence in sentences.values():
            share, places = found(sound, soxr.resample(sentence / 32_768, RATE, rate), rate)
            assert share >= 0.75, (share, places)
            assert places == sorted(places)
            spans.append((places[0] / rate, places[-1] / rate))
    assert spans[1][0] > spans[0][1] + 1.5
    pictures = pictures_of(out)
    for start_s, end_s in spans:
        lips = openings_in(pictures[round(start_s * FPS) : round(end_s * FPS)])
        assert np.percentile(lips, 90) > 0.08, lips
    resting = openings_in(pictures[round((spans[0][1] + 1) * FPS) : round((spans[1][0] - 0.4) * FPS) : 2])
    assert resting.max() < 0.07
