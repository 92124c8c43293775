"""Between the packets of one track and its frames: a bounded queue, and a decoder with limits.

aiortc puts coded frames into an unbounded queue, decodes whatever size they claim, and joins its thread on the event
loop. Here what a frame says of itself is read first (``headers``), its decoder has so much time in a second, larger
frames are made smaller at once, and the thread ends by itself with the frame it has in hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Protocol

from av.video.reformatter import VideoReformatter

from realtime_dub.web.limits import (
    AUDIO_S_BURST,
    AUDIO_S_PER_S,
    DECODE_S_BURST,
    DECODE_S_PER_S,
    DECODERS_BURST,
    DECODERS_PER_S,
    FRAMES_BURST,
    FRAMES_PER_S,
    HANDED_OVER,
    KEY_FRAME_REST_S,
    QUEUED_AUDIO,
    QUEUED_FRAME_BYTES,
    QUEUED_FRAMES,
    RESUME_S,
    SIZES_BURST,
    SIZES_PER_S,
    TIMES_LARGER,
    YIELDING_PRICE,
)
from realtime_dub.web.rates import TokenBucket
from realtime_dub.web.rtc import headers
from realtime_dub.web.rtc.codecs import RATE, CodedDecoder
from realtime_dub.web.rtc.priority import fitted, give_way, steps_for

Task = tuple[Any, Any]  # codec, coded frame


class Damaged(Exception):
    """A coded frame cannot be decoded; the next one may be."""


class DecoderEnded(Exception):
    """A decoder in a process of its own has ended, for good."""


class Decoder(Protocol):
    """Of one codec, on one thread."""

    spent_s: float  # of the processor beside this thread's, for the last coded frame
    steps: int  # of niceness, at least, from the next one on

    def decode(self, encoded_frame: Any) -> list[Any]:
        """Frames of PyAV. Raises DecoderEnded, and anything else for what a stranger sends."""

    def close(self) -> object:
        """Idempotent."""


class Decoders(Protocol):
    """Where they come from."""

    def start(self) -> None:
        """So that the first visitor does not wait. Blocking."""

    def make(self, codec: Any, most_pixels: Callable[[], int]) -> Decoder:
        """For a codec of aiortc. Pictures of more pixels may be made smaller. Blocking. Raises DecoderEnded."""

    def close(self) -> None:
        """End all of them. Blocking. Idempotent."""


class WithinDecoder:
    """In this process."""

    spent_s, steps = 0.0, 0

    def __init__(self, codec: Any) -> None:
        self._decoder = CodedDecoder(codec.name.lower())

    def decode(self, encoded_frame: Any) -> list[Any]:
        return self._decoder.decode(encoded_frame.data, encoded_frame.timestamp)

    def close(self) -> None:
        """Nothing is left of it."""


class Within:
    """``Decoders`` in this process."""

    def start(self) -> None:
        """There is nothing to load."""

    def make(self, codec: Any, most_pixels: Callable[[], int]) -> Decoder:
        return WithinDecoder(codec)

    def close(self) -> None:
        """Each ends with its track."""


class Terms(Protocol):
    """What somebody's frames may cost. Asked for by the decoder's thread, for each frame."""

    def most_pixels(self) -> int:
        """A larger frame is made smaller."""

    def yields(self) -> bool:
        """Others have the machine: a decoder has less time."""


class Decoding:
    """``make``: a decoder for a codec. ``give``: takes a frame, on the loop. ``ask``: for a key frame.

    It stands where aiortc has its queue: ``put`` is called on the loop, ``get`` on the thread, which stays in it.
    """

    def __init__(
        self,
        make: Callable[[Any], Decoder],
        give: Callable[[Any], None],
        ask: Callable[[], None],
        dropped: Counter[str],
    ) -> None:
        self._make, self._give, self._ask, self._dropped = make, give, ask, dropped
        self._loop = asyncio.get_running_loop()
        self._ready = threading.Condition()
        self._tasks: deque[Task] = deque()
        self._bytes = 0
        self._over = False
        self._handed = 0
        self._decoders: dict[str, Decoder] = {}
        self._time = TokenBucket(DECODE_S_PER_S, DECODE_S_BURST)
        self._new = TokenBucket(DECODERS_PER_S, DECODERS_BURST)
        self._steps = 0

    def put(self, task: Task | None) -> None:
        """None = it is over, and what waits is not decoded any more."""
        with self._ready:
            if task is None:
                self._over = True
                self._clear()
            elif not self._over:
                self._add(task)
            self._ready.notify()

    def get(self) -> None:
        """Decode until it is over."""
        while (task := self._next()) is not None:
            codec, frame = task
            try:
                self._one(codec, frame)
            except DecoderEnded:
                self._dropped["decoders"] += 1
                self._ended(codec)
            except Exception:  # of FFmpeg, for whatever a stranger sends
                self._dropped["damaged"] += 1
                self._failed()
        for decoder in self._decoders.values():
            decoder.close()
        self._decoders.clear()

    def _one(self, codec: Any, frame: Any) -> None:
        raise NotImplementedError

    def _failed(self) -> None:
        """What came last was not decoded."""

    def _ended(self, codec: Any) -> None:
        """Its decoder is no more: the next frame that can begin goes to another one."""
        if (decoder := self._decoders.pop(codec.name, None)) is not None:
            decoder.close()

    def _full(self) -> bool:
        raise NotImplementedError

    def _make_room(self) -> None:
        raise NotImplementedError

    def _decoded(self, codec: Any, frame: Any) -> list[Any]:
        decoder = self._decoders.get(codec.name)
        if decoder is None:
            decoder = self._decoders[codec.name] = self._make(codec)
            self._new.spend(1)
        decoder.steps = self._steps
        began_s = time.thread_time()
        try:
            return decoder.decode(frame)
        finally:
            self._spend(time.thread_time() - began_s + decoder.spent_s)

    def _may_decode(self, codec: Any, now_s: float) -> bool:
        """There is a decoder, or may be another one: whose frames end them one after another waits."""
        return codec.name in self._decoders or self._new.left(now_s) > 0

    def _spend(self, seconds: float) -> None:
        self._time.spend(seconds)

    def _hand_over(self, frame: Any) -> None:
        """To the loop, which may be slower than the decoder."""
        if self._handed >= HANDED_OVER:
            self._dropped["overrun"] += 1
            return
        self._handed += 1
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, frame)

    def _take(self, frame: Any) -> None:
        self._handed -= 1
        self._give(frame)

    def _add(self, task: Task) -> None:
        self._tasks.append(task)
        self._bytes += len(task[1].data)
        if self._full():
            self._make_room()

    def _clear(self) -> None:
        self._tasks.clear()
        self._bytes = 0

    def _next(self) -> Task | None:
        with self._ready:
            self._ready.wait_for(lambda: self._tasks or self._over)
            if self._over:
                return None
            task = self._tasks.popleft()
            self._bytes -= len(task[1].data)
            return task


class VideoDecoding(Decoding):
    """Of frames on such terms as their sender has at present."""

    def __init__(self, *parts: Any, terms: Terms) -> None:
        super().__init__(*parts)
        self._terms = terms
        self._reformatter = VideoReformatter()
        self._sizes, self._frames = TokenBucket(SIZES_PER_S, SIZES_BURST), TokenBucket(FRAMES_PER_S, FRAMES_BURST)
        self._size: headers.Declared | None = None
        self._waits_since_s: float | None = None  # for a key frame: what lies between was left out
        self._asked_s = 0.0

    def _one(self, codec: Any, frame: Any) -> None:
        now_s = time.monotonic()
        header = headers.read(codec.name, frame.data)
        if (why := self._refuses(codec, header, now_s)) is not None:
            self._dropped[why] += 1
            self._wait(now_s)
            return
        if header.sizes:
            self._steps = steps_for(max(size.width * size.height for size in header.sizes))
            give_way(self._steps)
        for image in self._decoded(codec, frame):
            if self._frames.take(1, now_s):
                self._hand_over(self._fitted(image))
            else:
                self._dropped["too many"] += 1

    def _refuses(self, codec: Any, header: headers.Header, now_s: float) -> str | None:
        """Why a frame is not decoded."""
        if not all(size.usable for size in header.sizes):
            return "too large"
        if self._time.left(now_s) <= 0 or not self._may_decode(codec, now_s):
            return "too costly"
        if self._waits_since_s is not None and not header.whole and now_s - self._waits_since_s < RESUME_S:
            return "incomplete"
        changes = len({*header.sizes, self._size} - {None}) - 1 if header.sizes else 0
        if changes > 0 and not self._sizes.take(changes, now_s):
            return "too many sizes"
        self._size, self._waits_since_s = header.sizes[-1] if header.sizes else self._size, None
        return None

    def _wait(self, now_s: float) -> None:
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        if now_s - self._asked_s > KEY_FRAME_REST_S:
            self._asked_s = now_s
            self._ask()

    def _failed(self) -> None:
        """What follows is decoded all the same, as far as it can be; a key frame would mend it."""
        if time.monotonic() - self._asked_s > KEY_FRAME_REST_S:
            self._asked_s = time.monotonic()
            self._ask()

    def _ended(self, codec: Any) -> None:
        """Another one begins with a whole frame."""
        super()._ended(codec)
        self._wait(time.monotonic())

    def _fitted(self, image: Any) -> Any:
        width, height = fitted(image.width, image.height, self._terms.most_pixels())
        if (width, height) == (image.width, image.height):
            return image
        began_s = time.thread_time()
        smaller = self._reformatter.reformat(image, width=width, height=height, interpolation="AREA", threads=1)
        smaller.pts, smaller.time_base = image.pts, image.time_base
        self._spend(time.thread_time() - began_s)
        return smaller

    def _spend(self, seconds: float) -> None:
        """Frames many times larger than what is made of them are charged more: their sender could send smaller ones."""
        pixels = self._size.width * self._size.height if self._size is not None else 0
        price = YIELDING_PRICE if self._terms.yields() else 1.0
        self._time.spend(seconds * price * max(1.0, pixels / (TIMES_LARGER * self._terms.most_pixels())))

    def _full(self) -> bool:
        return len(self._tasks) > QUEUED_FRAMES or self._bytes > QUEUED_FRAME_BYTES

    def _make_room(self) -> None:
        """What waits is of no use without what would be left out: all of it goes, and a key frame is asked for."""
        self._dropped["overrun"] += len(self._tasks)
        self._clear()
        self._wait(time.monotonic())


class AudioDecoding(Decoding):
    """Opus."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self._seconds = TokenBucket(AUDIO_S_PER_S, AUDIO_S_BURST)

    def _one(self, codec: Any, frame: Any) -> None:
        now_s = time.monotonic()
        rests = not self._may_decode(codec, now_s)
        if rests or self._time.left(now_s) <= 0 or self._seconds.left(now_s) <= 0:
            self._dropped["too much sound"] += 1
            return
        for audio in self._decoded(codec, frame):
            self._seconds.spend(audio.samples / RATE)
            self._hand_over(audio)

    def _full(self) -> bool:
        return len(self._tasks) > QUEUED_AUDIO

    def _make_room(self) -> None:
        self._bytes -= len(self._tasks.popleft()[1].data)
        self._dropped["overrun"] += 1
