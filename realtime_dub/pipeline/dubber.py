"""The Dubber: frames and audio in, frames with the mouth and audio out, for programs that have a loop of their own."""

from __future__ import annotations

from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.samples import Cleaner, can_be
from realtime_dub.errors import ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.media import NS, AudioBlock, Frame, Image, Samples, ns_to_samples, samples_to_ns
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Identity
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.pulled import TimedAudio
from realtime_dub.pipeline.file.ticks import FrameComposer, MouthMaker
from realtime_dub.pipeline.process import one_thread_each
from realtime_dub.pipeline.schedule import TrackedSample

_OBSERVE_EVERY = 3  # frames


@dataclass(frozen=True, slots=True, eq=False)
class DubbedFrame:
    """A frame as it leaves, with the audio that belongs to it.

    ``image``: (height, width, 3) uint8 BGR; the array that was fed where nothing was changed.
    ``time_s``: of the frame, as it was fed. ``audio``: (n, channels) float32; what all frames have is the voice without
    hole or overlap, from the first frame's time on. ``dubbed``: a mouth was drawn. ``face``: there was one to dub.
    """

    image: Image
    time_s: float
    audio: Samples
    dubbed: bool
    face: bool


class Dubber:
    """Puts a voice into a mouth, frame by frame, at the times that it is told.

    No threads and no clock: all work is done by :meth:`read` and :meth:`flush`, on the caller's thread, 10 to 15 ms a
    frame on a laptop. Use one Dubber for one person's video and one voice.

        with Dubber(rate=48_000, fps=25) as dubber:
            dubber.feed_audio(samples, time_s=0.0)
            dubber.feed_frame(image, time_s=0.0)
            for frame in dubber.read():
                show(frame.image), play(frame.audio)
    """

    def __init__(
        self,
        *,
        rate: int,
        channels: int = 1,
        fps: float = 25.0,
        engine: str = registry.DEFAULT,
        bundle: str | Path | None = None,
        identity: str | Path | Identity | None = None,
        strength: float = 1.0,
        look_ahead_ms: int | None = None,
        backend: str = AUTO,
        face: str = "largest",
        learn: bool = True,
        silence: Silence = AUTO_SILENCE,
        marks: bool = True,
    ) -> None:
        """``rate`` in Hz and ``channels`` of the voice; ``fps``: nominal, how much audio goes with a frame.

        ``engine``, ``bundle``, ``identity`` (a file that ``enroll`` made, or what it holds), ``strength`` 0..2,
        ``look_ahead_ms``, ``backend``, ``face``, ``learn``, ``silence`` and ``marks`` are those of the command line.
        With ``silence="auto"`` the voice is the person's own until it does not fit the mouth. Raises UserError:
        ConfigError, BundleError.
        """
        if not can_be(rate, channels):
            raise ConfigError("cannot use audio", f"of {rate} Hz and {channels} channels", "give another rate or shape")
        if not 1 <= fps <= 240:
            raise ConfigError("cannot use", f"fps = {fps}", "give 1 to 240")
        self._stack = ExitStack()
        self._audio, self._cleaner = PushedVoice(rate, channels), Cleaner()
        self._period_ns = round(NS / Fraction(fps).limit_denominator(1001))
        options: dict[str, Any] = {
            "bundle": None if bundle is None else Path(bundle),
            "identity": Path(identity) if isinstance(identity, str) else identity,
            "strength": None if strength == 1 else strength,
            "look_ahead_ms": look_ahead_ms,
            "backend": None if backend == AUTO else backend,
            "learn": None if learn else False,
            "silence": None if silence == AUTO_SILENCE else silence,
        }
        self._generator = registry.create(engine, **options)
        self._stack.callback(self._generator.close)
        self._tracker = assembly.make_tracker(face, at_once=False)
        self._stack.callback(self._tracker.close)
        self._marks = assembly.make_marks("on" if marks else "off")
        self._composer = FrameComposer(assembly.make_compositor(), self._marks)
        self._maker: MouthMaker | None = None  # from the first frame on
        self._waiting: deque[Frame] = deque()
        self._seq = 0
        self._given: int | None = None  # samples that have left

    @property
    def latency_s(self) -> float:
        """How much audio after a frame's time has to be fed before the frame is given back, seconds."""
        latency = self._generator.latency()
        return max(latency.look_ahead_ns + latency.front_end_ns, self._period_ns) / NS

    def feed_audio(self, samples: npt.ArrayLike, time_s: float | None = None) -> None:
        """The voice: (n,) or (n, channels), float in -1..1 or int16. ``time_s``: of the first sample; else it follows
        on what came before. A hole is silence; what overlaps is left out. Raises ConfigError for another shape.
        """
        clean = self._cleaner(_shaped(samples, self._audio.channels))
        self._audio.put(clean, None if time_s is None else _ns(time_s))

    def feed_frame(self, image: Image, time_s: float) -> None:
        """A frame (height, width, 3) uint8 BGR, and its time, which rises. The array is not copied: do not write into
        it any more. Raises ConfigError for another shape, or a time that does not rise.
        """
        if not isinstance(image, np.ndarray) or image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ConfigError("cannot use a frame", "that is no array (height, width, 3) of uint8", "convert it first")
        pts_ns = _ns(time_s)
        if self._waiting and pts_ns <= self._waiting[-1].pts_ns:
            raise ConfigError("cannot use a frame", f"at {time_s} s: its time does not rise", "feed frames in order")
        self._waiting.append(Frame(image, pts_ns, self._seq))
        self._seq += 1

    def read(self) -> list[DubbedFrame]:
        """The frames whose audio is there, in order; those are done with."""
        return self._dub(self._audio.end_ns)

    def flush(self) -> list[DubbedFrame]:
        """All frames that wait; the voice is over, silence follows it."""
        return self._dub(None)

    def close(self) -> None:
        """Release what is held. Idempotent."""
        self._waiting.clear()
        self._stack.close()

    def __enter__(self) -> Dubber:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _dub(self, heard_ns: int | None) -> list[DubbedFrame]:
        done = []
        with one_thread_each():
            while self._waiting and self._can_make(self._waiting[0], heard_ns):
                done.append(self._made(self._waiting.popleft()))
        return done

    def _can_make(self, frame: Frame, heard_ns: int | None) -> bool:
        if self._maker is None:
            self._maker = MouthMaker(self._generator, self._audio, frame.pts_ns)
        needed_ns = frame.pts_ns + max(self._maker.needs_ns, self._period_ns)
        return heard_ns is None or heard_ns >= needed_ns

    def _made(self, frame: Frame) -> DubbedFrame:
        assert self._maker is not None
        sample = TrackedSample(self._tracker.track(frame))
        if frame.seq % _OBSERVE_EVERY == 0:
            self._generator.observe(sample.tracked)
        image, _, composition = self._composer.marked(sample, self._maker.make([sample])[0])
        audio = self._leaving(frame)
        self._audio.forget(frame.pts_ns - NS)
        dubbed = composition.patch is not None and image is not frame.image
        return DubbedFrame(image, frame.pts_ns / NS, audio, dubbed, sample.tracked.face is not None)

    def _leaving(self, frame: Frame) -> Samples:
        """The audio from where the last frame's ended to the end of this one."""
        rate = self._audio.rate
        first = ns_to_samples(frame.pts_ns, rate) if self._given is None else self._given
        self._given = max(first, ns_to_samples(frame.pts_ns + self._period_ns, rate))
        block = AudioBlock(
            self._audio.read(samples_to_ns(first, rate), self._given - first), rate, samples_to_ns(first, rate)
        )
        return block.samples if self._marks is None else self._marks.sound(block, frame.pts_ns).samples


class PushedVoice(TimedAudio):
    """Audio that is pushed, read by time."""

    @property
    def end_ns(self) -> int:
        """Up to where there is audio; far in the past before the first."""
        return -(1 << 62) if self._end is None else samples_to_ns(self._end, self.rate)

    def put(self, samples: Samples, start_ns: int | None) -> None:
        """``start_ns``: of the first sample; None = after the last one."""
        follows = 0 if self._end is None else self._end
        start = follows if start_ns is None else ns_to_samples(start_ns, self.rate)
        if self._end is not None and start < self._end:
            samples, start = samples[self._end - start :], self._end
        if len(samples):
            self._parts.append((start, samples))
            self._end = start + len(samples)


def _ns(time_s: float) -> int:
    if not np.isfinite(time_s):
        raise ConfigError("cannot use a time", f"of {time_s} s", "give seconds")
    return round(time_s * NS)


def _shaped(samples: npt.ArrayLike, channels: int) -> Samples:
    """(n, channels) float32."""
    array = np.asarray(samples)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != channels or array.dtype.kind not in "fi":
        what = f"of shape {np.shape(samples)} and type {array.dtype}: it is not (n, {channels})"
        raise ConfigError("cannot use audio", what, "convert it first")
    scale = 1.0 if array.dtype.kind == "f" else 1 / -float(np.iinfo(array.dtype).min)
    return np.asarray(array * np.float32(scale), np.float32)
