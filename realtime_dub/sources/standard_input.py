"""``--mic -``: raw samples on standard input, or a sound file of any kind that can be read from front to back."""

from __future__ import annotations

from typing import BinaryIO

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import AudioBlock, VoiceInfo
from realtime_dub.sources.pcm_stdin import PcmFormat, PcmSource
from realtime_dub.sources.piped import Pipe, PipedSound
from realtime_dub.sources.sniff import MORE, RAW
from realtime_dub.sources.stream_choice import SoundChoice

FIRST_S, THEN_S = 1.0, 0.5  # a live run waits so long to see what it is; a speech synthesiser may begin later


class StandardInput:
    """A file is known by its first bytes and says itself what it is; anything else is raw, in the given format.

    Both are paced alike. Live, where nothing has come a second after the start, what comes is given the raw samples'
    rate and channels, whatever it is: the outputs have begun.
    """

    def __init__(
        self, stream: BinaryIO, fmt: PcmFormat, clock: Clock | None = None, choice: SoundChoice | None = None
    ) -> None:
        self._stream, self._format, self._clock = stream, fmt, clock
        self._choice = choice or SoundChoice()
        self._pipe = Pipe(stream)
        self._sound: PipedSound | None = None
        self._source: PcmSource | None = None
        self._undecided = False
        self._late = ""

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read."""
        late = [self._late] if self._late else []
        return late + [note for each in (self._sound, self._source) if each is not None for note in each.notes]

    def open(self) -> VoiceInfo:
        """Wait for what comes first. Raises MediaError for nothing, and a file that no pipe can carry."""
        kind = self._pipe.peek() if self._clock is None else self._pipe.peek(FIRST_S, THEN_S)
        if kind == MORE and self._clock is None:
            raise MediaError("no audio came on", "standard input", "send raw samples or an audio file")
        self._undecided = kind == MORE
        if kind in (RAW, MORE):
            self._source = PcmSource(self._stream, self._format, self._clock)
            self._source.unread(self._pipe.head)
        else:
            self._source = self._source_of_file(kind, None)
        return self._source.open()

    def read(self) -> AudioBlock:
        if self._source is None:
            raise EndOfStream
        if self._undecided:
            self._source = self._decided(self._source)
        return self._source.read()

    def close(self) -> None:
        self._pipe.close()
        for each in (self._source, self._sound):
            if each is not None:
                each.close()

    def _decided(self, source: PcmSource) -> PcmSource:
        """What reads that which has come only now."""
        kind = self._pipe.peek(None, THEN_S)
        self._undecided = False
        if kind in (RAW, MORE):
            source.unread(self._pipe.head)
            return source
        rate, channels = shape = source.shape
        source = self._source_of_file(kind, shape)
        brought = f"brought to --pcm-rate {rate} and {channels} channel{'s'[: channels - 1]}"
        self._late = (
            f"the {kind} file on standard input began more than {FIRST_S:g} s after the start: it was {brought}"
        )
        source.open()
        return source

    def _source_of_file(self, kind: str, shape: tuple[int, int] | None) -> PcmSource:
        self._sound = sound = PipedSound(self._pipe, kind, self._choice, shape)
        return PcmSource(sound.stream, PcmFormat(sound.rate, sound.channels, "f32le"), self._clock)
