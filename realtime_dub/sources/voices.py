"""Which voice a ``--mic`` means."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from realtime_dub.audio.device_contract import SoundHost
from realtime_dub.audio.sound_host import describe, find_device, system_host
from realtime_dub.clock import Clock
from realtime_dub.errors import ConfigError, DependencyError, DeviceError, MediaError
from realtime_dub.imports import resolve
from realtime_dub.paths import is_missing, is_number
from realtime_dub.sources.base import VoiceSource

if TYPE_CHECKING:
    from realtime_dub.sources.pcm_stdin import PcmFormat
    from realtime_dub.sources.stream_choice import SoundChoice

# A new kind of voice is one file and one line here; modules are imported when used.
VOICES = {
    "microphone": "realtime_dub.sources.microphone:MicrophoneSource",
    "file": "realtime_dub.sources.audio_file:AudioFileSource",
    "standard input": "realtime_dub.sources.standard_input:StandardInput",
    "demo": "realtime_dub.sources.demo_voice:DemoVoiceSource",
    "paced": "realtime_dub.sources.paced_voice:PacedVoice",
}

NO_MICROPHONE = "use a file with the voice, or demo"


def open_voice(
    spec: str,
    *,
    clock: Clock,
    video_path: str | None,
    live: bool,
    loop: bool = False,
    pcm: PcmFormat | None = None,
    start_ns: int | None = None,
    host: SoundHost | None = None,
    choice: SoundChoice | None = None,
) -> VoiceSource:
    """The voice ``spec`` means, still to be opened: ``demo``, ``video``, ``-``, a file, or a microphone by ``default``,
    index, name or part of a name.

    ``choice``: which of several sounds of a file. ``live``: on the pipeline's clock, files paced from ``start_ns`` on;
    else pulled, from 0. Raises DeviceError for what is neither file nor microphone, ConfigError for a voice that cannot
    be had that way.
    """
    source: VoiceSource
    chosen = () if choice is None else (choice,)
    if chosen and spec not in ("video", "-") and not _is_file(spec):
        raise ConfigError("--audio-stream and --language need", f"a file with audio, not {spec!r}", "leave them out")
    if spec == "-":
        if pcm is None:
            do = "give rate, channels and format"
            raise ConfigError("cannot read raw audio of unknown shape on", "standard input", do)
        source = _make("standard input", sys.stdin.buffer, pcm, clock if live else None, choice)
        return source
    if spec == "demo":
        source = _make("demo", loop)
    elif spec == "video":
        if video_path is None:
            raise ConfigError("--mic video needs", "a video file as the camera", "name an audio file or a microphone")
        source = _make("file", video_path, loop, *chosen, do="give the voice with --mic")
    elif _is_file(spec):
        source = _make("file", spec, loop, *chosen)
    else:
        return _microphone(spec, clock, live, host)
    return _paced(source, clock, start_ns) if live else source


def is_microphone(spec: str) -> bool:
    """What :func:`open_voice` takes for a sound device."""
    return spec not in ("-", "demo", "video") and not _is_file(spec)


def list_microphones(host: SoundHost | None = None) -> list[str]:
    """Their names, the default one first. Raises DependencyError."""
    return [device.name for device in (host or system_host()).devices("input")]


def list_speakers(host: SoundHost | None = None) -> list[str]:
    """Their names, the default one first. Raises DependencyError."""
    return [device.name for device in (host or system_host()).devices("output")]


def _make(kind: str, *arguments: object, **options: object) -> Any:
    return resolve(VOICES[kind])(*arguments, **options)


def _paced(source: VoiceSource, clock: Clock, start_ns: int | None) -> VoiceSource:
    paced: VoiceSource = _make("paced", source, clock, start_ns)
    return paced


def _is_file(spec: str) -> bool:
    return not is_number(spec) and not is_missing(spec)


def _is_connected(spec: str, host: SoundHost | None) -> bool:
    try:
        find_device(host or system_host(), spec, "input")
    except (DeviceError, DependencyError):
        return False
    return True


def _microphone(spec: str, clock: Clock, live: bool, host: SoundHost | None) -> VoiceSource:
    is_device = spec == "default" or is_number(spec)
    if not live:
        if is_device or _is_connected(spec, host):
            raise ConfigError("cannot dub a file with", f"the live microphone {spec!r}", "name a file with the voice")
        raise MediaError("no such file:", repr(spec), "name a file with the voice")
    host = host or system_host()
    try:
        find_device(host, spec, "input")
    except DeviceError as error:
        devices = host.devices("input")
        do = describe(devices, "input") if devices else f"{NO_MICROPHONE}, or connect one: this machine shows none"
        if is_device:
            raise DeviceError("no microphone", repr(spec), do) from error
        raise DeviceError("no file or microphone is called", repr(spec), f"check the name, or {do}") from error
    source: VoiceSource = _make("microphone", spec, clock, host)
    return source
