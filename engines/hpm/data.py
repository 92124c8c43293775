"""Reads clips of prepared folders: filmed and aligned tracks.

A prepared folder may have ``textgrid/NAME.TextGrid`` of the Montreal Forced Aligner, and ``face/NAME.npy`` (t, 256),
``scene/NAME.npy`` (256,) and ``voice/NAME.npy`` (256,) of other nets; ``slots.py`` has what stands for them.
``emotions.json`` says by track which of eight emotions it is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import soxr

from engines.common import Array
from engines.common.dataset import Dataset, Entry, usable
from engines.common.grid import Clip as Filmed
from engines.common.speech.inventory import CLASSES, SIL, UNKNOWN
from engines.hpm.clips import Clip
from engines.hpm.reading import moved
from engines.hpm.shapes import EMOTIONS, VECTOR
from engines.hpm.slots import PREPARED_RATE, Slots, face_of, scene_of, voice_of, voices_of
from engines.hpm.sound import LECTURES_SOUND, Sound
from engines.hpm.textgrid import labels_of
from realtime_dub.audio.frontends.voice_mel import VoiceMel
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.paths import reason
from realtime_dub.voice.hpm.features import lip_features
from realtime_dub.voice.hpm.phonemes import phonemes_of
from realtime_dub.voice.pitch import HIGHEST_HZ, LOWEST_HZ, pitch_track
from realtime_dub.voice.tts.script import language_of

PHONEMES = ("", *CLASSES)  # by number: the first is padding, and the blank of CTC
SILENT = PHONEMES.index(SIL)
INSTALL = 'run: pip install pyworld "setuptools<81"'
LABELS_HZ = 100
USUAL_HZ = 120.0  # of a clip in which no voice is
MOOD = 4.0  # what an emotion's place of a scene has, where no net has seen the scene


@dataclass(frozen=True)
class Reading:
    """How clips are read."""

    sound: Sound = field(default_factory=lambda: LECTURES_SOUND)
    slots: Slots = field(default_factory=Slots)
    pitch: Literal["own", "world"] = "own"  # who tracks it


def read_clips(dataset: Dataset, part: str, reading: Reading) -> list[Clip]:
    """The tracks with a face and phonemes, of one part. Raises ConfigError where there is none."""
    entries = learnt_from(dataset, part)
    clips = [read_clip(dataset, entry, reading) for entry in entries]
    if reading.slots.voice != "other":
        voices = voices_of(dataset, entries, [clip.mel for clip in clips], reading.slots)
        clips = [replace(clip, voice=voices[clip.speaker]) for clip in clips]
    moods = {root: emotions_in(root) for root in dataset.roots}
    return [with_mood(clip, moods[each.root].get(each.track)) for clip, each in zip(clips, entries, strict=True)]


def learnt_from(dataset: Dataset, part: str) -> list[Entry]:
    """The tracks of a part with a face and phonemes. Raises ConfigError where there is none."""
    trusted = {entry.name for entry in usable(dataset.entries)}
    own = [entry for entry in dataset.entries if entry.part == part and entry.filmed]
    entries = [entry for entry in own if entry.name in trusted or _aligned(entry).exists()]
    if not entries:
        what = f"{part} in {dataset}"
        raise ConfigError("no filmed and aligned tracks for", what, "prepare with --phones, or bring TextGrids")
    return entries


def read_clip(dataset: Dataset, entry: Entry, reading: Reading) -> Clip:
    """One track; whose voice it is comes later, of all of a speaker's, but for files of another net."""
    sound, slots = reading.sound, reading.slots
    filmed = dataset.clip(entry)
    audio = heard_at(filmed.audio, sound.played_rate)
    motion = motion_at(filmed, sound.fps)
    frames = min(len(motion), len(audio) // (sound.per_frame * sound.hop))
    audio = audio[: frames * sound.per_frame * sound.hop]
    front_end = VoiceMel(sound.spec)
    mel = np.concatenate([front_end.process(audio), front_end.finish()])
    phonemes, places = stretches(_labels(dataset, entry, len(mel), sound))
    if entry.text:
        heard, phonemes = phonemes, read_as(entry.text, entry.language)
        places = moved(places, heard, phonemes, SILENT)
    return Clip(
        entry.name,
        entry.speaker,
        phonemes,
        places,
        lip_features(motion[:frames], filmed.neutral),
        mel,
        through(tracked(audio, sound, reading.pitch)[: len(mel)]),
        np.log(np.exp(mel).sum(1) + 1e-3).astype(np.float32),
        face_of(dataset, entry, frames, sound.fps, slots),
        scene_of(entry, slots),
        voice_of(entry) if slots.voice == "other" else np.zeros(VECTOR, np.float32),
        (SILENT,),
        fps=sound.fps,
    )


def heard_at(audio: Array, rate: int) -> Array:
    """Sound (n,) of a prepared folder at another rate. Nothing is above 8 kHz, and nothing there is asked for."""
    return audio if rate == PREPARED_RATE else np.asarray(soxr.resample(audio, PREPARED_RATE, rate), np.float32)


def motion_at(filmed: Filmed, fps: float) -> Array:
    """How a filmed face moves (t, 168, 3) at another frame rate: straight lines between the frames."""
    motion = filmed.motion
    if fps == filmed.fps:
        return motion
    place = np.arange(int(len(motion) * fps / filmed.fps)) * filmed.fps / fps
    before = np.minimum(place.astype(int), len(motion) - 1)
    after, part = np.minimum(before + 1, len(motion) - 1), (place - before).astype(np.float32)[:, None, None]
    return np.asarray(motion[before] * (1 - part) + motion[after] * part, np.float32)


def tracked(audio: Array, sound: Sound, by: str) -> Array:
    """Hz of each mel frame, NaN where no voice is. Raises DependencyError for WORLD's where it is not installed."""
    if by == "own":
        return pitch_track(audio, sound.played_rate, sound.hop)
    try:
        import pyworld
    except ImportError as error:
        raise DependencyError("cannot track pitch with pitch = world without", "pyworld", INSTALL) from error
    wide, rate = audio.astype(np.float64), sound.played_rate
    about = {"f0_floor": LOWEST_HZ, "f0_ceil": HIGHEST_HZ, "frame_period": 1000 * sound.hop / rate}
    hz = pyworld.stonemask(wide, *pyworld.dio(wide, rate, **about), rate)
    return np.where(hz > 0, hz, np.nan)


def through(track: Array) -> Array:
    """Log Hz (n,) of a pitch in Hz: straight lines where it is NaN, held at both ends; a constant where all is."""
    places = np.flatnonzero(np.isfinite(track))
    if not len(places):
        return np.full(len(track), np.log(USUAL_HZ), np.float32)
    return np.interp(np.arange(len(track)), places, np.log(track[places])).astype(np.float32)


def _aligned(entry: Entry) -> Path:
    return entry.file("textgrid", ".TextGrid")


def _labels(dataset: Dataset, entry: Entry, frames: int, sound: Sound) -> Array:
    """Classes (frames,) of each mel frame: by a TextGrid where there is one, else by our aligner; UNKNOWN behind."""
    at = np.round(np.arange(frames) * sound.hop / sound.played_rate * LABELS_HZ).astype(int)
    path = _aligned(entry)
    labels = labels_of(path, int(at[-1]) + 1) if path.exists() else dataset.phones(entry)[1]
    return np.pad(labels, (0, max(0, int(at[-1]) + 1 - len(labels))), constant_values=UNKNOWN)[at]


def read_as(text: str, language: str) -> Array:
    """Numbers (p,) of the phonemes of a script, as a voice in use is given them. Raises UserError."""
    names = phonemes_of(text, PHONEMES, language_of(text, language or None))
    return np.array([PHONEMES.index(name) for name in names])


def stretches(labels: Array) -> tuple[Array, Array]:
    """The numbers (p,) of the phonemes of labels (n,), one for each stretch; in which of them each label is (n,), -1
    for what is unknown.
    """
    known = labels != UNKNOWN
    own = labels[known].astype(np.int64)
    starts = np.diff(own, prepend=-1) != 0
    at = np.full(len(labels), -1)
    at[known] = np.cumsum(starts) - 1
    return own[starts] + 1, at


def with_mood(clip: Clip, emotion: int | None) -> Clip:
    """A clip of which somebody has said how it is spoken. Where no net has seen its scene, that is what it is shown."""
    if emotion is None:
        return clip
    scene = clip.scene if clip.scene.any() else MOOD * np.eye(VECTOR, dtype=np.float32)[emotion]
    return replace(clip, emotion=emotion, scene=scene)


def emotions_in(folder: Path) -> dict[str, int]:
    """By name of a clip, from ``emotions.json``: numbers, as V2C has them, or names. Raises ConfigError."""
    path = folder / "emotions.json"
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text("utf-8"))
        return {
            str(name): EMOTIONS.index(each) if isinstance(each, str) else _number(each) for name, each in told.items()
        }
    except OSError as error:
        raise ConfigError("cannot read", f"{path}: {reason(error)}", "make it again") from None
    except (ValueError, TypeError, AttributeError, RecursionError):
        do = f"give each clip one of {', '.join(EMOTIONS)}, or its number"
        raise ConfigError("cannot use", f"{path}: it does not say emotions by clip", do) from None


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < len(EMOTIONS):
        raise ValueError
    return value
