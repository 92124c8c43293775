"""A file's picture and sound as scripted, and an output that keeps what it is given: real classes, no codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from live_helpers import FACE, EveryThird, PaintCompositor, frame_at, sound

from realtime_dub.errors import EndOfStream, LostOutput, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, AudioBlock, Frame, VideoInfo, VoiceInfo, samples_to_ns
from realtime_dub.pipeline import assembly, voice_feeder
from realtime_dub.pipeline.file import parts as file_parts

RATE = 48_000


@dataclass
class Script:
    """What the next run finds. ``pts`` in ms."""

    pts: list[int] = field(default_factory=lambda: [40 * k for k in range(50)])
    last_ms: int = 40
    voice_samples: int = 2 * RATE
    voice_start_ns: int = 0
    kind: str = "file"
    faces: bool = True
    break_at: int | None = None  # tick at which the output fails
    damage_at: int | None = None  # frame at which the decoder fails
    duration_ns: int | None = None  # as far as the file's header tells
    published: list = field(default_factory=list)
    opened: list = field(default_factory=list)
    closed: int = 0


SCRIPT = Script()


class ScriptVideo:
    notes = ("a note of the source",)

    def open(self) -> VideoInfo:
        return VideoInfo(8, 8, Fraction(25), False, "script", len(SCRIPT.pts), SCRIPT.duration_ns)

    def read(self) -> Frame:
        self._next = getattr(self, "_next", -1) + 1
        if SCRIPT.damage_at == self._next:
            raise MediaError("cannot decode", "script")
        if SCRIPT.kind != "file":
            return frame_at(self._next * 40 * MS, self._next)
        if self._next >= len(SCRIPT.pts):
            raise EndOfStream
        frame = frame_at(SCRIPT.pts[self._next] * MS, self._next)
        last = self._next == len(SCRIPT.pts) - 1
        return Frame(frame.image, frame.pts_ns, frame.seq, SCRIPT.last_ms * MS if last else 0)

    def close(self) -> None:
        pass


class ScriptVoice:
    """Blocks of 1000 samples."""

    def open(self) -> VoiceInfo:
        self._at = 0
        return VoiceInfo(RATE, 1, False, "script", 0)

    def read(self) -> AudioBlock:
        count = min(1000, SCRIPT.voice_samples - self._at)
        if count <= 0:
            raise EndOfStream
        block = AudioBlock(sound(self._at, count), RATE, SCRIPT.voice_start_ns + samples_to_ns(self._at, RATE))
        self._at += count
        return block

    def close(self) -> None:
        pass


class ScriptTracker:
    def __init__(self, choice: str, at_once: bool = True) -> None:
        pass

    def track(self, frame: Frame) -> TrackedFrame:
        return TrackedFrame(frame, FACE if SCRIPT.faces else None)

    def close(self) -> None:
        pass


class ScriptPublisher:
    name, policy, latency_ns = "script", "every", 0

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def open(self, fmt) -> None:
        SCRIPT.opened.append(fmt)

    def publish(self, tick) -> None:
        self._path.write_bytes(b"begun")
        if SCRIPT.break_at == tick.seq:
            raise LostOutput("cannot write", "script: no space", "its first 0.8 s are kept", kept_ns=800 * MS)
        SCRIPT.published.append(tick)

    def close(self) -> None:
        SCRIPT.closed += 1


def open_video(
    spec, *, clock, width=0, height=0, fps=0, loop=False, background=(0, 0, 0), live=False, stream=None, shown=None
) -> ScriptVideo:
    return ScriptVideo()


def open_voice(spec, **_) -> ScriptVoice:
    return ScriptVoice()


def open_publisher(spec, **_) -> ScriptPublisher:
    return ScriptPublisher(spec)


def kind_of(spec: str) -> str:
    return SCRIPT.kind


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """These parts in place of the real ones."""
    for name, made in (
        ("open_video", open_video),
        ("open_voice", open_voice),
        ("open_publisher", open_publisher),
        ("make_tracker", ScriptTracker),
        ("make_compositor", PaintCompositor),
        ("make_marks", lambda wanted: None),
    ):
        monkeypatch.setattr(assembly, name, made)
    monkeypatch.setattr(file_parts, "kind_of", kind_of)
    monkeypatch.setattr(file_parts, "possible", lambda: False)  # what is scripted is looked at in this process
    monkeypatch.setattr(voice_feeder, "StreamResampler", lambda *_: EveryThird())


def samples() -> np.ndarray:
    return np.concatenate([tick.audio.samples for tick in SCRIPT.published])[:, 0]
