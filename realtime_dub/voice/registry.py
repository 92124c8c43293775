"""Voices that are made of the picture. A new one is one file and one line here, or another package's entry point.

An entry point of the group ``realtime_dub.voices`` names what makes a ``VoiceFromVideo`` (``voice/contract.py``) of one
argument: the text behind its name, empty where there is none.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from realtime_dub.errors import ConfigError
from realtime_dub.imports import installed, resolve
from realtime_dub.voice.tts.programs import PROGRAMS

if TYPE_CHECKING:
    from realtime_dub.voice.contract import ScriptSpeaker, VoiceFromVideo

GROUP = "realtime_dub.voices"
PREFIX = "from-video:"
SCRIPTS = ("tts:", "script:")  # voices that read what is written: live, and for a film
VOICES: dict[str, str] = {"hpm": "realtime_dub.voice.hpm.room:HpmVoice"}
TTS = "tts"
SPEAKERS = {  # of scripts: a ScriptSpeaker each; those of PROGRAMS are said by the first
    TTS: "realtime_dub.voice.tts.film:speak",
    "hpm": "realtime_dub.voice.hpm.film:speak",
}
TRAINED = ("hpm", "piper")  # of those that say scripts: by a network


def names() -> list[str]:
    """Our own, then those of other packages."""
    return [*VOICES, *sorted(set(installed(GROUP)) - set(VOICES))]


def open_voice_from_video(spec: str) -> VoiceFromVideo:
    """The voice that ``from-video:NAME`` or ``from-video:NAME:ARGUMENT`` means, still to be opened.

    Raises ConfigError for a name that is none.
    """
    name, _, argument = spec.removeprefix(PREFIX).partition(":")
    points = installed(GROUP)
    make: Any
    if name in VOICES:
        make = resolve(VOICES[name])
    elif name in points:
        make = points[name].load()
    else:
        choices = f"choose one of {', '.join(names())}" if names() else "install a package that has one"
        raise ConfigError("no such voice from video:", repr(name), choices)
    voice: VoiceFromVideo = make(argument)
    return voice


def said_by(script: str) -> tuple[str, str]:
    """Who says the file of ``NAME:FILE`` or ``NAME:ARGUMENT:FILE``, and the file; espeak-ng where no name of ours is
    before it.
    """
    name, _, path = script.partition(":")
    if not path or name not in (*SPEAKERS, *PROGRAMS):
        return TTS, script
    argument, _, last = path.rpartition(":")
    return (f"{name}:{argument}", last) if argument and name in PROGRAMS else (name, path)


def script_speaker(name: str) -> ScriptSpeaker:
    """What says scripts under this name, which may be a program's with an argument: ``piper:VOICE.onnx``.

    Raises ConfigError for a name that is none.
    """
    program = name.partition(":")[0]
    if name not in SPEAKERS and program not in PROGRAMS:
        choices = ", ".join((*SPEAKERS, *PROGRAMS))
        raise ConfigError("no such voice for a script:", repr(name), f"choose one of {choices}")
    speak: Any = resolve(SPEAKERS.get(name, SPEAKERS[TTS]))
    found: ScriptSpeaker = partial(speak, by=name) if program in PROGRAMS else speak
    return found
