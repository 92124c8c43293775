"""A real own microphone beside another's voice: PortAudio on a private PulseAudio. It is heard, and never published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from patience import PATIENCE_S
from pulse import PrivatePulse

from tests.pulse_sinks import RATE, Player

SECONDS, BEFORE_S = 9, 3.5  # of the run, and of it before the microphone goes away
OWN_HZ, VOICE_HZ = 311, 1_000


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setparams((1, 2, RATE, 0, "NONE", ""))
        out.writeframes((samples * 32_767).astype("<i2").tobytes())


def loudness(samples: np.ndarray, hz: float) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    at = round(hz * len(samples) / RATE)
    return float(spectrum[at - 20 : at + 20].max() / spectrum.max())


@pytest.mark.slow
def test_it_is_heard_beside_the_voice_and_its_loss_ends_nothing(pulse: PrivatePulse, tmp_path: Path) -> None:
    film, stats, voice = tmp_path / "out.mkv", tmp_path / "stats.json", tmp_path / "voice.wav"
    write_wav(voice, tone(VOICE_HZ, SECONDS + 4))
    player = Player(pulse.play("stage"), np.repeat(tone(OWN_HZ)[:, None], 2, 1))
    command = f"--webcam demo --mic {voice} --own-mic stage_microphone --to {film} --stats-json {stats}"
    program = subprocess.Popen(
        [sys.executable, "-c", "from realtime_dub.cli import main; main()", *command.split(),
         "--seconds", str(SECONDS), "--budget-ms", "300"],
        env={**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "400"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    while not film.exists() and program.poll() is None:
        time.sleep(0.05)
    time.sleep(BEFORE_S)
    pulse.unload("stage")
    out, err = program.communicate(timeout=PATIENCE_S)
    player.finish()
    assert program.returncode == 0, err
    report = json.loads(stats.read_text())
    print(report, err)
    assert report["frames"]["total"] == SECONDS * 25
    assert BEFORE_S - 1 <= report["own_voice"]["heard_s"] < SECONDS - 2
    assert report["own_voice"]["frames"] == 0  # a tone is no speech
    assert report["losses"]["devices"] >= 1
    assert report["silence"] == "rest"
    assert (out + err).count("gives no sound: nothing is learnt from it until it does") >= 1
    with av.open(str(film)) as container:
        heard = np.concatenate([each.to_ndarray().reshape(-1) for each in container.decode(audio=0)])
    heard = heard.astype(np.float32)[2 * RATE : 8 * RATE]
    assert loudness(heard, VOICE_HZ) == 1
    assert loudness(heard, OWN_HZ) < 0.01
