"""Emotions by name: what a network that has learnt clips of several emotions is shown for each.

The published network takes the mood from the scene, and valence and arousal from the face; it has no input for an
emotion. So for a name both get what clips of this emotion had in the middle: the mean of their scenes, and of their
faces' frames. Where no net has seen the scenes of the training clips, their scene is the emotion itself
(``data.py: with_mood``): then its first layer has a vector of its own for each, which was learnt.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.hpm.clips import Clip
from engines.hpm.shapes import EMOTIONS
from realtime_dub.inference.spec import MoodSpec

LEAST = 2  # emotions: one alone is no choice


def moods_of(clips: Sequence[Clip]) -> tuple[MoodSpec, ...]:
    """Those of training clips, by name; none where fewer than two are told."""
    own = {name: [clip for clip in clips if clip.emotion == number] for number, name in enumerate(EMOTIONS)}
    found = {name: theirs for name, theirs in own.items() if theirs}
    if len(found) < LEAST:
        return ()
    return tuple(_mood(name, theirs) for name, theirs in found.items())


def _mood(name: str, clips: Sequence[Clip]) -> MoodSpec:
    scene = np.mean([clip.scene for clip in clips], 0)
    face = np.mean([clip.face.mean(0) for clip in clips], 0)
    return MoodSpec(name=name, scene=tuple(scene.round(4).tolist()), face=tuple(face.round(4).tolist()))
