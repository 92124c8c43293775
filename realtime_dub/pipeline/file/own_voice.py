"""The sound of a film beside its frames, as the voice of the person in it."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing, nullcontext

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import MediaError
from realtime_dub.media import NS
from realtime_dub.mouth.contract import Hear
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.voice_feeder import AudioFeeder
from realtime_dub.sources.base import VoiceSource

_BREAK_NS = 5 * NS  # of frames, behind which the sound begins anew
_BEFORE_NS = 2 * NS  # as much a net has to have heard before it is as sure as in the middle of a film


class FilmVoice:
    """An open voice, heard as far as the frames have come. Time 0 is the film's."""

    def __init__(self, source: VoiceSource) -> None:
        self._source = source
        info = source.open()
        self._audio = PulledVoice(source, info.rate, info.channels)
        self._feeder: AudioFeeder | None = None

    def hear_until(self, until_ns: int, hear: Hear) -> None:
        """Let ``hear`` have what it has not had yet, as 16 kHz mono; silence behind the end.

        Where the frames went on elsewhere, what lies between is left out, but for a little.
        """
        if self._feeder is None:
            self._feeder = AudioFeeder(self._audio, hear, 0)
        elif until_ns - self._feeder.at_ns > _BREAK_NS:
            self._audio.pass_over(until_ns - _BEFORE_NS)
            self._feeder = AudioFeeder(self._audio, hear, until_ns - _BEFORE_NS)
        self._feeder.hear_until(until_ns)
        self._audio.forget(until_ns - NS)

    def close(self) -> None:
        self._source.close()


def film_voice(path: str) -> AbstractContextManager[FilmVoice | None]:
    """The film's own sound; None where it has none that can be read."""
    source = assembly.open_voice("video", clock=VirtualClock(), video_path=path, loop=False, live=False)
    try:
        return closing(FilmVoice(source))
    except MediaError:
        source.close()
        return nullcontext(None)
