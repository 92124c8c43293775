"""What the network learns from: filmed and aligned tracks, each as phonemes, lips, prosody and a spectrogram.

A prepared folder may have ``face/NAME.npy`` (t, 256), ``scene/NAME.npy`` (256,) and ``voice/NAME.npy`` (256,) of other
nets; without them face and scene are zeros, and who speaks is told by the mean and the spread of the bands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engines.common import Array
from engines.common.dataset import Dataset, Entry
from engines.common.speech.inventory import CLASSES, UNKNOWN
from engines.hpm.losses import Wanted
from engines.hpm.network import Given
from engines.hpm.shapes import UPSAMPLING, VECTOR
from realtime_dub.audio.frontends.voice_mel import AT_16K, VoiceMel
from realtime_dub.errors import ConfigError
from realtime_dub.voice.hpm.features import lip_features, voice_vector

PHONEMES = ("", *CLASSES)  # by number: the first is padding, and the blank of CTC
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
    lips: Array  # (t, features)
    mel: Array  # (4t, 80)
    pitch: Array  # (4t,) log Hz, through where nothing is voiced
    energy: Array  # (4t,) log
    face: Array  # (t, 256)
    scene: Array  # (256,)
    voice: Array  # (256,)


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of pitch and energy over the training clips."""

    pitch: tuple[float, float]
    energy: tuple[float, float]


def read_clips(dataset: Dataset, part: str) -> list[Clip]:
    """The tracks with a face and phonemes. Raises ConfigError where there is none."""
    entries = [entry for entry in dataset.spoken(part) if entry.filmed]
    if not entries:
        raise ConfigError("no filmed and aligned tracks for", f"{part} in {dataset}", "prepare with --phones")
    return with_voices([read_clip(dataset, entry) for entry in entries], entries)


def read_clip(dataset: Dataset, entry: Entry) -> Clip:
    """One track; whose voice it is comes later, of all of a speaker's."""
    filmed, (_, labels) = dataset.clip(entry), dataset.phones(entry)
    frames = min(len(filmed.motion), len(filmed.audio) // (UPSAMPLING * AT_16K.hop))
    audio = filmed.audio[: frames * UPSAMPLING * AT_16K.hop]
    front_end = VoiceMel(AT_16K)
    mel = np.concatenate([front_end.process(audio), front_end.finish()])
    return Clip(
        entry.name,
        entry.speaker,
        sequence(labels),
        lip_features(filmed.motion[:frames], filmed.neutral),
        mel,
        pitch_of(audio, len(mel)),
        np.log(np.exp(mel).sum(1) + 1e-3).astype(np.float32),
        _slot(entry, "face", (frames, VECTOR)),
        _slot(entry, "scene", (VECTOR,)),
        _slot(entry, "voice", (VECTOR,)),
    )


def sequence(labels: Array) -> Array:
    """Numbers of the phonemes of labels (n,) every 10 ms, one for each stretch; what is unknown is left out."""
    known = labels[labels != UNKNOWN].astype(np.int64)
    starts = np.flatnonzero(np.diff(known, prepend=-1))
    return np.asarray(known[starts] + 1)


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
    given = Given(
        rows["phonemes"],
        rows["lips"],
        rows["face"],
        rows["voice"],
        rows["scene"],
        torch.arange(int(phonemes.max()))[None] >= phonemes[:, None],
        torch.arange(int(frames.max()))[None] >= frames[:, None],
    )
    return given, Wanted(rows["mel"], rows["pitch"], rows["energy"], frames, phonemes)


def _padded(rows: Sequence[Array]) -> Tensor:
    return torch.nn.utils.rnn.pad_sequence([torch.from_numpy(row) for row in rows], batch_first=True)


def _slot(entry: Entry, kind: str, shape: tuple[int, ...]) -> Array:
    """What another net has written of a track, else zeros. Raises ConfigError for another shape."""
    path = entry.file(kind, ".npy")
    if not path.exists():
        return np.zeros(shape, np.float32)
    found = np.load(path, allow_pickle=False)
    if found.shape != shape:
        raise ConfigError(f"cannot use the features of the {kind}:", f"{path}: {found.shape}", f"make them {shape}")
    return np.asarray(found, np.float32)
