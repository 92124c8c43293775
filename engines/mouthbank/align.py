"""Finds by how much the picture of a clip is off its sound, with a net that has already learnt from many clips.

A recording's first frame lies anywhere within a frame of its first sample, so clips are off by up to 20 ms either way,
some by more. Trained on them as they are, a net blurs its motion over that spread. The mean over all clips is the net's
own error, not theirs, and is taken out: the lag of the whole stays what it was.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from engines.common import Array
from engines.common.grid import Clip
from engines.common.metrics import openings
from engines.common.rates import places
from engines.common.video_metrics import correlation
from engines.mouthbank.network import LOOK_AHEAD, MotionNet
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

REACH = 8  # frames of the net searched either way
LEAST_R = 0.6  # a clip that fits nowhere has another sentence's sound, or none


def best_offset(found: Array, real: Array, step: float) -> tuple[int, float]:
    """Offset in net frames and r there. ``found`` (n,) is at the net's rate, ``real`` (T,) at every ``step`` of it."""
    at = places(len(real), 1, step)
    inside = (at >= REACH) & (at < len(found) - REACH)
    at, real = at[inside], real[inside]
    scores = [correlation(found[at + shift], real) for shift in range(-REACH, REACH + 1)]
    best = int(np.argmax(scores))
    return best - REACH, scores[best]


def find_offsets(net: MotionNet, clips: list[Clip], spec: LogMelSpec) -> dict[str, float]:
    """Seconds per clip, mean 0; clips that fit nowhere are left out."""
    offsets = {}
    for clip in clips:
        mel = torch.from_numpy(LogMel(spec).process(clip.audio))[None]
        with torch.no_grad():
            displacement = net(mel, net.initial_state())[0][0, LOOK_AHEAD:].numpy()
        step = spec.rate / spec.hop / clip.fps
        found, real = openings(displacement, clip.neutral), openings(clip.motion, clip.neutral)
        shift, r = best_offset(found, real, step)
        if r >= LEAST_R:
            offsets[clip.name] = shift * spec.hop / spec.rate
    mean = float(np.mean(list(offsets.values()))) if offsets else 0.0
    return {name: round(offset - mean, 5) for name, offset in offsets.items()}


def aligned(clips: list[Clip], offsets: dict[str, float]) -> list[Clip]:
    """The clips with their offsets; those without one are left out. All as they are where the net fits too few."""
    if len(offsets) < len(clips) / 2:
        return clips
    return [replace(clip, offset_s=offsets[clip.name]) for clip in clips if clip.name in offsets]
