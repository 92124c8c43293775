"""A film in a new order, as a source; and how that is found: the film is tracked and the voice heard beforehand."""

from __future__ import annotations

import math
import tempfile
from dataclasses import replace
from itertools import islice
from typing import IO

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.mono import MonoMixer
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.face.types import FaceTracker
from realtime_dub.media import NS, Frame, VideoInfo
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.loudness import Loudness
from realtime_dub.pipeline.file.retiming import Retimed, activity_of, half_way, retimed
from realtime_dub.pipeline.voice_feeder import mono_resampler
from realtime_dub.sources.base import VideoSource, VoiceSource, read_all

MOST_FRAMES = 15_000  # of a film, and of a voice: ten minutes at 25 per second
MOST_KEPT = 8_000_000_000  # bytes of frames that are kept to be shown backwards


class RetimedVideo:
    """``source`` in the order ``order``, at an even rate. It is opened here, and read once."""

    def __init__(self, source: VideoSource, order: Retimed, count: int) -> None:
        """``count``: frames that the source has."""
        self._source, self._order = source, order
        self._numbers = order.frames(count)
        self._folds = bool((order.places >= count).any())
        self._count, self._at = count, 0
        self._read: dict[int, Frame] = {}  # the newest two
        self._next = 0
        self._kept: IO[bytes] | None = None
        self.notes: list[str] = []

    def open(self) -> VideoInfo:
        info = self._source.open()
        self._period_ns, self._shape = NS / info.fps, (info.height, info.width, 3)
        if self._folds:
            self._keep_all(info)
        total = len(self._numbers)
        return replace(info, frames=total, duration_ns=round(total * self._period_ns))

    def _keep_all(self, info: VideoInfo) -> None:
        if self._count * math.prod(self._shape) > MOST_KEPT:
            raise MediaError("cannot play back and forth", f"{info.name}: it is too large", "give a shorter film")
        self._kept = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the source
        self.notes.append(f"{info.name} is shorter than the voice: it plays back and forth")

    def read(self) -> Frame:
        at = self._at
        if at >= len(self._numbers):
            raise EndOfStream
        frame = self._frame(int(self._numbers[at]))
        if self._order.repeated[at] and at + 1 < len(self._numbers):
            after = self._frame(int(self._numbers[at + 1]))
            frame = replace(frame, image=half_way(frame.image, after.image), coded=None)
        self._at += 1
        pts_ns = round(at * self._period_ns)
        return replace(frame, pts_ns=pts_ns, seq=at, duration_ns=round((at + 1) * self._period_ns) - pts_ns)

    def _frame(self, number: int) -> Frame:
        while self._next <= number:
            self._pull()
        return self._read[number] if number in self._read else self._again(number)

    def _pull(self) -> None:
        frame = self._source.read()
        if self._kept is not None:
            self._kept.seek(0, 2)
            self._kept.write(frame.image.tobytes())
        self._read = {**{k: v for k, v in self._read.items() if k == self._next - 1}, self._next: frame}
        self._next += 1

    def _again(self, number: int) -> Frame:
        """One that was read before."""
        assert self._kept is not None
        size = math.prod(self._shape)
        self._kept.seek(number * size)
        return Frame(np.frombuffer(self._kept.read(size), np.uint8).reshape(self._shape).copy(), 0, number)

    def close(self) -> None:
        self._source.close()
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def silent_frames(voice: VoiceSource, fps: float, most_s: float | None = None) -> npt.NDArray[np.bool_]:
    """Whether nobody speaks (m,) at each frame under a whole voice, which is opened and read to its end."""
    info = voice.open()
    mixer, resampler, loudness, heard = MonoMixer(info.rate), mono_resampler(info.rate), Loudness(), 0
    for block in islice(read_all(voice.read), 2**31):
        samples = np.asarray(mixer(block.samples))
        samples = samples if info.rate == VOICE_RATE else resampler.process(samples[:, None])[:, 0]
        loudness.hear(samples)
        heard += len(samples)
        if heard > MOST_FRAMES / fps * VOICE_RATE:
            raise MediaError(
                "cannot re-time to", f"{info.name}: it is longer than {MOST_FRAMES / fps / 60:.0f} minutes", "cut it"
            )
    count = math.ceil(heard / VOICE_RATE * fps - 0.5)
    count = count if most_s is None else min(count, math.ceil(most_s * fps))
    return np.array([not loudness.speaks(round(k * NS / fps)) for k in range(count)], np.bool_)


def order_for(video: VideoSource, tracker: FaceTracker, silent: npt.NDArray[np.bool_]) -> tuple[Retimed, int]:
    """The order of an open film's frames, and how many it has. Raises MediaError for one that is too long."""
    seen = []
    for frame in islice(read_all(video.read), MOST_FRAMES + 1):
        tracked = tracker.track(frame)
        seen.append(replace(tracked, frame=replace(frame, image=frame.image[:1, :1], coded=None)))
    if not seen or len(seen) > MOST_FRAMES:
        what = "it has no frames" if not seen else f"it has more than {MOST_FRAMES} frames"
        raise MediaError("cannot re-time", what, "give a shorter film")
    return retimed(activity_of(seen), silent), len(seen)
