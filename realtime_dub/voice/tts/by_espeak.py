"""espeak-ng says it, through its library."""

from __future__ import annotations

from realtime_dub.errors import ConfigError
from realtime_dub.voice.contract import Wish
from realtime_dub.voice.espeak import NORMAL, Manner, Speech, espeak
from realtime_dub.voice.tts.pitch import manner_like
from realtime_dub.voice.tts.script import language_of


class ByEspeak:
    """A ``Program``."""

    title = "espeak-ng"

    def __init__(self, language: str | None, pitch: int, variant: str) -> None:
        """``language``: None = by each text's letters."""
        self._language, self._pitch, self._variant = language, pitch, variant
        self.rate = espeak().rate
        if language is not None:
            espeak().speak("", self._manner("", 1.0))

    def speak(self, text: str, speed: float) -> Speech:
        return espeak().speak(text, self._manner(text, speed))

    def close(self) -> None:
        """There is one library for the whole process."""

    def _manner(self, text: str, speed: float) -> Manner:
        return Manner(language_of(text, self._language), round(NORMAL * speed), self._pitch, self._variant)


def open_espeak(argument: str, wish: Wish) -> ByEspeak:
    """``argument``: a language. Raises DependencyError without espeak-ng, ConfigError for a language it has not."""
    if wish.speaker_id is not None:
        raise ConfigError("the voice tts takes no", "--speaker-id", "leave it out: espeak-ng has one speaker")
    pitch, variant = (50, "") if wish.sample is None else manner_like(wish.sample, wish.sample_rate)
    return ByEspeak(argument or wish.language, pitch, variant)
