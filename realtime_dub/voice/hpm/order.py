"""What is to be said, by whom, and with which networks: a TOML file. Paths in it are from its own folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from realtime_dub.audio.frontends.voice_mel import VoiceMel, VoiceMelSpec
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.inference.spec import SpeechSpec
from realtime_dub.media import Floats
from realtime_dub.paths import read_plain, reason
from realtime_dub.stored import array_in
from realtime_dub.validation import first_problem
from realtime_dub.voice.hpm.features import net_voice, voice_vector
from realtime_dub.voice.hpm.speaking import MelMaker
from realtime_dub.voice.sample import sample_of
from realtime_dub.voice.speaker import own_speakers
from realtime_dub.voice.tts.script import lines_of, read_script

MOST_ORDER, MOST_FEATURES = 1_000_000, 512_000_000  # bytes
EXAMPLE = 'write a file with bundle = "DIR" and script = "line.txt", and give from-video:hpm:FILE'


class Order(BaseModel):
    """The file. Times are of the film."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path  # of task speech
    vocoder: str | None = None  # griffin-lim, world, or a bundle's folder; else the usual one (vocoders.py)
    script: Path | None = None  # a text file,
    text: str | None = None  # or the text itself,
    phonemes: str | None = None  # or the bundle's own names, parted by spaces
    language: str = "en-us"  # as espeak-ng calls it
    speaker: Path | None = None  # a sound of who is to speak, or a vector (256,) as .npy; else the bundle's
    lips: Path | None = None  # .npy (frames, features) of another net from start_s on; our own tracker's without
    face: Path | None = None  # .npy (frames, 256): valence and arousal
    scene: Path | None = None  # .npy (256,): the mood is heard from it
    emotion: str | None = None  # by name, where the bundle has learnt some; in place of face and scene
    pitch: float = Field(1.0, gt=0, le=4)
    energy: float = Field(1.0, gt=0, le=4)
    start_s: float = Field(0.0, ge=0)
    seconds: float = Field(10.0, gt=0, le=60)


def read_order(path: str) -> tuple[Order, Path]:
    """The file and its folder. Raises ConfigError."""
    if not path:
        raise ConfigError("no bundle to speak with:", "from-video:hpm", EXAMPLE)
    try:
        order = Order(**tomllib.loads(read_plain(Path(path), MOST_ORDER).decode("utf-8")))
    except ValidationError as error:  # a ValueError, too
        problem = first_problem(error)
        raise ConfigError("cannot use", f"{problem.where} in {path}: {problem.what}", EXAMPLE) from None
    except (OSError, ValueError) as error:
        raise ConfigError("cannot read", f"{path}: {reason(error)}", EXAMPLE) from None
    except RecursionError:
        raise ConfigError("cannot read", f"{path}: it is nested too deep", EXAMPLE) from None
    if sum(each is not None for each in (order.script, order.text, order.phonemes)) != 1:
        raise ConfigError("cannot use", path, "give one of script, text and phonemes")
    if order.emotion is not None and (order.face or order.scene):
        raise ConfigError("cannot use", f"emotion in {path} beside face and scene", "give the emotion or the features")
    return order, Path(path).parent


def text_of(order: Order, folder: Path) -> str:
    """What is written, its lines as one. Raises UserError."""
    lines = lines_of(order.text or "", "text") if order.script is None else read_script(folder / order.script)
    return " ".join(line.text for line in lines)


def features(path: Path) -> Floats:
    """A ``.npy``. Raises ConfigError."""
    try:
        found = array_in(read_plain(path, MOST_FEATURES))
    except (OSError, ValueError) as error:
        raise ConfigError("cannot read", f"the features {path}: {reason(error)}", "give a .npy of numbers") from None
    if not found.ndim or found.dtype.kind not in "fiu" or not np.isfinite(found).all():
        raise ConfigError("cannot use", f"the features {path}: they are no finite numbers", "make them again")
    return np.asarray(found, np.float32)


def speaker_of(path: Path | None, maker: MelMaker) -> Floats:
    """Who speaks (256,). Raises UserError."""
    if path is None:
        return maker.usual
    if path.suffix.lower() == ".npy":
        return features(path)
    sample, rate = sample_of(path)
    return maker.usual if sample is None else speaker_in(sample, rate, maker.spec)


def speaker_in(sample: Floats, rate: int, spec: SpeechSpec) -> Floats:
    """Who speaks (256,) in sound (n,), as the network has learnt it.

    Raises MediaError where that is too short, ConfigError for a network that was told by another program's net.
    """
    if spec.voice == "other":
        raise ConfigError(
            "cannot hear a voice for", f"{spec.name}: it knows vectors of another net", "give a .npy of it"
        )
    if spec.voice == "net":
        return net_voice([own_speakers().of(sample, rate)])
    resampler = StreamResampler(rate, spec.rate, 1)
    there = np.concatenate([resampler.process(sample[:, None]), resampler.flush()])[:, 0]
    if len(there) < spec.rate // 2:
        what = f"a sample of {len(there) / spec.rate:.1f} s"
        raise MediaError("cannot hear who speaks in", what, "give a second or more")
    front_end = VoiceMel(VoiceMelSpec(rate=spec.rate, window=spec.window, hop=spec.hop))
    return voice_vector([np.concatenate([front_end.process(there), front_end.finish()])])
