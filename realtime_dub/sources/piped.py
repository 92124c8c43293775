"""A pipe that may carry a whole sound file: what is in it, and its samples for whoever reads raw ones."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO

import av
import numpy as np

from realtime_dub.audio.samples import check_shape
from realtime_dub.errors import MediaError
from realtime_dub.paths import reason
from realtime_dub.sources.pcm_stdin import descriptor_of
from realtime_dub.sources.piped_files import OneFile
from realtime_dub.sources.sniff import ENOUGH, MORE, RAW, kind_of
from realtime_dub.sources.sound_frames import SoundFrames
from realtime_dub.sources.stream_choice import SoundChoice, choose_sound

WAIT_S = 0.1  # between looks whether it was closed
HEADER_S = 10.0  # for the header, once it has begun
CHUNK = 1 << 16
ATOMIC = getattr(select, "PIPE_BUF", 512)  # bytes that a pipe takes whole where it takes any
WAV_PACKETS_PER_S = 200  # FFmpeg's own are a tenth of a second: as late as that the voice would come
ADVICE = "send WAV, FLAC, Ogg or MP3, or give the file's name"


class Pipe:
    """Bytes of ``stream``, with a look at the first ones. ``close``, from any thread, ends a read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self.descriptor = stream, descriptor_of(stream)
        self._closed = threading.Event()
        self._until_s: float | None = None
        self.head = b""  # looked at, and to be read again

    def peek(self, first_s: float | None = None, then_s: float | None = None) -> str:
        """What it carries, by ``sniff``: waits ``first_s`` for anything, ``then_s`` for what decides (None = long).

        MORE where nothing came.
        """
        self._until_s = None if first_s is None else time.monotonic() + first_s
        while (kind := kind_of(self.head)) == MORE and len(self.head) < ENOUGH:
            data = self._part(ENOUGH - len(self.head))
            if not self.head and data and then_s is not None:
                self._until_s = time.monotonic() + then_s
            if not data:
                break
            self.head += data
        self._until_s = None
        return RAW if kind == MORE and self.head else kind

    def limit(self, seconds: float | None) -> None:
        """From now on reads end after so long, as if the pipe did."""
        self._until_s = None if seconds is None else time.monotonic() + seconds

    def read(self, count: int = -1) -> bytes:
        """Some bytes; none at the end."""
        count = CHUNK if count < 0 else count
        if self.head:
            data, self.head = self.head[:count], self.head[count:]
            return data
        return self._part(count)

    def close(self) -> None:
        self._closed.set()

    @property
    def closed(self) -> bool:
        return self._closed.is_set()

    def _part(self, count: int) -> bytes:
        if self.descriptor is None:
            return b"" if self.closed else self._stream.read(count)
        while not self.closed and (self._until_s is None or time.monotonic() < self._until_s):
            if select.select([self.descriptor], [], [], WAIT_S)[0]:
                return os.read(self.descriptor, count)
        return b""


class PipedSound:
    """The sound of a file that comes through a pipe, as raw f32le on ``stream``, at the speed of its reader."""

    def __init__(self, pipe: Pipe, kind: str, choice: SoundChoice, shape: tuple[int, int] | None = None) -> None:
        """``kind``: of ``sniff``; ``shape``: the rate and channels to bring it to. Raises MediaError.

        That is for what cannot be decoded on its way.
        """
        self._pipe, self._damage, self._choice = pipe, "", choice
        try:
            self._begin(kind)
            decoded = self._decode()
            first = next(decoded, None)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise MediaError("cannot read", f"the {kind} file on standard input: {reason(error)}", ADVICE) from error
        if first is None:
            raise MediaError("no audio could be decoded from", f"the {kind} file on standard input", ADVICE)
        check_shape(first.sample_rate, first.layout.nb_channels, "standard input")
        pipe.limit(None)
        self._frames = SoundFrames(first, shape)
        self.rate, self.channels = self._frames.rate, self._frames.channels
        reading, self._writing = os.pipe()
        self.stream: BinaryIO = os.fdopen(reading, "rb", buffering=0)
        self._thread = threading.Thread(
            target=self._run, args=(chain([first], decoded, self._next()),), name="piped sound"
        )
        self._thread.daemon = True
        self._thread.start()

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read."""
        damage = [f"standard input is damaged: {self._damage}"] if self._damage else []
        return damage + self._frames.cleaner.notes("standard input")

    def close(self) -> None:
        """Idempotent."""
        self._pipe.close()
        self._thread.join(2)

    def _begin(self, kind: str) -> None:
        """Open the file whose bytes come next. Read once, from front to back: nothing else is there to be found."""
        options = {"max_size": str(_wav_packet(self._pipe.head))} if kind == "wav" else {}
        self._pipe.limit(HEADER_S)
        self._file = OneFile(self._pipe, kind)
        self._container = av.open(_OneWay(self._file), "r", format=kind, options=options, metadata_errors="replace")
        self._stream = choose_sound(self._container, self._choice, "standard input")
        context = self._stream.codec_context
        check_shape(context.sample_rate, context.layout.nb_channels, "standard input")

    def _next(self) -> Iterator[Any]:
        """The files after the first, each as soon as it comes."""
        while True:
            self._file.skip()
            if (kind := self._pipe.peek()) in (RAW, MORE):
                return
            self._container.close()
            self._begin(kind)
            self._pipe.limit(None)
            yield from self._decode()

    def _decode(self) -> Iterator[Any]:
        for packet in self._container.demux(self._stream):
            try:
                yield from packet.decode()
            except av.error.EOFError:  # flushed before
                continue
            except av.FFmpegError as error:
                self._damage = reason(error)

    def _run(self, decoded: Iterator[Any]) -> None:
        try:
            for frame in decoded:
                self._write(self._frames.turn_to(frame))
                self._write(self._frames(frame))
            self._write(self._frames.flush())
        except BrokenPipeError:  # the reader has gone
            pass
        except (av.FFmpegError, OSError, ValueError) as error:
            self._damage = reason(error)
        except MediaError as error:  # of a later file
            self._damage = str(error)
        finally:
            os.close(self._writing)
            self._container.close()

    def _write(self, samples: Any) -> None:
        data = memoryview(np.ascontiguousarray(samples, "<f4").tobytes())
        while data:
            if self._pipe.closed:
                raise BrokenPipeError
            if sys.platform == "win32" or select.select([], [self._writing], [], WAIT_S)[1]:
                data = data[os.write(self._writing, data[:ATOMIC]) :]


class _OneWay:
    """What PyAV needs of a file that cannot be sought in."""

    def __init__(self, file: OneFile) -> None:
        self.read = file.read


def _wav_packet(head: bytes) -> int:
    """Bytes of a packet of a WAV whose format comes first, as it nearly always does."""
    per_s = int.from_bytes(head[28:32], "little") if head[12:16] == b"fmt " else 0
    return max(64, min(per_s // WAV_PACKETS_PER_S, 4096))
