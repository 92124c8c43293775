"""Somebody's voice, to speak like it: the beginning of a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.clock import VirtualClock
from realtime_dub.media import Floats
from realtime_dub.sources.base import read_all
from realtime_dub.sources.voices import open_voice

SAMPLE_S = 30


def sample_of(path: Path | None) -> tuple[Floats | None, int]:
    """Its samples (n,), mono, and their rate. Raises UserError for what is no sound."""
    if path is None:
        return None, 0
    source = open_voice(str(path), clock=VirtualClock(), video_path=None, live=False)
    try:
        info = source.open()
        mixer, parts, count = MonoMixer(info.rate), [], 0
        for block in read_all(source.read):
            parts.append(np.asarray(mixer(block.samples), np.float32).ravel())
            count += len(parts[-1])
            if count >= SAMPLE_S * info.rate:
                break
        return np.concatenate([np.zeros(0, np.float32), *parts]), info.rate
    finally:
        source.close()
