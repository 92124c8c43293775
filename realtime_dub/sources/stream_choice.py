"""Which of a file's pictures and sounds is meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from av.stream import Disposition

from realtime_dub.errors import MediaError

NEEDS_SOUND = "choose a file with audio"
COVER = Disposition.attached_pic | Disposition.timed_thumbnails
# ISO 639: two letters, and the three of each that files carry.
LANGUAGES = {
    **{"ar": "ara", "bg": "bul", "ca": "cat", "cs": "cze ces", "da": "dan", "de": "ger deu", "el": "gre ell"},
    **{"en": "eng", "es": "spa", "et": "est", "fa": "per fas", "fi": "fin", "fr": "fre fra", "he": "heb"},
    **{"hi": "hin", "hr": "hrv", "hu": "hun", "id": "ind", "it": "ita", "ja": "jpn", "ko": "kor", "lt": "lit"},
    **{"lv": "lav", "nl": "dut nld", "no": "nor nob", "pl": "pol", "pt": "por", "ro": "rum ron", "ru": "rus"},
    **{"sk": "slo slk", "sl": "slv", "sr": "srp", "sv": "swe", "th": "tha", "tr": "tur", "uk": "ukr"},
    **{"vi": "vie", "zh": "chi zho"},
}


@dataclass(frozen=True, slots=True)
class SoundChoice:
    """Which sound of a file: its number, from 1, or its language (``eng``, ``en``); else the one marked as default."""

    number: int | None = None
    language: str | None = None


def films(container: Any) -> list[Any]:
    """The video streams that are no cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & COVER]


def choose_film(container: Any, number: int | None, shown: str) -> Any:
    """The video stream of that number, from 1, else the one marked as default, else the first. Raises MediaError."""
    found = films(container)
    if not found:
        raise MediaError("no video in", shown, "choose a file or address with video")
    return _marked(found) if number is None else _numbered(found, number, "video stream", shown)


def choose_sound(container: Any, choice: SoundChoice, shown: str, do: str = NEEDS_SOUND) -> Any:
    """The sound that is meant. Raises MediaError, with a list of those there are; with ``do`` where there is none."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    found = [stream for stream in known if stream.codec_context.sample_rate > 0]
    if not found:
        raise MediaError("no audio in", shown, do)
    if choice.number is not None:
        return _numbered(found, choice.number, "audio stream", shown)
    if choice.language is None:
        return _marked(found)
    spoken = [stream for stream in found if _same(choice.language, stream.language)]
    if not spoken:
        raise MediaError(f"no audio in the language {choice.language!r} in", shown, _choices(found))
    return _marked(spoken)


def _marked(streams: Sequence[Any]) -> Any:
    return next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])


def _numbered(streams: Sequence[Any], number: int, kind: str, shown: str) -> Any:
    if not 1 <= number <= len(streams):
        raise MediaError(f"no {kind} {number} in", shown, _choices(streams))
    return streams[number - 1]


def _choices(streams: Sequence[Any]) -> str:
    return f"choose one of {', '.join(f'{number} ({_told(each)})' for number, each in enumerate(streams, 1))}"


def _told(stream: Any) -> str:
    """Such as: eng, commentary, aac, 48000 Hz, stereo."""
    context, title = stream.codec_context, stream.metadata.get("title")
    if stream.type == "video":
        shape = [f"{context.width}x{context.height}"]
    else:
        shape = [f"{context.sample_rate} Hz", context.layout.name]
    return ", ".join(part for part in (stream.language, title, context.name, *shape) if part and part != "und")


def _same(wanted: str, tagged: str | None) -> bool:
    return bool(tagged) and not _codes(wanted).isdisjoint(_codes(str(tagged)))


def _codes(language: str) -> set[str]:
    """Every way to write a language: ``en-GB`` is ``en`` and ``eng``."""
    code = language.lower().replace("_", "-").partition("-")[0]
    family = next((f"{two} {three}".split() for two, three in LANGUAGES.items() if code in (two, *three.split())), [])
    return {code, *family}
