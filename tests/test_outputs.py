"""A publisher that is slower than the grid: what is dropped, what never is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from live_helpers import RATE, frame_at, sound
from patience import PATIENCE_S

from realtime_dub.clock import MonotonicClock
from realtime_dub.errors import EndOfStream, LostOutput
from realtime_dub.media import MS, AudioBlock, Tick
from realtime_dub.pipeline.live import outputs
from realtime_dub.pipeline.live.outputs import PublisherThread, Stamped
from realtime_dub.pipeline.statistics import Recorder

COUNT = RATE // 25


class Gated:
    """Publishes when it is let."""

    latency_ns = 0

    def __init__(self, policy: str) -> None:
        self.name, self.policy = "gated", policy
        self.gate, self.entered = threading.Event(), threading.Event()
        self.ticks: list[Tick] = []

    def open(self, fmt: object) -> None:
        pass

    def publish(self, tick: Tick) -> None:
        self.entered.set()
        self.gate.wait(10)
        self.ticks.append(tick)

    def close(self) -> None:
        pass


def tick(k: int) -> Stamped:
    audio = AudioBlock(sound(k * COUNT, COUNT), RATE, k * 40 * MS)
    return Stamped(Tick(frame_at(0, k).image, k * 40 * MS, 40 * MS, k, audio), k * 40 * MS, k * 40 * MS)


def run(policy: str, offers: int, failed: Callable[[str, Exception], None] = lambda name, error: None):
    recorder, publisher = Recorder(), Gated(policy)
    output = PublisherThread(publisher, MonotonicClock(), recorder, failed)
    output.offer(tick(0))
    assert publisher.entered.wait(PATIENCE_S)
    for k in range(1, offers):
        output.offer(tick(k))
    publisher.gate.set()
    output.close()
    output.close()
    return publisher, recorder


def test_latest_keeps_the_newest_only() -> None:
    publisher, recorder = run("latest", 20)
    assert [each.seq for each in publisher.ticks] == [0, 19]
    assert recorder.frames["skipped"] == 18


@pytest.mark.parametrize("offers", [5, 9, 20, 100])
def test_every_drops_pictures_but_no_sound_and_no_time(offers: int) -> None:
    publisher, recorder = run("every", offers)
    assert len(publisher.ticks) == min(offers, 9)
    assert recorder.frames["skipped"] == max(0, offers - 9)
    joined = np.concatenate([each.audio.samples for each in publisher.ticks])
    assert np.array_equal(joined, sound(0, offers * COUNT))
    assert sum(each.duration_ns for each in publisher.ticks) == offers * 40 * MS
    ends = [each.pts_ns + each.duration_ns for each in publisher.ticks]
    assert ends[:-1] == [each.pts_ns for each in publisher.ticks[1:]]


def test_a_publisher_that_never_comes_back_is_given_up() -> None:
    errors: list[tuple[str, Exception]] = []
    publisher, _ = run("every", 400, lambda name, error: errors.append((name, error)))
    assert [name for name, _ in errors] == ["gated"]
    assert isinstance(errors[0][1], LostOutput)
    assert len(publisher.ticks) == 1


class FullDisk(Gated):
    """Fails at a tick, or at the end."""

    def __init__(self, at: int | None) -> None:
        super().__init__("every")
        self.gate.set()
        self._at = at

    def publish(self, tick: Tick) -> None:
        super().publish(tick)
        if tick.seq == self._at:
            raise LostOutput("cannot write", "a: full", "its first 0.1 s are kept", kept_ns=100 * MS)

    def close(self) -> None:
        if self._at is None:
            raise LostOutput("cannot write", "a: full", "its first 0.1 s are kept", kept_ns=100 * MS)


@pytest.mark.parametrize("at", [3, None])
def test_what_is_lost_is_told_with_its_length(at: int | None) -> None:
    errors: list[Exception] = []
    recorder = Recorder()
    output = PublisherThread(FullDisk(at), MonotonicClock(), recorder, lambda name, error: errors.append(error))
    for k in range(50):
        output.offer(tick(k))
        time.sleep(0.001)
    output.close()
    output.close()
    assert [type(error) for error in errors] == [LostOutput]
    assert recorder.report().lost == ("cannot write a: full; its first 0.1 s are kept, 1.9 s are lost",)


def test_one_that_does_not_end_is_left_behind_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_PATIENCE_S", 0.1)
    recorder, publisher = Recorder(), Gated("every")
    output = PublisherThread(publisher, MonotonicClock(), recorder, lambda name, error: None)
    for k in range(5):
        output.offer(tick(k))
    output.close()
    assert recorder.report().lost == ("gated did not end in 0.1 s and was left behind, 0.2 s are lost",)
    publisher.gate.set()


def test_a_window_that_was_closed_has_lost_nothing() -> None:
    class Closed(Gated):
        def publish(self, tick: Tick) -> None:
            raise EndOfStream

    recorder = Recorder()
    output = PublisherThread(Closed("latest"), MonotonicClock(), recorder, lambda name, error: None)
    output.offer(tick(0))
    output.close()
    assert recorder.report().lost == ()


def test_offset_is_counted_per_published_tick_and_not_for_repeats() -> None:
    recorder, publisher = Recorder(), Gated("every")
    publisher.gate.set()
    output = PublisherThread(publisher, MonotonicClock(), recorder, lambda name, error: None)
    stamped = tick(1)
    output.offer(Stamped(stamped.tick, 90 * MS, 100 * MS))
    output.offer(Stamped(stamped.tick, None, 500 * MS))
    output.close()
    assert recorder.report().av_offset_ms == {"mean": 10.0, "max": 10.0}
