"""Decoders in processes of their own, as a worker has them.

A decoder that crashes, fills its memory or hangs costs the visitor whose frames it was given: the next key frame goes
to another one. What the process does not answer in time, it is killed for.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from av import AudioFrame, VideoFrame

from realtime_dub.web.confinement import environment
from realtime_dub.web.limits import DECODER_FRAMES, DECODER_S
from realtime_dub.web.rtc.apart import wire
from realtime_dub.web.rtc.codecs import AUDIO_BASE, LIBRARIES, RATE, VIDEO_BASE
from realtime_dub.web.rtc.decoding import Damaged, DecoderEnded, Decoders, Within

START_S = 20.0  # for Python and FFmpeg to be loaded, on a busy machine
FORK_S = 2.0  # for one decoder to be begun
COPIED = 0  # the place that a picture is copied from, where all others are still in use
NAMED = {name: number for number, name in enumerate(LIBRARIES)}
START = (
    "import sys; from realtime_dub.web.confinement import leave_network; left = leave_network(); "
    "from realtime_dub.web.rtc.apart.process import main; main(int(sys.argv[1]), left)"
)
log = logging.getLogger("realtime_dub.web")


def decoders(where: Literal["apart", "within"]) -> Decoders:
    """As ``serve --decode`` says; within this process where the system has not what the others need."""
    possible = sys.platform == "linux" and hasattr(os, "memfd_create") and hasattr(os, "pidfd_open")
    return ApartDecoders() if where == "apart" and possible else Within()


class ApartDecoders:
    """Of one worker. Blocking; called from the decoders' threads. :meth:`close` ends all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._closed = self._warned = False

    def start(self) -> None:
        """So that the first visitor does not wait for it. Where it does not start, the next one tries again."""
        with self._lock, suppress(DecoderEnded):
            self._started()

    def make(self, codec: Any, most_pixels: Callable[[], int]) -> ApartDecoder:
        """For a codec of aiortc. Raises DecoderEnded, KeyError for one that is none of ours."""
        return ApartDecoder(self.begin, codec.name.lower(), most_pixels)

    def begin(self, name: str, theirs: socket.socket, memory: int) -> int:
        """A process that decodes ``name``, with these two; its descriptor. Raises DecoderEnded."""
        with self._lock:
            channel = self._started()
            try:
                socket.send_fds(channel, [bytes((NAMED[name],))], [theirs.fileno(), memory])
                told = channel.recv(4)
                if len(told) < 4:
                    raise EOFError("it has ended")
                return os.pidfd_open(int.from_bytes(told, "little"))
            except (OSError, EOFError) as error:
                self._end()
                raise DecoderEnded(f"none can be begun: {error}") from error

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed = True
            self._end()

    def _started(self) -> socket.socket:
        if self._closed:
            raise DecoderEnded("the server stops")
        if self._process is not None and self._process.poll() is not None:
            self._end()
        if self._channel is None:
            self._process, self._channel = _start()
            try:
                left = self._channel.recv(1)
            except OSError as error:
                self._end()
                raise DecoderEnded("it does not start") from error
            if not left:
                self._end()
                raise DecoderEnded("it does not start")
            self._channel.settimeout(FORK_S)
            self._warn(left == b"\1")
        return self._channel

    def _end(self) -> None:
        """With it those that it began: it is their parent."""
        process, self._process = self._process, None
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()
        if process is not None:
            process.kill()
            process.wait()

    def _warn(self, left: bool) -> None:
        """Once."""
        if not left and not self._warned:
            self._warned = True
            log.warning("visitors' video is decoded with the network in reach: this system lets no process leave it")


class ApartDecoder:
    """One track's, and the memory that its pictures lie in. On one thread."""

    def __init__(
        self, begin: Callable[[str, socket.socket, int], int], name: str, most_pixels: Callable[[], int]
    ) -> None:
        self.spent_s = 0.0  # of the processor, there, for the last coded frame
        self.steps = 0  # of niceness, from the next one on
        self._most_pixels = most_pixels
        self._given, memory = _memory()
        self._free = deque(range(1, DECODER_FRAMES))
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._pidfd = begin(name, theirs, memory)
        except BaseException:
            ours.close()
            raise
        finally:
            os.close(memory)
        # The system's own time limits: Python's would ask it before each call whether the channel is ready.
        for which in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, which, struct.pack("@ll", int(DECODER_S), int(DECODER_S % 1 * 1e6)))
        self._channel = ours
        self.close = weakref.finalize(self, _close, ours, self._pidfd)

    def decode(self, encoded_frame: Any) -> list[Any]:
        """Frames of PyAV; pictures are no larger than wanted. Raises Damaged, DecoderEnded, which is for good."""
        self.spent_s = 0.0
        told, body = self._asked(wire.DECODE, encoded_frame.timestamp, encoded_frame.data)
        if told.what == wire.SOUND:
            return [_audio(told, body)]
        pictures = [self._picture(told)] if told.what == wire.PICTURE else []
        while told.more and len(pictures) < DECODER_FRAMES:
            told, _ = self._asked(wire.MORE)
            pictures += [self._picture(told)] if told.what == wire.PICTURE else []
        return pictures

    def _asked(self, what: int, timestamp: int = 0, data: bytes = b"") -> tuple[wire.Told, bytes]:
        self._place = self._free.popleft() if self._free else COPIED
        asked = wire.Asked(what, self._place, self.steps, self._most_pixels(), timestamp, len(data))
        try:
            wire.ask(self._channel, asked, data)
            told, body = wire.told(self._channel)
        except (BlockingIOError, TimeoutError):
            raise self._ended(f"it gave no answer within {DECODER_S:g} s") from None
        except (OSError, EOFError, ValueError) as error:
            raise self._ended(str(error)) from None
        self.spent_s += told.took_us / 1e6
        if told.what != wire.PICTURE and self._place != COPIED:
            self._free.append(self._place)
        if told.what == wire.DAMAGED:
            raise Damaged
        return told, body

    def _picture(self, told: wire.Told) -> VideoFrame:
        """Out of its place, which is free again when nobody has the frame any more."""
        width, height, format = told.width, told.height, wire.FORMATS[told.format]
        at = self._place * wire.PLACE_BYTES
        if self._place != COPIED and width % 2 == 0 and height % 4 == 0:  # PyAV takes no others as they lie
            planes = self._given[at : at + width * height * 3 // 2].reshape(-1, width)
            weakref.finalize(planes, self._free.append, self._place).atexit = False
            frame = VideoFrame.from_numpy_buffer(planes, format)
        else:
            frame = self._copied(at, width, height, format)
            if self._place != COPIED:
                self._free.append(self._place)
        frame.pts, frame.time_base = told.pts, VIDEO_BASE
        frame.color_range, frame.colorspace = told.range, told.space
        return frame

    def _copied(self, at: int, width: int, height: int, format: str) -> VideoFrame:
        frame = VideoFrame(width, height, format)
        for plane in frame.planes:
            count = plane.width * plane.height
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            there = self._given[at : at + count].reshape(plane.height, plane.width)
            np.copyto(rows[: plane.height, : plane.width], there)
            at += count
        return frame

    def _ended(self, why: str) -> DecoderEnded:
        self.close()
        return DecoderEnded(why)


def _audio(told: wire.Told, body: bytes) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.frombuffer(body, np.int16).reshape(1, -1), "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, told.pts, AUDIO_BASE
    return frame


def _memory() -> tuple[npt.NDArray[np.uint8], int]:
    """For pictures, and its descriptor. It has no name, and cannot be made shorter under whoever reads it."""
    memory = os.memfd_create("pictures", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(memory, wire.MEMORY_BYTES)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return np.frombuffer(mmap.mmap(memory, wire.MEMORY_BYTES), np.uint8), memory
    except BaseException:
        os.close(memory)
        raise


def _close(channel: socket.socket, pidfd: int) -> None:
    channel.close()
    with suppress(OSError):  # it has ended
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    os.close(pidfd)


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    null = subprocess.DEVNULL
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, str(theirs.fileno())],
            stdin=null, stdout=null, stderr=null, env=environment(), pass_fds=[theirs.fileno()], start_new_session=True,
        )  # fmt: skip
    ours.settimeout(START_S)
    return process, ours
