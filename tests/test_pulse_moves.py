"""Sound devices that go and come back while others take their streams, on a private PulseAudio.

As in ``test_pulse.py``, clicks play on the sink `stage`, and the voice, later by the delay, on the sink `hall`. When a
sink goes, PulseAudio moves its streams to the default one; nothing of ours may be heard there, and when the sink is
back the sound has to be as late as before.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from patience import PATIENCE_S
from pulse import PrivatePulse

from tests.pulse_sinks import SETTLE_S, Player, Recording
from tests.test_pulse import DELAY_MS, click_times, click_train, result, start_loop

CLICKS = 4  # that are measured each time
WITHIN_S = 20.0  # they have to come: some three seconds are usual
SAME_MS = 60.0  # how much two returns may differ

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@contextlib.contextmanager
def running(pulse: PrivatePulse, *devices: str) -> Iterator[subprocess.Popen[str]]:
    loop = start_loop(pulse, 200.0, *devices)
    try:
        yield loop
    finally:
        loop.terminate()
        loop.wait(PATIENCE_S)


@contextlib.contextmanager
def clicks_on(pulse: PrivatePulse, sink: str) -> Iterator[None]:
    player = Player(pulse.play(sink), click_train())
    try:
        yield
    finally:
        player.finish()


def delay_ms(pulse: PrivatePulse, source: str, target: str) -> float:
    """How much later ``target`` plays what ``source`` plays, once some clicks have come through."""
    with contextlib.ExitStack() as stack:
        played, heard = (Recording(pulse.record(sink)) for sink in (source, target))
        stack.callback(played.finish)
        stack.callback(heard.finish)
        until = time.monotonic() + WITHIN_S
        while len(times := click_times(*heard.so_far())) < CLICKS and time.monotonic() < until:
            time.sleep(0.2)
        sources = click_times(*played.so_far())
    assert len(times) >= CLICKS, f"{target} plays nothing"
    times = times[times > sources[0] + 0.3]  # of the first one only a part may have been recorded
    return float(np.median((times - sources[np.searchsorted(sources, times) - 1]) * 1e3))


def places(pulse: PrivatePulse, kind: str) -> list[str]:
    """The devices that streams of that kind are on."""
    devices = "sinks" if kind == "sink-inputs" else "sources"
    names = {line.split()[0]: line.split()[1] for line in pulse.pactl("list", "short", devices).splitlines()}
    return [names[line.split()[1]] for line in pulse.pactl("list", "short", kind).splitlines()]


def is_told(counts: dict[str, Any], device: str, times: int) -> bool:
    """As often as it went; once or twice more where the machine stood still so long that it was opened anew."""
    return any(f"{device} was lost {times + more} times" in counts["notes"] for more in range(3))


@pytest.mark.long
def test_a_speaker_that_goes_and_comes_back_is_in_step_each_time(pulse: PrivatePulse) -> None:
    pulse.load("attic")
    pulse.pactl("set-default-sink", "attic")
    with clicks_on(pulse, "stage"), running(pulse) as loop:
        attic = Recording(pulse.record("attic"))
        time.sleep(SETTLE_S)
        delays = [delay_ms(pulse, "stage", "hall")]
        for gone_s in (0.5, 2.0, 5.0, 0.5):
            pulse.unload("hall")
            time.sleep(gone_s)
            assert "attic" not in places(pulse, "sink-inputs")
            pulse.load("hall")
            delays.append(delay_ms(pulse, "stage", "hall"))
        elsewhere = click_times(*attic.finish())
        loop.terminate()
        counts = result(loop)
    print(delays, counts)
    assert abs(delays[0] - DELAY_MS) < SAME_MS
    assert np.abs(np.array(delays) - delays[0]).max() < SAME_MS
    assert len(elsewhere) <= 1  # of the moment in which it is taken away
    assert is_told(counts, "speaker hall_speaker", 4)


@pytest.mark.slow
def test_a_microphone_that_goes_and_comes_back_never_hears_the_speaker(pulse: PrivatePulse) -> None:
    pulse.pactl("set-default-source", "hall.monitor")  # what PulseAudio would move it to
    with running(pulse) as loop:
        delays = []
        for gone_s in (0.0, 0.5, 4.0):
            if gone_s:
                pulse.unload("stage")
                time.sleep(gone_s)
                assert "hall.monitor" not in places(pulse, "source-outputs")
                pulse.load("stage")
            with clicks_on(pulse, "stage"):
                time.sleep(0.0 if delays else SETTLE_S)
                delays.append(delay_ms(pulse, "stage", "hall"))
        loop.terminate()
        counts = result(loop)
    print(delays, counts)
    assert abs(delays[0] - DELAY_MS) < SAME_MS
    assert np.abs(np.array(delays) - delays[0]).max() < SAME_MS
    assert is_told(counts, "microphone stage_microphone", 2)


@pytest.mark.long
def test_the_defaults_may_change_while_it_runs(pulse: PrivatePulse) -> None:
    for sink in ("yard", "attic"):
        pulse.load(sink)
    pulse.pactl("set-default-source", "stage.monitor")
    pulse.pactl("set-default-sink", "hall")
    with running(pulse, "default", "default") as loop:
        with clicks_on(pulse, "stage"):
            time.sleep(SETTLE_S)
            delays = [delay_ms(pulse, "stage", "hall")]
            pulse.pactl("set-default-sink", "attic")
            delays.append(delay_ms(pulse, "stage", "attic"))
        pulse.pactl("set-default-source", "yard.monitor")
        with clicks_on(pulse, "yard"):
            delays.append(delay_ms(pulse, "yard", "attic"))
        loop.terminate()
        counts = result(loop)
    print(delays, counts)
    assert abs(delays[0] - DELAY_MS) < SAME_MS
    assert np.abs(np.array(delays) - delays[0]).max() < SAME_MS
    assert "speaker default is attic now, was hall" in counts["notes"]
    assert "microphone default is yard.monitor now, was stage.monitor" in counts["notes"]
