"""What the loops are put together from: names, imported when used, so that the command line stays light."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from realtime_dub import mouth
from realtime_dub.config import FileConfig, LiveConfig
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import Image, Samples
from realtime_dub.mouth.contract import MouthGenerator, MouthPatch

PARTS = {
    "video": "realtime_dub.sources.registry:open_video",
    "kind of video": "realtime_dub.sources.registry:kind_of",
    "pcm": "realtime_dub.sources.pcm_stdin:PcmFormat",
    "extras": "realtime_dub.sources.extras:FilmExtras",
    "sound choice": "realtime_dub.sources.stream_choice:SoundChoice",
    "voice": "realtime_dub.sources.voices:open_voice",
    "paced video": "realtime_dub.sources.paced:PacedVideo",
    "paced voice": "realtime_dub.sources.paced_voice:PacedVoice",
    "publisher": "realtime_dub.publishers.registry:open_publisher",
    "file of an output": "realtime_dub.publishers.registry:file_of",
    "default publisher": "realtime_dub.publishers.registry:default_publisher",
    "speaker": "realtime_dub.publishers.speaker:SpeakerPublisher",
    "tracker": "realtime_dub.face.tracker:MediaPipeTracker",
    "compositor": "realtime_dub.blend.composite:Compositor",
    "pictures": "realtime_dub.mouth.proof:Pictures",
    "mono mixer": "realtime_dub.audio.mono:MonoMixer",
    "resampler": "realtime_dub.audio.resample:StreamResampler",
    "longest look-ahead": "realtime_dub.mouth.bundle:longest_look_ahead",
    "contact sheet": "realtime_dub.contact_sheet:ContactSheet",
}


class Compositor(Protocol):
    """Puts a mouth into a frame."""

    def compose(self, tracked: TrackedFrame, patch: MouthPatch, weight: float) -> Image:
        """A new image; ``patch`` is carried over where the pose changed. ``weight`` 0..1."""


class Resampler(Protocol):
    """Sound at another rate, in pieces."""

    def process(self, samples: Samples) -> Samples:
        """(n, channels) -> (m, channels), m as far as it can be known yet."""


class ContactSheet(Protocol):
    """Source, mouth and result side by side."""

    def add(self, source: Image, face: Any, result: Image, seq: int) -> None: ...

    def write(self) -> bool: ...


def part(name: str) -> Any:
    """The class or function ``name`` of PARTS."""
    module, attribute = PARTS[name].split(":")
    return getattr(import_module(module), attribute)


def make_generator(config: LiveConfig | FileConfig) -> MouthGenerator:
    return mouth.create(
        config.engine,
        bundle=config.bundle,
        identity=config.identity,
        strength=None if config.strength == 1 else config.strength,
        look_ahead_ms=_look_ahead_of(config),
    )


def _look_ahead_of(config: LiveConfig | FileConfig) -> int | None:
    """What was asked for; else a live mouth waits for the usual time, and a file's as long as there is a net for."""
    if config.look_ahead is not None or config.bundle is not None or isinstance(config, LiveConfig):
        return config.look_ahead
    longest: int | None = part("longest look-ahead")(config.engine)
    return longest


def make_tracker(config: LiveConfig | FileConfig) -> FaceTracker:
    tracker: FaceTracker = part("tracker")(config.face, at_once=isinstance(config, FileConfig))
    return tracker


def make_compositor() -> Compositor:
    compositor: Compositor = part("compositor")()
    return compositor


def make_sheet(config: LiveConfig | FileConfig) -> ContactSheet | None:
    return part("contact sheet")(config.contact_sheet) if config.contact_sheet else None


def film_of(config: LiveConfig | FileConfig) -> dict[str, Any]:
    """How the picture is to be read: what is behind it, which of several."""
    return {"background": config.background_bgr, "stream": config.video_stream}


def sound_of(config: LiveConfig | FileConfig) -> dict[str, Any]:
    """Which of several sounds of a file was asked for. Raises ConfigError."""
    if config.audio_stream is None and config.language is None:
        return {}
    if config.audio_stream is not None and config.language is not None:
        raise ConfigError("cannot choose a sound by", "--audio-stream and --language", "give one of them")
    return {"choice": part("sound choice")(config.audio_stream, config.language)}


def pcm_of(config: LiveConfig | FileConfig) -> Any:
    """The shape of raw sound on standard input, or None where the voice is another."""
    if config.mic != "-":
        return None
    return part("pcm")(config.pcm_rate, config.pcm_channels, config.pcm_format)
