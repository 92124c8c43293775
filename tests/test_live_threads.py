"""The live loop as it is put together, on the machine's clock with real threads."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import live_parts
import numpy as np
import pytest
from live_helpers import RATE, PuppetGenerator
from live_parts import Camera, Keeper, Microphone, Tracker

from realtime_dub.clock import MonotonicClock
from realtime_dub.config import LiveConfig, build
from realtime_dub.errors import DeviceError, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.losses import KINDS
from realtime_dub.media import Frame
from realtime_dub.mouth import registry
from realtime_dub.mouth.engine import Engine
from realtime_dub.pipeline.live.inputs import ThreadedInputs
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.pipeline.plan import BudgetTooSmall
from realtime_dub.pipeline.statistics import Report

ENGINE = Engine("puppet", "a puppet", f"{__name__}:make_puppet", frozenset(registry.OPTIONS))


def make_puppet(**_: object) -> PuppetGenerator:
    return PuppetGenerator()


@pytest.fixture
def go(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Report]]:
    """``go(**config)`` runs; no thread may be left."""
    live_parts.stand_in(monkeypatch)
    monkeypatch.setitem(registry.ENGINES, "puppet", f"{__name__}:ENGINE")
    Keeper.made.clear()
    before = set(threading.enumerate())

    def run(**config: object) -> Report:
        defaults = {"engine": "puppet", "to": ("keeper",), "quiet": True, "budget_ms": 200}
        return run_live(build(LiveConfig, **defaults | config))

    yield run
    assert [thread.name for thread in threading.enumerate() if thread not in before] == []


@pytest.mark.slow
def test_five_seconds_add_up(go: Callable[..., Report], tmp_path: Path) -> None:
    report = go(seconds=5, to=("keeper", "slow"), stats_json=tmp_path / "s.json")
    frames, keeper = report.frames, Keeper.made[0]
    assert frames["total"] == 125
    assert frames["fresh"] + frames["reused"] + frames["passthrough"] == frames["total"]
    # A machine that is busy with other things may merge ticks; sound and time are complete all the same.
    assert sum(tick.duration_ns for tick in keeper.ticks) == 5_000_000_000
    samples = np.concatenate([tick.audio.samples for tick in keeper.ticks])[:, 0]
    assert len(samples) == 5 * RATE
    heard = samples[np.flatnonzero(samples)[0] :]
    steps = np.diff(heard)
    assert np.all((np.abs(steps - 1 / 8000) < 1e-4) | (steps < -0.9))
    assert frames["skipped"] >= 50  # the slow one takes ten pictures a second
    assert len(Keeper.made[1].ticks) <= 60
    assert keeper.opened_on == keeper.closed_on == "publisher keeper"
    assert set(report.losses) == set(KINDS)
    assert {"track", "engine", "compose", "queued", "publish keeper"} <= set(report.stages_ms)
    assert json.loads((tmp_path / "s.json").read_text())["frames"] == frames


def test_a_voice_later_than_declared_moves_the_mouth_on_a_real_clock(go: Callable[..., Report]) -> None:
    report = go(seconds=4, mic="late", budget_ms=150)
    frames = report.frames
    assert frames["fresh"] - frames.get("starved", 0) >= 30, frames
    assert any("spoken up to" in note for note in report.notes)
    samples = np.concatenate([tick.audio.samples for tick in Keeper.made[0].ticks])[:, 0]
    heard = samples[np.flatnonzero(samples)[0] :]
    steps = np.diff(heard[heard > 0])
    assert np.all((np.abs(steps - 1 / 8000) < 1e-4) | (steps < -0.9))  # whole, whatever holes there are


def test_the_picture_ends_the_run(go: Callable[..., Report]) -> None:
    assert 5 <= go(webcam="short").frames["total"] <= 26  # of a second, less what a busy machine merges


def test_a_file_and_its_own_sound_run_in_step(go: Callable[..., Report]) -> None:
    assert go(webcam="file", mic="video", seconds=0.5).frames["total"] == 12 + 1
    assert go(webcam="0", mic="file", seconds=0.5).frames["total"] == 12 + 1


@pytest.mark.parametrize("config", [{"webcam": "missing"}, {"mic": "missing"}])
def test_missing_devices_are_found_before_anything_is_opened(go: Callable[..., Report], config: dict) -> None:
    with pytest.raises(DeviceError):
        go(**config)
    assert not Keeper.made[0].opened_on


def test_a_budget_that_cannot_hold_is_refused_with_a_table(go: Callable[..., Report], capsys) -> None:
    with pytest.raises(BudgetTooSmall):
        go(budget_ms=60)
    assert "look-ahead" in capsys.readouterr().err
    assert not Keeper.made[0].opened_on


def test_an_output_that_refuses_closes_the_others(go: Callable[..., Report]) -> None:
    with pytest.raises(MediaError):
        go(to=("keeper", "refuses"))
    assert Keeper.made[0].closed.is_set()


def test_one_output_may_fail_and_is_told(
    go: Callable[..., Report], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report = go(to=("keeper", "fails"), seconds=1)
    assert len(Keeper.made[0].ticks) >= 20
    assert report.lost == ("cannot write fails: no space; free some, 0.6 s are lost",)
    assert "no space; free some; what else was asked for goes on" in caplog.text


def test_the_last_output_that_fails_ends_the_run(go: Callable[..., Report], tmp_path: Path) -> None:
    report = go(to=("fails",), stats_json=tmp_path / "s.json")
    assert "no space" in report.lost[0]
    assert report.frames["total"] < 50
    assert (tmp_path / "s.json").exists()


def test_a_camera_that_breaks_ends_the_run_with_its_error(go: Callable[..., Report]) -> None:
    with pytest.raises(DeviceError, match="broke"):
        go(webcam="breaks")
    assert Keeper.made[0].closed.is_set()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_is_asked_to_end_once_and_again_ends_cleanly(
    go: Callable[..., Report], tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    report = go(to=(f"asks to end {number}", "keeper"), stats_json=tmp_path / "s.json")
    assert report.frames["total"] >= 10
    assert report.lost == ()
    assert (tmp_path / "s.json").exists()
    assert all(keeper.finished for keeper in Keeper.made)
    assert signal.getsignal(number) is before


def test_a_closed_terminal_is_ignored_where_it_was_ignored_before(go: Callable[..., Report]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert go(to=(f"asks to end {signal.SIGHUP}",), seconds=1).frames["total"] == 25
    finally:
        signal.signal(signal.SIGHUP, before)


def test_pictures_that_are_never_tracked_are_counted() -> None:
    class Slow(Tracker):
        def track(self, frame: Frame) -> TrackedFrame:
            time.sleep(0.1)
            return super().track(frame)

    class Nobody:
        def on_frame(self, seen: object) -> None: ...

        def on_voice(self, block: object) -> None: ...

        def on_end(self, which: str, error: object) -> None: ...

    clock = MonotonicClock()
    camera, microphone = Camera("camera", clock, 50), Microphone("microphone", clock)
    camera.open(), microphone.open()
    inputs = ThreadedInputs(camera, microphone, Slow(""), clock)
    inputs.start(Nobody())
    time.sleep(0.8)
    inputs.close()
    assert inputs.lost().drops >= 5
