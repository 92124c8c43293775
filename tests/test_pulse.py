"""A real microphone and a real speaker: PortAudio on a private PulseAudio.

A train of clicks plays on the sink `stage`; the microphone hears its monitor; the voice, later by L, plays on the sink
`hall`. What both sinks play is recorded, and the delay between the two measured click by click: what somebody in the
hall hears after the stage. Microphone and speaker each map their times to one clock, so it should be L itself, whatever
PulseAudio's buffers hold. It is off by how far each null sink renders ahead of what it calls now, which the recorders'
own short latency (5 ms) bounds: about -4 ms here, the same whatever the speaker's buffer.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from patience import PATIENCE_S
from pulse import PrivatePulse

from tests.pulse_sinks import RATE, SETTLE_S, Player, Recording

DELAY_MS = 160.0
PERIOD = RATE // 2  # of the clicks: longer than the delay, so that each has one answer
LISTEN_S = 10.5
TRIES = 3  # on a machine that stands still now and then
LOOP = Path(__file__).with_name("pulse_loop.py")


def click_train() -> np.ndarray:
    """One click and the pause behind it (PERIOD, 2)."""
    period = np.zeros((PERIOD, 2), np.float32)
    period[:240] = np.random.default_rng(8).uniform(-0.5, 0.5, (240, 1))
    return period


def click_times(sound: np.ndarray, start_s: float) -> np.ndarray:
    loud = np.flatnonzero(np.abs(sound) > 0.15)
    first = loud[np.diff(loud, prepend=-RATE) > PERIOD // 2]
    return first / RATE + start_s


def start_loop(pulse: PrivatePulse, seconds: float, *devices: str) -> subprocess.Popen[str]:
    environment = {**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, str(LOOP), str(seconds), str(DELAY_MS), *devices],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "running", process.communicate()[1]
    return process


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    counts: dict[str, Any] = json.loads(out.splitlines()[-1])
    return counts


def delays_ms(stage: Recording, hall: Recording, after_s: float) -> np.ndarray:
    heard = click_times(*hall.finish())
    played = click_times(*stage.finish())
    heard = heard[heard > after_s]
    before = np.searchsorted(played, heard) - 1
    return (heard[before >= 0] - played[before[before >= 0]]) * 1e3


def heard_delays(pulse: PrivatePulse) -> tuple[np.ndarray, dict[str, Any]]:
    """The delays of LISTEN_S in ms, and what microphone and speaker counted."""
    clicks = Player(pulse.play("stage"), click_train())
    stage, hall = Recording(pulse.record("stage")), Recording(pulse.record("hall"))
    loop = start_loop(pulse, SETTLE_S + LISTEN_S)
    began_s = time.monotonic()
    counts = result(loop)
    delays = delays_ms(stage, hall, began_s + SETTLE_S)
    clicks.finish()
    print(
        f"delay: mean {delays.mean():.2f} ms, sd {delays.std():.2f}, {delays.min():.2f} to {delays.max():.2f}", counts
    )
    return delays, counts


@pytest.mark.slow
@pytest.mark.alone
def test_the_hall_hears_the_stage_later_by_exactly_the_delay(pulse: PrivatePulse) -> None:
    for _ in range(TRIES):
        delays, counts = heard_delays(pulse)
        if not counts["speaker"]["underflows"]:
            break  # a sound server that stood still and ran dry keeps another time behind it
    assert len(delays) >= LISTEN_S  # of two a second
    # Medians and shares, because a busy machine may delay the odd buffer of the sound server itself.
    middle = np.median(delays)
    assert abs(middle - DELAY_MS) < 15.0
    losses = counts["microphone"]["losses"] + counts["speaker"]["losses"]
    # A device that had to be opened again, on a machine that stood still, has another delay: each its own steady one.
    pieces = np.split(delays, np.flatnonzero(np.abs(np.diff(delays)) > 5.0)[:losses] + 1)
    steady = np.concatenate([np.abs(piece - np.median(piece)) < 5.0 for piece in pieces])
    assert steady.mean() >= 0.75
    whole = max(pieces, key=len)
    half = len(whole) // 2
    assert abs(np.median(whole[:half]) - np.median(whole[half:])) < 5.0  # it does not slide
    assert (counts["ended"], counts["error"]) == (True, "")
    assert losses <= 1 or np.abs(delays - DELAY_MS).max() < 30.0


@pytest.mark.slow
def test_a_sound_server_that_dies_and_comes_back(pulse: PrivatePulse) -> None:
    loop = start_loop(pulse, 8.0)
    time.sleep(1.0)
    pulse.stop()
    time.sleep(1.0)
    pulse.start()
    clicks = Player(pulse.play("stage"), click_train())
    stage, hall = Recording(pulse.record("stage")), Recording(pulse.record("hall"))
    counts = result(loop)
    delays = delays_ms(stage, hall, 0.0)
    clicks.finish()
    print(delays, counts)
    assert (counts["ended"], counts["error"]) == (True, "")
    assert counts["microphone"]["losses"] >= 1
    assert counts["speaker"]["losses"] >= 1
    assert abs(delays[-1] - DELAY_MS) < 20.0  # the rest of the error is being worked off


def test_the_cable_of_readme_is_played_into_by_its_name_and_heard_at_its_other_end(pulse: PrivatePulse) -> None:
    """No pcm of ALSA's has its name: PortAudio lists none for it."""
    text = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
    made = [shlex.split(line) for line in text.splitlines() if line.strip().startswith("pactl load-module")]
    assert len(made) == 2
    for _, *arguments in made:
        pulse.pactl(*arguments)
    clicks = Player(pulse.play("stage"), click_train())
    meeting, hall = Recording(pulse.hear("dub_mic")), Recording(pulse.record("hall"))
    counts = result(start_loop(pulse, SETTLE_S + 2.0, "stage.monitor", "dub"))
    clicks.finish()
    assert (counts["ended"], counts["error"]) == (True, "")
    assert len(click_times(*meeting.finish())) >= 3
    assert len(click_times(*hall.finish())) == 0


@pytest.mark.slow
@pytest.mark.alone
def test_the_program_plays_the_microphone_later_by_its_budget_beside_a_picture(
    pulse: PrivatePulse, tmp_path: Path
) -> None:
    clicks = Player(pulse.play("stage"), click_train())
    stage, hall = Recording(pulse.record("stage")), Recording(pulse.record("hall"))
    film, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    began_s = time.monotonic()
    program = subprocess.run(
        [
            sys.executable,
            "-c",
            "from realtime_dub.cli import main; main()",
            "--webcam",
            "demo",
            "--mic",
            "stage_microphone",
            "--speaker",
            "hall_speaker",
            "--to",
            str(film),
            "--stats-json",
            str(stats),
            "--budget-ms",
            "200",
            "--seconds",
            "9",
        ],
        env={**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    delays = delays_ms(stage, hall, began_s)
    clicks.finish()
    assert program.returncode == 0, program.stderr
    report = json.loads(stats.read_text())
    print(delays, report)
    assert report["frames"]["total"] == 225
    assert report["latency_ms"]["max"] <= 200
    assert len(delays) >= 8
    assert abs(np.median(delays[-8:]) - 200.0) < 15.0
    with av.open(str(film)) as container:
        sound = np.concatenate([each.to_ndarray()[0] for each in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    loud = np.flatnonzero(np.abs(sound) > 0.15)
    assert 14 <= (np.diff(loud, prepend=-rate) > rate // 4).sum() <= 20  # two clicks a second
