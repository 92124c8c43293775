"""The sound of a file of any format, on the time line of the file's pictures."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from realtime_dub.audio.samples import check_shape
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
from realtime_dub.sources.sound_frames import SoundFrames
from realtime_dub.sources.sound_packets import FrameTimes, SoundPackets, pictures
from realtime_dub.sources.stream_choice import NEEDS_SOUND, SoundChoice, choose_sound

ANY_SOUND = SoundChoice()
HOLE_NS = 5 * MS  # containers round times to 1 ms; only more than this is a hole or an overlap
SHORT_NS = 200 * MS  # ending this much before what the file announces is worth saying
EDGE_NS = 2 * MS  # from one sound to another that does not go on from it
SILENCE_NS = 100 * MS  # longest block of silence


class AudioFileSource:
    """Pulled as fast as wanted, from 0 on without holes. Its first rate; more than two channels are mixed down.

    ``pts_ns`` is stream time less the earliest start of the file's picture and sound streams, as for its pictures:
    sound that begins later has silence before it, a hole is filled with silence marked ``gap``. With ``loop`` it goes
    on from its start; a file with pictures then lasts as long as those. What can be decoded is kept, and ``notes`` says
    what could not. ``choice``: which of several sounds; ``do``: what to do where there is none.
    """

    def __init__(
        self, path: str | Path, loop: bool = False, choice: SoundChoice = ANY_SOUND, do: str = NEEDS_SOUND
    ) -> None:
        self._path, self._loop, self._choice, self._do = Path(path), loop, choice, do
        self._lock = threading.Lock()  # a container that is closed while it decodes takes the process with it
        self._container: Any = None
        self._blocks: Iterator[AudioBlock] = iter(())
        self._given = 0  # samples
        self._base = 0  # sample at which the file's time 0 lies, moved on by each round
        self._damage = ""
        self._frames: SoundFrames | None = None
        self._notes: list[str] = []
        self.language: str | None = None  # as the file has it, once open

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read."""
        early = [f"{self._path.name} is damaged ({self._damage}): parts of its sound were not decoded"]
        damage = self._notes or (early if self._damage else [])
        return damage + (self._frames.cleaner.notes(self._path.name) if self._frames else [])

    def open(self) -> VoiceInfo:
        with self._lock:
            stream = self._start()
            decoded = self._decode(stream)
            first = next(decoded, None)
            if first is None:
                self._release()
                raise MediaError("no audio in", f"{self._path}: its audio stream is empty", self._do)
            self._check(first)
            self.language = stream.language
            self._frames = SoundFrames(first)
            self._rate, self._channels = self._frames.rate, self._frames.channels
            self._silence = np.zeros((ns_to_samples(SILENCE_NS, self._rate), self._channels), np.float32)
            self._edge = np.zeros((ns_to_samples(EDGE_NS, self._rate), self._channels), np.float32)  # given last
            self._blocks = self._rounds(stream, itertools.chain([first], decoded))
            return VoiceInfo(self._rate, self._channels, live=False, name=self._path.name, block_ns=0)

    def read(self) -> AudioBlock:
        with self._lock:
            block = next(self._blocks, None)
            if block is None:
                raise EndOfStream
            return block

    def close(self) -> None:
        with self._lock:
            self._release()

    def _start(self) -> Any:
        """Open the file; its first sound stream."""
        self._container = open_media(self._path, "choose a file with sound")
        try:
            stream = choose_sound(self._container, self._choice, str(self._path), self._do)
        except MediaError:
            self._release()
            raise
        self._check(stream.codec_context)
        return stream

    def _check(self, sound: Any) -> None:
        """Of a codec's context, and of a frame, which may have another."""
        try:
            check_shape(sound.sample_rate, sound.layout.nb_channels, str(self._path))
        except MediaError:
            self._release()
            raise

    def _release(self) -> None:
        self._blocks = iter(())
        if self._container is not None:
            self._container.close()
            self._container = None

    def _rounds(self, stream: Any, decoded: Iterator[Any]) -> Iterator[AudioBlock]:
        yield from self._fill(self._whole(decoded))
        self._note_damage(stream)
        round_from = 0
        while self._loop and self._given > round_from:
            round_from = self._given
            begin_ns, end_ns = pictures(self._container)
            if end_ns is not None:
                yield from self._silence_until(self._base + ns_to_samples(end_ns, self._rate), gap=False)
            self._base = self._given - ns_to_samples(begin_ns, self._rate)
            self._container.close()
            yield from self._fill(self._whole(self._decode(self._start())))

    def _whole(self, decoded: Iterator[Any]) -> Iterator[tuple[Samples, int | None]]:
        """Everything that can be decoded: samples and the time of the first, None for directly after those before.

        In a loop, up to the pictures' end.
        """
        assert self._frames is not None
        until_ns = pictures(self._container)[1] if self._loop else None
        own_ns = FrameTimes(self._container, self._rate)
        for frame in decoded:
            at_ns = own_ns(frame)
            yield self._frames.turn_to(frame), None
            samples = self._frames(frame)
            if until_ns is not None and at_ns is not None:
                if at_ns >= until_ns:
                    return
                samples = samples[: ns_to_samples(until_ns - at_ns, self._rate)]
            yield samples, at_ns
        yield self._frames.flush(), None

    def _decode(self, stream: Any) -> Iterator[Any]:
        self._packets = SoundPackets(self._container, stream)
        try:
            for packet in self._packets:
                try:
                    yield from stream.decode(packet)
                except av.error.EOFError:  # flushed before
                    continue
                except av.FFmpegError as error:
                    self._damage = reason(error)
        except av.FFmpegError as error:
            self._damage = reason(error)

    def _fill(self, pieces: Iterator[tuple[Samples, int | None]]) -> Iterator[AudioBlock]:
        """Blocks one directly after the other, whatever the pieces' times."""
        first_at, round_base = self._given, self._base
        self._next = self._given  # where a piece begins that has no time
        for samples, at_ns in pieces:
            if len(samples) == 0:
                continue
            base = self._base
            at = self._place(at_ns, round_base)
            off_ns = samples_to_ns(at - self._given, self._rate)
            goes_on = abs(off_ns) <= HOLE_NS and base == self._base
            if self._given == first_at:
                yield from self._silence_until(at, gap=False)
            elif off_ns > HOLE_NS:
                yield from self._hole(at)
            self._next = at + len(samples)
            if off_ns < -HOLE_NS:
                samples = samples[self._given - at :]
            if len(samples):
                yield self._block(samples if goes_on else self._joined(samples))
                self._next = self._given

    def _place(self, at_ns: int | None, round_base: int) -> int:
        """The sample at which a piece begins that has this own time."""
        if at_ns is None:
            return self._next
        at = self._base + ns_to_samples(at_ns, self._rate)
        if samples_to_ns(self._given - at, self._rate) <= self._packets.jump_ns:
            return at
        moved_ns = self._packets.moved_ns
        anew = self._given if moved_ns is None else round_base + ns_to_samples(at_ns + moved_ns, self._rate)
        self._base += anew - at
        return anew

    def _hole(self, at: int) -> Iterator[AudioBlock]:
        """Silence, into which the sound before it dies away."""
        count = min(at - self._given, len(self._silence))
        yield self._block(self._joined(self._silence[:count]), gap=True)
        yield from self._silence_until(at, gap=True)

    def _joined(self, samples: Samples) -> Samples:
        """What does not go on from the sound before, without the click of an edge."""
        beyond = (2 * self._edge[-1:] - self._edge[-2::-1])[: len(samples)]
        share = np.linspace(0, 1, len(beyond), dtype=np.float32)[:, None]
        samples = samples.copy()
        samples[: len(beyond)] = share * samples[: len(beyond)] + (1 - share) * beyond
        return samples

    def _silence_until(self, at: int, gap: bool) -> Iterator[AudioBlock]:
        while self._given < at:
            yield self._block(self._silence[: at - self._given], gap)

    def _block(self, samples: Samples, gap: bool = False) -> AudioBlock:
        block = AudioBlock(samples, self._rate, samples_to_ns(self._given, self._rate), gap)
        self._given += len(samples)
        self._edge = np.concatenate([self._edge, samples[-len(self._edge) :]])[-len(self._edge) :]
        return block

    def _announced_ns(self, stream: Any) -> int | None:
        """How long the file says its sound is. Of a RIFF file FFmpeg tells what is there, not what should be."""
        if stream.duration is None:
            return None
        duration_ns = ticks_to_ns(stream.duration, stream.time_base)
        try:
            with self._path.open("rb") as file:
                head, there = file.read(8), os.fstat(file.fileno()).st_size
        except OSError:  # it has gone since
            return duration_ns
        if head[:4] != b"RIFF":
            return duration_ns
        announced = int.from_bytes(head[4:], "little") + 8
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
        self._notes.append(
            f"{self._path.name} is damaged or cut short{why}: {heard_ns / NS:.2f}{of} s of audio were decoded"
        )
