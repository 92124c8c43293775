"""What fills the network's slots for voice, face and scene in training: files of other nets, or what the program makes
itself, in the same way as in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.filmed import pictures
from engines.hpm.shapes import VECTOR
from realtime_dub.errors import ConfigError
from realtime_dub.paths import reason
from realtime_dub.stored import array_in
from realtime_dub.voice.hpm.features import faces_at, net_voice, voice_vector
from realtime_dub.voice.hpm.rules import face_features, look_of, scene_features
from realtime_dub.voice.speaker import own_speakers

EACH = 5  # every so many pictures of a track are looked at for its scene
PREPARED_RATE = 16_000


@dataclass(frozen=True)
class Slots:
    """``other``: files that another net has written. They fill a slot wherever they lie in the prepared folder."""

    voice: Literal["bands", "net", "other"] = "bands"  # mean and spread of the bands, or the speaker net
    face: Literal["none", "rule", "other"] = "none"
    scene: Literal["none", "rule", "other"] = "none"


OTHERS = Slots("other", "other", "other")


def found_in(entries: Sequence[Entry], wanted: Slots) -> Slots:
    """What fills the slots of these tracks: ``wanted``, but files where there are some.

    Raises ConfigError where a part of the tracks has files: the others would be shown something else.
    """
    return Slots(
        voice="other" if _filed(entries, "voice") else wanted.voice,
        face="other" if _filed(entries, "face") else wanted.face,
        scene="other" if _filed(entries, "scene") else wanted.scene,
    )


def _filed(entries: Sequence[Entry], kind: str) -> bool:
    there = [entry.file(kind, ".npy").exists() for entry in entries]
    if any(there) and not all(there):
        lacking = entries[there.index(False)].file(kind, ".npy")
        raise ConfigError(f"features of the {kind} for a part of the clips alone:", f"no {lacking}", "make it, too")
    return any(there)


def face_of(dataset: Dataset, entry: Entry, frames: int, fps: float, slots: Slots) -> Array:
    """(frames, 256), or (1, 256) where nobody looks at it. Raises ConfigError for features of another shape."""
    if slots.face == "other":
        return _read(entry, "face", (frames, VECTOR))
    if slots.face == "none":
        return np.zeros((1, VECTOR), np.float32)
    track = dataset.load(entry)
    times, wanted = np.arange(len(track.canonical)) / track.fps, np.arange(frames) / fps
    return face_features(faces_at(times, track.canonical, wanted), fps)


def scene_of(entry: Entry, slots: Slots) -> Array:
    """(256,). Raises ConfigError for features of another shape, or where the video is gone."""
    if slots.scene == "other":
        return _read(entry, "scene", (VECTOR,))
    if slots.scene == "none":
        return np.zeros(VECTOR, np.float32)
    return scene_features(np.stack([look_of(frame.image) for _, frame in islice(pictures(entry), 0, None, EACH)]))


def voice_of(entry: Entry) -> Array:
    """(256,) of another net. Raises ConfigError for features of another shape."""
    return _read(entry, "voice", (VECTOR,))


def voices_of(dataset: Dataset, entries: Sequence[Entry], mels: Sequence[Array], slots: Slots) -> dict[str, Array]:
    """Who speaks (256,) by speaker, of all clips of each: by the speaker net, or by their spectrograms' bands."""
    own: dict[str, list[int]] = {}
    for place, entry in enumerate(entries):
        own.setdefault(entry.speaker, []).append(place)
    if slots.voice == "bands":
        return {speaker: voice_vector([mels[k] for k in places]) for speaker, places in own.items()}
    net = own_speakers()
    heard = {
        speaker: [net.of(dataset.audio(entries[k]), PREPARED_RATE) for k in places] for speaker, places in own.items()
    }
    return {speaker: net_voice(vectors) for speaker, vectors in heard.items()}


def _read(entry: Entry, kind: str, shape: tuple[int, ...]) -> Array:
    path = entry.file(kind, ".npy")
    try:
        found = array_in(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"cannot read the features of the {kind}:", f"{path}: {reason(error)}", "prepare them again"
        ) from None
    if found.shape != shape:
        raise ConfigError(f"cannot use the features of the {kind}:", f"{path}: {found.shape}", f"make them {shape}")
    return np.asarray(found, np.float32)
