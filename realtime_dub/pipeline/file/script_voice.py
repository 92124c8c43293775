"""A script as a voice of a film: its lips say when each phoneme is due."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError, EndOfStream, MediaError
from realtime_dub.face.types import FaceTracker
from realtime_dub.media import NS, AudioBlock, VoiceInfo, samples_to_ns
from realtime_dub.pipeline import assembly
from realtime_dub.sources.base import VideoSource, read_all
from realtime_dub.sources.registry import kind_of
from realtime_dub.voice.contract import MadeVoice, SeenFilm, Wish
from realtime_dub.voice.hpm.rules import look_of
from realtime_dub.voice.registry import said_by, script_speaker
from realtime_dub.voice.sample import sample_of
from realtime_dub.voice.tts.script import read_script

MOST_FRAMES = 30_000  # of a film: 20 minutes at 25 per second
BLOCK = 4_096  # samples
Progress = Callable[[int, int | None], None]


class ScriptVoice:
    """A voice source, pulled: a script as its film's lips say it. Made when it is opened."""

    def __init__(self, script: str, film: str, config: FileConfig) -> None:
        """``script``: a file, or NAME:FILE to say by whom; ``film``: whose lips, a photograph has none that move."""
        name, path = said_by(script)
        self._speak, self._lines = script_speaker(name), read_script(Path(path))
        self._film, self._config = film, config
        self._made: MadeVoice | None = None
        self._at = 0
        self.notes: list[str] = []

    def open(self) -> VoiceInfo:
        config = self._config
        wish = Wish(config.language, *sample_of(config.speaker), config.speaker_id)
        seen = see(self._film, config.face, config.video_stream)
        self._made = self._speak(self._lines, seen, wish)
        self.notes = list(self._made.notes)
        return VoiceInfo(self._made.rate, 1, False, "script", 0)

    def read(self) -> AudioBlock:
        if self._made is None or self._at >= len(self._made.samples):
            raise EndOfStream
        rate, at = self._made.rate, self._at
        samples = self._made.samples[at : at + BLOCK, None]
        self._at += len(samples)
        return AudioBlock(samples, rate, samples_to_ns(at, rate))

    def close(self) -> None:
        self._at, self._made = 0, None


def see(film: str, face: str, stream: int | None = None, progress: Progress | None = None) -> SeenFilm:
    """The face of a film, frame by frame. Raises MediaError for one that is too long."""
    kind = kind_of(film)
    if kind == "image":
        return SeenFilm(np.zeros(0), (), 0.0)
    if kind not in ("file", "demo"):
        raise ConfigError("no film:", film, "name a video or a picture")
    size: dict[str, Any] = {"width": 640, "height": 480, "fps": 25}
    video = assembly.open_video(film, clock=VirtualClock(), loop=False, live=False, stream=stream, **size)
    tracker = assembly.make_tracker(face, at_once=True)
    try:
        return _seen(video, tracker, film, progress)
    finally:
        tracker.close()
        video.close()


def _seen(video: VideoSource, tracker: FaceTracker, film: str, progress: Progress | None) -> SeenFilm:
    info = video.open()
    times, faces, looks, end_ns = [], [], [], 0
    for frame in islice(read_all(video.read), MOST_FRAMES + 1):
        times.append(frame.pts_ns / NS)
        faces.append(tracker.track(frame).face)
        looks.append(look_of(frame.image))
        end_ns = frame.pts_ns + (frame.duration_ns or round(NS / info.fps))
        if progress is not None:
            progress(len(times), info.frames)
    if not times or len(times) > MOST_FRAMES:
        what = "it has no frames" if not times else f"it has more than {MOST_FRAMES} frames"
        raise MediaError("cannot follow the lips of", f"{film}: {what}", "cut it")
    return SeenFilm(np.array(times), faces, end_ns / NS, np.stack(looks))
