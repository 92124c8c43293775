"""What is to be said, by whom, and with which networks: a TOML file. Paths in it are from its own folder."""

from __future__ import annotations

import tomllib
import wave
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.audio.frontends.voice_mel import VoiceMel, VoiceMelSpec
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.inference.spec import SpeechSpec
from realtime_dub.media import Floats
from realtime_dub.validation import first_problem
from realtime_dub.voice.hpm.features import VECTOR, voice_vector

EXAMPLE = 'write a file with bundle = "DIR" and script = "line.txt", and give from-video:hpm:FILE'
MOST_BYTES = 100_000  # of a script


class Order(BaseModel):
    """The file. Times are of the film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path  # of task speech
    vocoder: Path | None = None  # a bundle; Griffin and Lim without
    script: Path | None = None  # a text file,
    text: str | None = None  # or the text itself,
    phonemes: str | None = None  # or the bundle's own names, parted by spaces
    language: str = "en-us"  # as espeak-ng calls it
    speaker: Path | None = None  # a WAV of whoever is to speak, or a vector (256,) as .npy; nobody's voice without
    lips: Path | None = None  # .npy (frames, features) of another net from start_s on; our own tracker's without
    face: Path | None = None  # .npy (frames, 256): valence and arousal
    scene: Path | None = None  # .npy (256,): the mood is heard from it
    pitch: float = Field(1.0, gt=0, le=4)
    energy: float = Field(1.0, gt=0, le=4)
    start_s: float = Field(0.0, ge=0)
    seconds: float = Field(10.0, gt=0, le=60)


def read_order(path: str) -> tuple[Order, Path]:
    """The file and its folder. Raises ConfigError."""
    if not path:
        raise ConfigError("no bundle to speak with:", "from-video:hpm", EXAMPLE)
    try:
        order = Order(**tomllib.loads(Path(path).read_text("utf-8")))
    except OSError as error:
        raise ConfigError("cannot read", f"{path}: {error.strerror}", EXAMPLE) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("cannot read", f"{path}: {error}", EXAMPLE) from None
    except ValidationError as error:
        problem = first_problem(error)
        raise ConfigError("cannot use", f"{problem.where} in {path}: {problem.what}", EXAMPLE) from None
    if sum(each is not None for each in (order.script, order.text, order.phonemes)) != 1:
        raise ConfigError("cannot use", path, "give one of script, text and phonemes")
    return order, Path(path).parent


def text_of(order: Order, folder: Path) -> str:
    """What is written. Raises ConfigError."""
    if order.script is None:
        return order.text or ""
    path = folder / order.script
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise ConfigError("cannot read", f"the script {path}: {error.strerror}", "give a text file") from None
    except UnicodeDecodeError:
        raise ConfigError("cannot read", f"the script {path}: it is not UTF-8", "save it as UTF-8") from None


def features(path: Path) -> Floats:
    """A ``.npy``. Raises ConfigError."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError("cannot read", f"the features {path}: {error}", "give a .npy of numbers") from None
    array = isinstance(found, np.ndarray) and found.ndim > 0
    if not array or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise ConfigError("cannot use", f"the features {path}: they are no finite numbers", "make them again")
    return np.asarray(found, np.float32)


def speaker_of(path: Path | None, spec: SpeechSpec) -> Floats:
    """Who speaks (256,). Raises UserError."""
    if path is None:
        return np.zeros(VECTOR, np.float32)
    if path.suffix.lower() == ".npy":
        return features(path)
    sound, rate = _wav(path)
    resampler = StreamResampler(rate, spec.rate, 1)
    there = np.concatenate([resampler.process(sound[:, None]), resampler.flush()])[:, 0]
    if len(there) < spec.rate // 2:
        raise MediaError(
            "cannot hear who speaks in", f"{path}: {len(there) / spec.rate:.1f} s", "give a second or more"
        )
    front_end = VoiceMel(VoiceMelSpec(rate=spec.rate, window=spec.window, hop=spec.hop))
    return voice_vector([np.concatenate([front_end.process(there), front_end.finish()])])


def _wav(path: Path) -> tuple[Floats, int]:
    try:
        with wave.open(str(path)) as file:
            if file.getsampwidth() != 2:
                raise MediaError("cannot read", f"{path}: it has no samples of 16 bits", "save it so")
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
            return (samples.mean(1) / 32768).astype(np.float32), file.getframerate()
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise MediaError("cannot read", f"the speaker {path}: {error}", "give a WAV of 16 bits, or a .npy") from None
