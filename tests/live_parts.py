"""Small real sources and publishers on the machine's clock, for runs with real threads."""

from __future__ import annotations

import os
import threading
import time
from fractions import Fraction
from typing import ClassVar

import pytest
from live_helpers import FACE, RATE, EveryThird, PaintCompositor, frame_at, sound

from realtime_dub.clock import Clock
from realtime_dub.errors import DeviceError, EndOfStream, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, AudioBlock, Frame, OutputFormat, Tick, VideoInfo, VoiceInfo, samples_to_ns
from realtime_dub.pipeline import assembly, voice_feeder
from realtime_dub.pipeline.camera import CameraMode
from realtime_dub.pipeline.live import inputs
from realtime_dub.pipeline.live import run as live_run


class Camera:
    def __init__(self, spec: str, clock: Clock, fps: float) -> None:
        self._spec, self._clock, self._period_ns = spec, clock, round(1e9 / fps)
        self._seq, self._closed = 0, threading.Event()

    def open(self) -> VideoInfo:
        if self._spec == "missing":
            raise DeviceError("no camera", self._spec, "plug one in")
        self._start_ns = self._clock.now_ns()
        return VideoInfo(8, 8, Fraction(25), True, self._spec)

    def read(self) -> Frame:
        due_ns = self._start_ns + self._seq * self._period_ns
        self._clock.sleep_until_blocking(due_ns)
        if self._closed.is_set() or (self._spec == "short" and self._seq == 25):
            raise EndOfStream
        if self._spec == "breaks" and self._seq == 25:
            raise DeviceError("the camera broke", self._spec, "take another")
        self._seq += 1
        return frame_at(due_ns, self._seq)

    def close(self) -> None:
        self._closed.set()


class PacedCamera(Camera):
    """What stands for a file's video."""

    origin_ns = None


class Microphone:
    def __init__(self, spec: str, clock: Clock) -> None:
        self._spec, self._clock, self._at = spec, clock, 0
        self._late_ns = 100 * MS if spec == "late" else 0  # later than it declares
        self._closed = threading.Event()

    def open(self) -> VoiceInfo:
        if self._spec == "missing":
            raise DeviceError("no microphone", self._spec, "plug one in")
        self._start_ns = self._clock.now_ns()
        return VoiceInfo(RATE, 1, True, self._spec, 10 * MS)

    def read(self) -> AudioBlock:
        count = RATE // 100
        start_ns = self._start_ns + samples_to_ns(self._at, RATE)
        self._clock.sleep_until_blocking(start_ns + 10 * MS + self._late_ns)
        if self._closed.is_set():
            raise EndOfStream
        self._at += count
        return AudioBlock(sound(self._at - count, count), RATE, start_ns)

    def close(self) -> None:
        self._closed.set()


class PacedMicrophone:
    """What stands for a voice from a file: a microphone that begins when it is told to."""

    def __init__(self, source: Microphone, clock: Clock, start_ns: int | None = None) -> None:
        self._source, self._clock, self._start_ns = source, clock, start_ns

    def open(self) -> VoiceInfo:
        return self._source.open()

    def read(self) -> AudioBlock:
        if self._source._at == 0:
            self._source._start_ns = self._clock.now_ns() if self._start_ns is None else self._start_ns
        return self._source.read()

    def close(self) -> None:
        self._source.close()


class Tracker:
    def __init__(self, choice: str, at_once: bool = True) -> None:
        self.closed = False

    def track(self, frame: Frame) -> TrackedFrame:
        return TrackedFrame(frame, FACE)

    def close(self) -> None:
        self.closed = True


class Keeper:
    """Keeps what it is given."""

    latency_ns = 0
    made: ClassVar[list[Keeper]] = []

    def __init__(self, spec: str) -> None:
        self.name, self.policy = spec, "latest" if spec == "slow" else "every"
        self.ticks: list[Tick] = []
        self.opened_on = self.closed_on = ""
        self.closed = threading.Event()
        self.finished = False
        self.made.append(self)

    def open(self, fmt: OutputFormat) -> None:
        self.opened_on = threading.current_thread().name
        if self.name == "refuses":
            raise MediaError("cannot write", self.name, "choose another")

    def publish(self, tick: Tick) -> None:
        if self.name == "slow":
            self.closed.wait(0.1)
        if self.name == "fails" and tick.seq == 10:
            raise MediaError("cannot write", "fails: no space", "free some")
        if self.name.startswith("asks to end ") and tick.seq == 10:
            os.kill(os.getpid(), int(self.name.split()[-1]))
        self.ticks.append(tick)

    def close(self) -> None:
        self.closed.set()
        self.closed_on = threading.current_thread().name
        if self.name.startswith("asks to end "):  # again: an impatient user
            os.kill(os.getpid(), int(self.name.split()[-1]))
            time.sleep(0.1)
        self.finished = True


def open_video(spec, *, clock, fps, **_) -> Camera:
    return (PacedCamera if spec == "file" else Camera)(spec, clock, fps)


def open_voice(spec, *, clock, **_) -> Microphone | PacedMicrophone:
    source = Microphone(spec, clock)
    return PacedMicrophone(source, clock) if spec == "file" else source


def open_publisher(spec, **_) -> Keeper:
    return Keeper(spec)


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """These parts in place of the real ones."""
    for name, made in (
        ("open_video", open_video),
        ("open_voice", open_voice),
        ("open_publisher", open_publisher),
        ("make_tracker", Tracker),
        ("make_compositor", PaintCompositor),
        ("make_marks", lambda wanted: None),
    ):
        monkeypatch.setattr(assembly, name, made)
    monkeypatch.setattr(live_run, "_camera_mode", lambda config: CameraMode(config.width, config.height, config.fps))
    monkeypatch.setattr(live_run, "PacedVideo", PacedCamera)
    for module in (live_run, inputs):
        monkeypatch.setattr(module, "PacedVoice", PacedMicrophone)
    monkeypatch.setattr(voice_feeder, "StreamResampler", lambda *_: EveryThird())
