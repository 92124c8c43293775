"""Lines that are spoken as they are typed or piped in: ``--mic tts:``."""

from __future__ import annotations

import codecs
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from realtime_dub.errors import EndOfStream, UserError
from realtime_dub.media import MS, AudioBlock, Floats, VoiceInfo, ns_to_samples, samples_to_ns
from realtime_dub.voice.contract import Wish
from realtime_dub.voice.tts.programs import open_program, typed_spec
from realtime_dub.voice.tts.script import MOST_LETTERS, read_script, sentences
from realtime_dub.voice.tts.speaking import Sayer

BLOCK_NS = 10 * MS
WAIT_S = 0.1  # between looks whether it was closed
AHEAD_NS = 2_000 * MS  # of sound that is made before it is wanted: a pipe with more waits
LEFT_NS = 500 * MS  # of a script that the end of a run leaves unsaid is worth saying


class LiveScript:
    """A voice that is pulled in blocks of 10 ms: what was typed, silence until then, its end after the last line.

    The pipeline paces it. Lines are read and made on a thread of their own.
    """

    def __init__(self, script: str, by: str, speaker_id: int | None = None) -> None:
        """``script``: a file, or - for standard input. ``by``: what stands behind ``tts:``, a program or a language.
        ``speaker_id``: of a voice that has several.

        Raises MediaError, ConfigError for a file.
        """
        self._by, self._wish = typed_spec(by), Wish(speaker_id=speaker_id)
        lines = None if script == "-" else [line.text for line in read_script(Path(script))]
        self._lines: Callable[[], Iterator[str]] = self._typed if lines is None else lambda: iter(lines)
        self._changed = threading.Condition()
        self._pieces: deque[Floats] = deque()
        self._waiting = 0  # samples in them
        self._over, self._closed = False, False
        self._error: BaseException | None = None
        self._given = 0
        self._thread: threading.Thread | None = None
        self._sayer: Sayer | None = None
        self._told: list[str] = []

    @property
    def notes(self) -> list[str]:
        return [*self._told, *(self._sayer.notes if self._sayer else [])]

    def open(self) -> VoiceInfo:
        """Raises DependencyError where what says it is not installed, ConfigError for what that cannot do."""
        self._sayer = sayer = Sayer(open_program(self._by, self._wish))
        self._block = ns_to_samples(BLOCK_NS, sayer.rate)
        self._thread = threading.Thread(target=self._make, args=(sayer,), name="script", daemon=True)
        self._thread.start()
        return VoiceInfo(sayer.rate, 1, False, "script", 0, ends_run=True)

    def read(self) -> AudioBlock:
        assert self._sayer is not None
        rate = self._sayer.rate
        with self._changed:
            samples = self._taken()
            if not len(samples):
                if self._error is not None:
                    raise self._error
                if self._over or self._closed:
                    raise EndOfStream
            self._changed.notify_all()
        block = np.zeros((self._block, 1), np.float32)
        block[: len(samples), 0] = samples
        pts_ns = samples_to_ns(self._given, rate)
        self._given += self._block
        return AudioBlock(block, rate, pts_ns)

    def close(self) -> None:
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(5)
        if self._sayer is not None:
            self._sayer.close()
        if self._sayer and self._waiting and samples_to_ns(self._waiting, self._sayer.rate) >= LEFT_NS:
            left_s = self._waiting / self._sayer.rate
            self._told.append(f"the run ended before the script: {left_s:.1f} s or more of speech were not heard")

    def _taken(self) -> Floats:
        """The next block's samples, fewer at a piece's end."""
        if not self._pieces:
            return np.zeros(0, np.float32)
        piece = self._pieces.popleft()
        if len(piece) > self._block:
            self._pieces.appendleft(piece[self._block :])
        taken = piece[: self._block]
        self._waiting -= len(taken)
        return taken

    def _make(self, sayer: Sayer) -> None:
        try:
            for line in self._lines():
                for sentence in sentences(line):
                    if not self._put(sayer.say(sentence).samples):
                        return
        except UserError as error:
            self._error = error
        with self._changed:
            self._over = True

    def _put(self, samples: Floats) -> bool:
        """Hand on, as soon as not too much is waiting. False: it was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting < ns_to_samples(AHEAD_NS, self._block * 100))
            if not self._closed and len(samples):
                self._pieces.append(samples)
                self._waiting += len(samples)
            return not self._closed

    def _typed(self) -> Iterator[str]:
        """Lines of standard input as they come, until its end or a close. One of no end is said in parts."""
        decode, text = codecs.getincrementaldecoder("utf-8")("replace").decode, ""
        while (data := self._bytes(sys.stdin.buffer)) is not None:
            text += decode(data)
            *lines, text = text.split("\n")
            yield from lines
            while len(text) > MOST_LETTERS:
                at = text.rfind(" ", 0, MOST_LETTERS) + 1 or MOST_LETTERS
                yield text[:at]
                text = text[at:]
        yield text + decode(b"", True)

    def _bytes(self, stream: BinaryIO) -> bytes | None:
        """What came; None at the end."""
        if sys.platform == "win32":
            return stream.readline(4 * MOST_LETTERS) or None
        while not self._closed:
            if select.select([stream.fileno()], [], [], WAIT_S)[0]:
                return os.read(stream.fileno(), 1 << 16) or None
        return None
