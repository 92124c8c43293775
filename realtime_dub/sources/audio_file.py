"""The sound of a file of any format, on the time line of the file's pictures."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.media import (
    MS,
    NS,
    AudioBlock,
    Samples,
    VoiceInfo,
    ns_to_samples,
    rescale,
    samples_to_ns,
    ticks_to_ns,
)
from realtime_dub.paths import reason
from realtime_dub.sources.opening import open_media

MOST_CHANNELS = 2
HOLE_NS = 5 * MS  # containers round times to 1 ms; only more than this is a hole or an overlap
JUMP_BACK_NS = NS  # files strung together start their times anew
SHORT_NS = 200 * MS  # ending this much before what the file announces is worth saying
SILENCE_NS = 100 * MS  # longest block of silence


class AudioFileSource:
    """Pulled as fast as wanted, from 0 on without holes. Its own rate; more than two channels are mixed down to two.

    ``pts_ns`` is stream time less the earliest start of the file's picture and sound streams, as for its pictures:
    sound that begins later has silence before it, a hole is filled with silence marked ``gap``. With ``loop`` it goes
    on from its start; a file with pictures then lasts as long as those. What can be decoded is kept, and ``notes`` says
    what could not.
    """

    def __init__(self, path: str | Path, loop: bool = False) -> None:
        self._path, self._loop = Path(path), loop
        self._lock = threading.Lock()  # a container that is closed while it decodes takes the process with it
        self._container: Any = None
        self._blocks: Iterator[AudioBlock] = iter(())
        self._first: AudioBlock | None = None
        self._given = 0  # samples
        self._base = 0  # sample at which the file's time 0 lies, moved on by each round
        self._damage = ""
        self._shape: tuple[str, str, int] | None = None  # what the resampler was made for
        self.notes: list[str] = []

    def open(self) -> VoiceInfo:
        with self._lock:
            stream = self._start()
            self._rate = int(stream.codec_context.sample_rate)
            self._channels = min(int(stream.codec_context.layout.nb_channels), MOST_CHANNELS)
            self._silence = np.zeros((ns_to_samples(SILENCE_NS, self._rate), self._channels), np.float32)
            self._blocks = self._rounds(stream)
            self._first = next(self._blocks, None)
            if self._first is None:
                self._release()
                raise MediaError("no sound in", f"{self._path}: its sound has no length", "choose a file that has some")
            return VoiceInfo(self._rate, self._channels, live=False, name=self._path.name, block_ns=0)

    def read(self) -> AudioBlock:
        with self._lock:
            block, self._first = self._first or next(self._blocks, None), None
            if block is None:
                raise EndOfStream
            return block

    def close(self) -> None:
        with self._lock:
            self._first = None
            self._release()

    def _start(self) -> Any:
        """Open the file; its first sound stream."""
        self._container = open_media(self._path, "choose a file with sound")
        for stream in self._container.streams.audio:
            if stream.codec_context.sample_rate > 0:
                return stream
        self._release()
        raise MediaError("no sound in", str(self._path), "choose a file with sound")

    def _release(self) -> None:
        self._blocks = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _rounds(self, stream: Any) -> Iterator[AudioBlock]:
        yield from self._fill(self._whole(stream))
        self._note_damage(stream)
        round_from = 0
        while self._loop and self._given > round_from:
            round_from = self._given
            begin_ns, end_ns = _pictures(self._container)
            if end_ns is not None:
                yield from self._silence_until(self._base + ns_to_samples(end_ns, self._rate), gap=False)
            self._base = self._given - ns_to_samples(begin_ns, self._rate)
            self._container.close()
            stream = self._start()
            yield from self._fill(self._whole(stream))

    def _whole(self, stream: Any) -> Iterator[tuple[Samples, int | None]]:
        """Everything that can be decoded: samples and the time of the first; in a loop, up to the pictures' end."""
        until_ns = _pictures(self._container)[1] if self._loop else None
        start_ns = _start_ns(self._container)
        for frame in self._decode(stream):
            at_ns = None if frame.pts is None else ticks_to_ns(frame.pts, frame.time_base) - start_ns
            samples = self._samples(frame)
            if until_ns is not None and at_ns is not None:
                if at_ns >= until_ns:
                    return
                samples = samples[: ns_to_samples(until_ns - at_ns, self._rate)]
            yield samples, at_ns

    def _decode(self, stream: Any) -> Iterator[Any]:
        try:
            for packet in self._container.demux(stream):
                try:
                    yield from stream.decode(packet)
                except av.error.EOFError:  # flushed before
                    continue
                except av.FFmpegError as error:
                    self._damage = reason(error)
        except av.FFmpegError as error:
            self._damage = reason(error)

    def _samples(self, frame: Any) -> Samples:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        if shape != self._shape:  # the first, or the file changes its format midway
            layout = "mono" if self._channels == 1 else "stereo"
            self._resampler = av.AudioResampler(format="flt", layout=layout, rate=self._rate)
            self._shape = shape
        parts = [part.to_ndarray().reshape(-1, self._channels) for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros((0, self._channels), np.float32)

    def _fill(self, pieces: Iterator[tuple[Samples, int | None]]) -> Iterator[AudioBlock]:
        """Blocks one directly after the other, whatever the pieces' times."""
        first_at = self._given
        for samples, at_ns in pieces:
            at = self._given if at_ns is None else self._base + ns_to_samples(at_ns, self._rate)
            off_ns = samples_to_ns(at - self._given, self._rate)
            if off_ns < -JUMP_BACK_NS:
                self._base += self._given - at
            elif off_ns > HOLE_NS or self._given == first_at:
                yield from self._silence_until(at, gap=self._given > first_at)
            if -JUMP_BACK_NS <= off_ns < -HOLE_NS:
                samples = samples[self._given - at :]
            if len(samples):
                yield self._block(samples)

    def _silence_until(self, at: int, gap: bool) -> Iterator[AudioBlock]:
        while self._given < at:
            yield self._block(self._silence[: at - self._given], gap)

    def _block(self, samples: Samples, gap: bool = False) -> AudioBlock:
        block = AudioBlock(samples, self._rate, samples_to_ns(self._given, self._rate), gap)
        self._given += len(samples)
        return block

    def _announced_ns(self, stream: Any) -> int | None:
        """How long the file says its sound is. Of a RIFF file FFmpeg tells what is there, not what should be."""
        if stream.duration is None:
            return None
        duration_ns = ticks_to_ns(stream.duration, stream.time_base)
        with self._path.open("rb") as file:
            head = file.read(8)
        if head[:4] != b"RIFF":
            return duration_ns
        announced, there = int.from_bytes(head[4:], "little") + 8, self._path.stat().st_size
        written_live = announced >= 0xFFFF_FFFF  # by a program that could not go back to its start
        return duration_ns if written_live else rescale(duration_ns, max(announced, there), there)

    def _note_damage(self, stream: Any) -> None:
        expected_ns = self._announced_ns(stream)
        heard_ns = samples_to_ns(self._given, self._rate)
        short = expected_ns is not None and heard_ns < expected_ns - SHORT_NS
        if not (short or self._damage):
            return
        of = f" of {expected_ns / NS:.2f}" if short and expected_ns else ""
        why = f" ({self._damage})" if self._damage else ""
        self.notes.append(
            f"{self._path.name} is damaged or cut short{why}: {heard_ns / NS:.2f}{of} s of sound were decoded"
        )


def _films(container: Any) -> list[Any]:
    """The video streams that are no cover pictures."""
    return [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]


def _start_ns(container: Any) -> int:
    """The file's time 0, the same for its pictures and its sound: the earliest start of any of their streams."""
    streams = [s for s in (*_films(container), *container.streams.audio) if s.start_time is not None]
    return min((ticks_to_ns(s.start_time, s.time_base) for s in streams), default=0)


def _pictures(container: Any) -> tuple[int, int | None]:
    """Where the file's pictures begin and end, for the loop to keep step with them; (0, None) where there are none."""
    for stream in _films(container):
        if stream.duration is not None:
            begin_ns = ticks_to_ns(stream.start_time or 0, stream.time_base) - _start_ns(container)
            return begin_ns, begin_ns + ticks_to_ns(stream.duration, stream.time_base)
    return 0, None
