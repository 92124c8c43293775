"""The same pictures and voices that the program reads, pulled as fast as they come."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import soxr

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import Floats, Frame
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.voices import open_voice


def frames(spec: str, width: int = 640, height: int = 480, fps: float = 25) -> Iterator[Frame]:
    """Every frame of a file, or of the built-in face without end."""
    source = open_video(spec, clock=VirtualClock(), width=width, height=height, fps=fps, live=False)
    source.open()
    try:
        with contextlib.suppress(EndOfStream):
            while True:
                yield source.read()
    finally:
        source.close()


def voice(spec: str) -> Floats:
    """The whole of a voice as an engine hears it: (n,) at 16 kHz."""
    source = open_voice(spec, clock=VirtualClock(), video_path=None, live=False)
    info = source.open()
    mono, pieces = MonoMixer(info.rate), list[Floats]()
    try:
        with contextlib.suppress(EndOfStream):
            while True:
                pieces.append(mono(source.read().samples))
    finally:
        source.close()
    whole = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    return np.asarray(soxr.resample(whole, info.rate, VOICE_RATE), np.float32)
