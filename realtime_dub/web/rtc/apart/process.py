"""The process that decoders come from, started by ``decoders``.

It loads FFmpeg once, leaves the network, and begins a process of its own for each decoder that is asked for, which
shares with it what was loaded. A decoder has one channel to whoever asked, memory for pictures, and nothing else: no
file can be opened, none written, no process seen or begun. All end with whoever began this one.
"""

from __future__ import annotations

import gc
import mmap
import os
import signal
import socket
import time
from collections import deque
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from av import FFmpegError, VideoFrame
from av.video.reformatter import VideoReformatter

from realtime_dub.web.confinement import bound, children_alone, end_with_parent, next_child_alone
from realtime_dub.web.limits import DECODER_MEMORY
from realtime_dub.web.rtc.apart import wire
from realtime_dub.web.rtc.codecs import LIBRARIES, CodedDecoder
from realtime_dub.web.rtc.priority import fitted, give_way

NAMES = tuple(LIBRARIES)


def main(descriptor: int, left: bool) -> None:
    """``left``: the network is out of reach."""
    nursery = socket.socket(fileno=descriptor)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # whoever began this one says when it ends
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how a decoder ended
    for name in NAMES:
        CodedDecoder(name)  # what FFmpeg looks up at the first of a kind is there for all
    gc.collect()
    gc.freeze()
    nursery.send(bytes((left,)))
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    alone = next_child_alone(own)
    if not alone and children_alone() and os.fork() == 0:
        nursery.close()
        _first()
    while True:
        wanted, descriptors, _, _ = socket.recv_fds(nursery, 1, 2)
        if not wanted:
            return
        alone = alone and next_child_alone(own)
        pid = os.fork()
        if pid == 0:
            nursery.close()
            os.close(own)
            os._exit(_live(wanted[0], *descriptors))
        for each in descriptors:
            os.close(each)
        nursery.send(pid.to_bytes(4, "little"))


def _first() -> NoReturn:
    """The life of the process without which there can be no other one apart: it waits."""
    end_with_parent()
    while True:
        signal.pause()


def _live(number: int, channel: int, memory: int) -> int:
    """A decoder's life; how it ends."""
    end_with_parent()
    given = mmap.mmap(memory, wire.MEMORY_BYTES)
    os.close(memory)
    with socket.socket(fileno=channel) as whole:
        bound(None, DECODER_MEMORY, 0, 0)  # what is open stays open
        try:
            Decoding(NAMES[number], whole, given).run()
        except (EOFError, OSError):  # whoever asked has ended
            return 0
        except MemoryError:
            return 1
    return 0


class Decoding:
    """One decoder, in its process."""

    def __init__(self, name: str, channel: socket.socket, given: mmap.mmap) -> None:
        self._channel, self._given = channel, np.frombuffer(given, np.uint8)
        self._decoder = CodedDecoder(name)
        self._reformatter = VideoReformatter()
        self._pictures: deque[VideoFrame] = deque()

    def run(self) -> None:
        """Until whoever asks has ended. Raises EOFError, OSError, MemoryError."""
        while True:
            asked, data = wire.asked(self._channel)
            began_ns = time.process_time_ns()
            give_way(asked.steps)
            told, body = self._answer(asked, data)
            took_us = (time.process_time_ns() - began_ns) // 1_000
            wire.tell(self._channel, wire.Told(**{**told, "took_us": took_us}), body)

    def _answer(self, asked: wire.Asked, data: bytes) -> tuple[dict[str, int], bytes | memoryview]:
        if asked.what == wire.DECODE:
            self._pictures.clear()
            try:
                frames = self._decoder.decode(data, asked.timestamp)
            except MemoryError:
                raise
            except (FFmpegError, ValueError):
                return {"what": wire.DAMAGED}, b""
            if frames and not isinstance(frames[0], VideoFrame):
                return _sound(frames)
            self._pictures += frames
        if not self._pictures:
            return {"what": wire.NOTHING}, b""
        return self._picture(self._pictures.popleft(), asked), b""

    def _picture(self, frame: Any, asked: wire.Asked) -> dict[str, int]:
        """Made smaller where it is too large, and put in its place."""
        size = fitted(frame.width, frame.height, asked.most_pixels)
        pts, span, space = frame.pts, int(frame.color_range), int(frame.colorspace)
        if size != (frame.width, frame.height) or frame.format.name not in wire.FORMATS:
            format = frame.format.name if frame.format.name in wire.FORMATS else wire.FORMATS[0]
            frame = self._reformatter.reformat(frame, *size, format, interpolation="AREA", threads=1)
        at = asked.place * wire.PLACE_BYTES
        for plane in frame.planes:
            rows: npt.NDArray[np.uint8] = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
            count = plane.width * plane.height
            there = self._given[at : at + count].reshape(plane.height, plane.width)
            np.copyto(there, rows[: plane.height, : plane.width])
            at += count
        format_number = wire.FORMATS.index(frame.format.name)
        told = {"what": wire.PICTURE, "more": bool(self._pictures), "format": format_number, "pts": pts or 0}
        return {**told, "range": span, "space": space, "width": frame.width, "height": frame.height}


def _sound(frames: list[Any]) -> tuple[dict[str, int], bytes]:
    """What one packet of Opus gave: samples of 16 bits, two channels beside each other."""
    body = b"".join(bytes(frame.planes[0])[: frame.samples * 4] for frame in frames)
    if len(body) > wire.MOST_SOUND:
        return {"what": wire.DAMAGED}, b""
    return {"what": wire.SOUND, "pts": frames[0].pts or 0, "size": len(body)}, body
