"""Runs the two networks of a voice: what is read and seen to a mel spectrogram, and that to samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.spec import SpeechSpec, VocoderSpec, mel_per_frame
from realtime_dub.media import Floats
from realtime_dub.voice.hpm.features import Doubles, faces_at, lips_of
from realtime_dub.voice.hpm.rules import face_features, scene_features

VECTOR = 256


@dataclass(frozen=True, eq=False)
class Seen:
    """What a clip of ``t`` video frames shows, 25 per second, and who is to speak."""

    lips: Floats  # (t, features)
    speaker: Floats  # (256,)
    face: Floats | None = None  # (t, 256) valence and arousal; zeros without
    scene: Floats | None = None  # (256,); zeros without


def shown(
    spec: SpeechSpec, times_s: Doubles, faces: Floats, wanted_s: Doubles, speaker: Floats, looks: Floats | None
) -> Seen:
    """What a network is shown of faces (n, 478, 3) at times (n,), at its own ones (t,), and of the whole frames' looks:
    lips always, the face and the scene by rule where that is what it has learnt from.
    """
    canonical = faces_at(times_s, faces, wanted_s)
    face = face_features(canonical, spec.frame_rate) if spec.face == "rule" else None
    scene = scene_features(looks) if spec.scene == "rule" and looks is not None and len(looks) else None
    return Seen(lips_of(canonical), speaker, face, scene)


def in_mood(seen: Seen, mood: tuple[Floats, Floats]) -> Seen:
    """The same with the scene and the face (256,) of an emotion in every frame: see :meth:`MelMaker.mood`."""
    scene, face = mood
    return replace(seen, scene=scene, face=np.repeat(face[None], len(seen.lips), 0))


class MelMaker:
    """A bundle of task ``speech``. Raises BundleError for another one."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        if not isinstance(bundle.spec, SpeechSpec):
            raise BundleError(
                "not a speech bundle", bundle.spec.name, "choose one that turns phonemes into a spectrogram"
            )
        self.spec = bundle.spec
        self._session = bundle.session(backend)
        self.lips = _last(self.spec, "lips")  # features of a frame
        self.per_frame = mel_per_frame(self.spec.rate, self.spec.hop, self.spec.frame_rate)

    @property
    def played_rate(self) -> float:
        """Hz at which samples of it last as long as the frames: 22 000 for 22 050 in hops of 220, else its rate."""
        return self.per_frame * self.spec.frame_rate * self.spec.hop

    @property
    def usual(self) -> Floats:
        """Who speaks (256,) where nobody is chosen."""
        return np.array(self.spec.speaker or np.zeros(VECTOR), np.float32)

    def mood(self, name: str) -> tuple[Floats, Floats]:
        """What scene and face (256,) have for an emotion. Raises ConfigError for one that it has not learnt."""
        found = {each.name: each for each in self.spec.moods}
        if name not in found:
            do = f"choose one of {', '.join(found)}" if found else "leave it out: it has learnt none"
            raise ConfigError("no emotion", f"{name!r} in the voice {self.spec.name}", do)
        scene, face = found[name].scene, found[name].face
        if len(scene) != VECTOR or len(face) != VECTOR:
            raise BundleError("damaged bundle", f"{self.spec.name}: its emotion {name} is none", "fetch it again")
        return np.array(scene, np.float32), np.array(face, np.float32)

    def numbers(self, phonemes: list[str]) -> list[int]:
        """By name. Raises ConfigError for one that the network has not learnt."""
        known = {name: number for number, name in enumerate(self.spec.phonemes)}
        if unknown := [each for each in phonemes if each not in known]:
            raise ConfigError("cannot speak phoneme", repr(unknown[0]), f"this voice knows {len(known)} others")
        return [known[each] for each in phonemes]

    def mel(self, phonemes: list[int], seen: Seen, pitch: float = 1.0, energy: float = 1.0) -> Floats:
        """(t * per_frame, bands). Raises ConfigError for nothing, too many frames, features of other sizes."""
        self._check(phonemes, seen)
        frames = len(seen.lips)
        face = np.zeros((frames, VECTOR)) if seen.face is None else seen.face
        scene = np.zeros(VECTOR) if seen.scene is None else seen.scene
        feeds = {
            "phonemes": np.asarray(phonemes),
            "lips": seen.lips,
            "face": face,
            "speaker": seen.speaker,
            "scene": scene,
            "scales": np.array([pitch, energy]),
        }
        mel = self._run(feeds)
        if mel.shape[0] != frames * self.per_frame or not np.isfinite(mel).all():
            raise BundleError("cannot use", f"{self.spec.name}: its spectrogram is none", "fetch it again")
        return mel

    def trial(self) -> Floats:
        """The spectrogram of two phonemes on four still frames."""
        return self.mel([1, 2], Seen(np.zeros((4, self.lips), np.float32), np.zeros(VECTOR, np.float32)))

    def _run(self, feeds: Mapping[str, npt.NDArray[Any]]) -> Floats:
        found = self._session.run({name: np.asarray(each, np.float32)[None] for name, each in feeds.items()})
        return np.asarray(found["mel"][0], np.float32)

    def _check(self, phonemes: list[int], seen: Seen) -> None:
        frames, most = len(seen.lips), self.spec.most_frames
        if not phonemes or not frames:
            raise ConfigError("nothing to speak:", f"{len(phonemes)} phonemes, {frames} frames", "give both")
        for count, what in ((frames, "frames"), (len(phonemes), "phonemes")):
            if count > most:
                raise ConfigError("cannot speak over", f"{count} {what} at once", f"give at most {most}")
        wanted = {"lips": (frames, self.lips), "face": (frames, VECTOR), "speaker": (VECTOR,), "scene": (VECTOR,)}
        for name, shape in wanted.items():
            values = getattr(seen, name)
            if values is not None and values.shape != shape:
                raise ConfigError(f"cannot use the features of the {name}:", f"{values.shape}", f"give {shape}")


class SoundMaker(Protocol):
    """What makes sound of a spectrogram (``vocoders.py``)."""

    def sound(self, mel: Floats) -> Floats:
        """Samples (n * hop,) in -1..1 of frames (n, bands)."""


class Vocoder:
    """A bundle of task ``vocoder``. Raises BundleError for another one."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        if not isinstance(bundle.spec, VocoderSpec):
            raise BundleError("not a vocoder", bundle.spec.name, "choose a bundle that turns a spectrogram into sound")
        self.spec = bundle.spec
        self._session = bundle.session(backend)
        self._bands = _last(self.spec, "mel")

    def sound(self, mel: Floats) -> Floats:
        """Samples (n * hop,) of frames (n, bands). Raises BundleError where the network gives something else."""
        made = np.asarray(self._session.run({"mel": np.asarray(mel, np.float32)[None]})["audio"][0], np.float32)
        if made.shape != (len(mel) * self.spec.hop,) or not np.isfinite(made).all():
            raise BundleError("cannot use", f"{self.spec.name}: its sound is none", "fetch it again")
        return made

    def trial(self) -> Floats:
        """The sound of silence."""
        return self.sound(np.full((8, self._bands), -11.5, np.float32))


def check_fits(vocoder: Vocoder, spec: SpeechSpec) -> None:
    """Raises BundleError where the two networks are for other sounds."""
    if (vocoder.spec.rate, vocoder.spec.hop) != (spec.rate, spec.hop):
        what = f"{vocoder.spec.name}: {vocoder.spec.rate} Hz in hops of {vocoder.spec.hop}"
        raise BundleError("cannot use", what, f"give a vocoder for {spec.rate} Hz in hops of {spec.hop}")


def _last(spec: SpeechSpec | VocoderSpec, name: str) -> int:
    """The features of an input. Raises BundleError where they are not said."""
    found = next((each.shape[-1] for each in spec.inputs if each.name == name and each.shape), None)
    if not isinstance(found, int):
        raise BundleError("cannot run bundle", f"{spec.name}: it does not say how large {name} is", "fetch it again")
    return found
