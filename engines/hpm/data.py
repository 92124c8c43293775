"""What the network learns from: filmed and aligned tracks, each as phonemes, lips, prosody and a spectrogram.

A prepared folder may have ``textgrid/NAME.TextGrid`` of the Montreal Forced Aligner, and ``face/NAME.npy`` (t, 256),
``scene/NAME.npy`` (256,) and ``voice/NAME.npy`` (256,) of other nets; without them face and scene are zeros, and who
speaks is told by the mean and the spread of the bands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.dataset import Dataset, Entry, usable
from engines.common.speech.inventory import CLASSES, SIL, UNKNOWN
from engines.hpm.losses import Wanted
from engines.hpm.network import Given
from engines.hpm.reading import moved
from engines.hpm.shapes import UPSAMPLING, VECTOR
from engines.hpm.textgrid import labels_of
from realtime_dub.audio.frontends.voice_mel import AT_16K, VoiceMel
from realtime_dub.errors import ConfigError
from realtime_dub.voice.hpm.features import lip_features, voice_vector
from realtime_dub.voice.hpm.phonemes import phonemes_of
from realtime_dub.voice.tts.script import language_of

PHONEMES = ("", *CLASSES)  # by number: the first is padding, and the blank of CTC
SILENT = PHONEMES.index(SIL)
LEFT = 5  # frames of silence that a cut leaves
LOWEST_HZ, HIGHEST_HZ = 60, 400  # of a voice
ROWS = ("phonemes", "lips", "face", "voice", "scene", "mel", "pitch", "energy")  # of a batch
VOICED = 0.45  # of the peak of a frame's autocorrelation
PIECE = 1024  # samples that a pitch is found in


@dataclass(frozen=True, eq=False)
class Clip:
    """A track of ``t`` video frames. Pitch and energy are as measured until :func:`normalised`."""

    name: str
    speaker: str
    phonemes: Array  # (p,)
    places: Array  # (4t,) which of them is said in each 10 ms; -1 = unknown
    lips: Array  # (t, features)
    mel: Array  # (4t, 80)
    pitch: Array  # (4t,) log Hz, through where nothing is voiced
    energy: Array  # (4t,) log
    face: Array  # (t, 256), or (1, 256) where no net looked at it
    scene: Array  # (256,)
    voice: Array  # (256,)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of pitch and energy over the training clips."""

    pitch: tuple[float, float]
    energy: tuple[float, float]


def read_clips(dataset: Dataset, part: str) -> list[Clip]:
    """The tracks with a face and phonemes. Raises ConfigError where there is none."""
    trusted = {entry.name for entry in usable(dataset.entries)}
    own = [entry for entry in dataset.entries if entry.part == part and entry.filmed]
    entries = [entry for entry in own if entry.name in trusted or _aligned(entry).exists()]
    if not entries:
        what = f"{part} in {dataset}"
        raise ConfigError("no filmed and aligned tracks for", what, "prepare with --phones, or bring TextGrids")
    return with_voices([read_clip(dataset, entry) for entry in entries], entries)


def read_clip(dataset: Dataset, entry: Entry) -> Clip:
    """One track; whose voice it is comes later, of all of a speaker's."""
    filmed = dataset.clip(entry)
    frames = min(len(filmed.motion), len(filmed.audio) // (UPSAMPLING * AT_16K.hop))
    audio = filmed.audio[: frames * UPSAMPLING * AT_16K.hop]
    front_end = VoiceMel(AT_16K)
    mel = np.concatenate([front_end.process(audio), front_end.finish()])
    phonemes, at = stretches(_labels(dataset, entry, len(mel)))
    places = np.pad(at, (0, max(0, len(mel) - len(at))), constant_values=-1)[: len(mel)]
    if entry.text:
        heard, phonemes = phonemes, read_as(entry.text, entry.language)
        places = moved(places, heard, phonemes, SILENT)
    return Clip(
        entry.name,
        entry.speaker,
        phonemes,
        places,
        lip_features(filmed.motion[:frames], filmed.neutral),
        mel,
        pitch_of(audio, len(mel)),
        np.log(np.exp(mel).sum(1) + 1e-3).astype(np.float32),
        _slot(entry, "face", (frames, VECTOR), (1, VECTOR)),
        _slot(entry, "scene", (VECTOR,)),
        _slot(entry, "voice", (VECTOR,)),
    )


def _aligned(entry: Entry) -> Path:
    return entry.file("textgrid", ".TextGrid")


def _labels(dataset: Dataset, entry: Entry, count: int) -> Array:
    """Classes (n,) of each 10 ms: by a TextGrid where there is one, else by our aligner."""
    path = _aligned(entry)
    return labels_of(path, count) if path.exists() else dataset.phones(entry)[1]


def read_as(text: str, language: str) -> Array:
    """Numbers (p,) of the phonemes of a script, as a voice in use is given them. Raises UserError."""
    names = phonemes_of(text, PHONEMES, language_of(text, language or None))
    return np.array([PHONEMES.index(name) for name in names])


def stretches(labels: Array) -> tuple[Array, Array]:
    """The numbers (p,) of the phonemes of labels (n,) every 10 ms, one for each stretch; in which of them each label is
    (n,), -1 for what is unknown.
    """
    known = labels != UNKNOWN
    own = labels[known].astype(np.int64)
    starts = np.diff(own, prepend=-1) != 0
    at = np.full(len(labels), -1)
    at[known] = np.cumsum(starts) - 1
    return own[starts] + 1, at


def cut(clip: Clip, rng: np.random.Generator) -> Clip:
    """A clip without some of the silence at its ends, so that nothing is learnt of when speech begins in a clip."""
    spoken = np.flatnonzero((clip.places >= 0) & (clip.phonemes[clip.places] != SILENT))
    if not len(spoken):
        return clip
    start, stop = spoken[0] // UPSAMPLING, spoken[-1] // UPSAMPLING + 1
    before, behind = max(0, start - LEFT), max(0, len(clip.lips) - stop - LEFT)
    kept = rng.random(2) ** 3 * (before + 1, behind + 1)  # mostly little: silence is soon learnt
    first, end = before - int(kept[0]), len(clip.lips) - behind + int(kept[1])
    part, mel = slice(first, end), slice(first * UPSAMPLING, end * UPSAMPLING)
    of_mel = {name: getattr(clip, name)[mel] for name in ("places", "mel", "pitch", "energy")}
    face = clip.face[part] if len(clip.face) > 1 else clip.face
    return replace(clip, lips=clip.lips[part], face=face, **of_mel)


def pitch_of(audio: Array, frames: int) -> Array:
    """Log Hz (frames,) of a voice at 16 kHz: the highest peak of each piece's autocorrelation; lines in between.

    Before the first and behind the last voiced frame it stays as it is there; a constant where none is voiced.
    """
    padded = np.pad(audio, PIECE // 2)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, PIECE)[:: AT_16K.hop][:frames] * np.hanning(PIECE)
    found = _autocorrelation(pieces) / _autocorrelation(np.hanning(PIECE)[None])
    lags = np.arange(AT_16K.rate // HIGHEST_HZ, AT_16K.rate // LOWEST_HZ)
    peak = found[:, lags].argmax(1)
    voiced = (found[:, lags].max(1) > VOICED) & ((pieces**2).mean(1) > 1e-6)
    if not voiced.any():
        return np.full(frames, np.log(120.0), np.float32)
    hz = AT_16K.rate / lags[peak]
    places = np.flatnonzero(voiced)
    return np.interp(np.arange(frames), places, np.log(hz[places])).astype(np.float32)


def _autocorrelation(pieces: Array) -> Array:
    """(n, PIECE), 1 at lag 0."""
    power = np.abs(np.fft.rfft(pieces, 2 * PIECE)) ** 2
    found = np.fft.irfft(power)[:, :PIECE]
    return np.asarray(found / np.maximum(found[:, :1], 1e-9))


def with_voices(clips: list[Clip], entries: list[Entry]) -> list[Clip]:
    """Clips that say who speaks, where no file did."""
    by_speaker: dict[str, list[Array]] = defaultdict(list)
    for clip in clips:
        by_speaker[clip.speaker].append(clip.mel)
    vectors = {speaker: voice_vector(mels) for speaker, mels in by_speaker.items()}
    told = [entry.file("voice", ".npy").exists() for entry in entries]
    return [
        clip if known else replace(clip, voice=vectors[clip.speaker]) for clip, known in zip(clips, told, strict=True)
    ]


def scale_of(clips: Sequence[Clip]) -> Scale:
    found = {name: np.concatenate([getattr(clip, name) for clip in clips]) for name in ("pitch", "energy")}
    return Scale(**{name: (float(each.mean()), float(each.std()) or 1.0) for name, each in found.items()})


def normalised(clips: Sequence[Clip], scale: Scale) -> list[Clip]:
    """Clips with pitch and energy in standard deviations."""

    def put(values: Array, about: tuple[float, float]) -> Array:
        return np.asarray((values - about[0]) / about[1], np.float32)

    return [replace(clip, pitch=put(clip.pitch, scale.pitch), energy=put(clip.energy, scale.energy)) for clip in clips]


def batch_of(clips: Sequence[Clip]) -> tuple[Given, Wanted]:
    """Clips side by side, the shorter ones padded."""
    frames, phonemes = (torch.tensor([len(getattr(clip, name)) for clip in clips]) for name in ("lips", "phonemes"))
    rows = {name: _padded([getattr(clip, name) for clip in clips]) for name in ROWS}
    places = torch.nn.utils.rnn.pad_sequence([torch.from_numpy(clip.places) for clip in clips], True, -1)
    given = Given(
        rows["phonemes"],
        rows["lips"],
        rows["face"],
        rows["voice"],
        rows["scene"],
        torch.arange(int(phonemes.max()))[None] >= phonemes[:, None],
        torch.arange(int(frames.max()))[None] >= frames[:, None],
    )
    return given, Wanted(rows["mel"], rows["pitch"], rows["energy"], frames, phonemes, places=places)


def _padded(rows: Sequence[Array]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)


def _slot(entry: Entry, kind: str, shape: tuple[int, ...], without: tuple[int, ...] | None = None) -> Array:
    """What another net has written of a track, else zeros (``without``). Raises ConfigError for another shape."""
    path = entry.file(kind, ".npy")
    if not path.exists():
        return np.zeros(without or shape, np.float32)
    found = np.load(path, allow_pickle=False)
    if found.shape != shape:
        raise ConfigError(f"cannot use the features of the {kind}:", f"{path}: {found.shape}", f"make them {shape}")
    return np.asarray(found, np.float32)
