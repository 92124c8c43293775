"""What a visitor sent, read in a process of its own (started by ``checks``) and written anew.

Damaged or malicious files make decoders hang, fill the memory or crash; here that costs a process that is killed.
What the server plays is what was written here: FLAC of one or two channels, PNG of at most ``PICTURE_SIDE``, banks of
plain numbers. So nothing that a stranger made is ever decoded in the server's own process.
"""

from __future__ import annotations

import errno
import json
import os
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np

from realtime_dub.audio.resample import StreamResampler
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream, MediaError, RealtimeDubError
from realtime_dub.media import NS, Image, Samples, samples_to_ns
from realtime_dub.sources.image import ImageSource
from realtime_dub.sources.opening import open_alone
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.voices import open_voice
from realtime_dub.web.confinement import bound
from realtime_dub.web.limits import (
    AUDIO_FILE_RATE,
    AUDIO_FILE_S,
    CHECK_CPU_S,
    CHECK_MEMORY,
    CHECK_OUTPUT,
    FILM_LEAST_S,
    FILM_S,
    IMAGE_SIDE,
    SPARE_S,
)

FILES = 32  # descriptors
LIMITS = {
    errno.ENOMEM: "The file asks for more memory than any should; make it smaller",
    errno.EFBIG: "What the file holds is larger than any should be; send a part of it",
    errno.EMFILE: "The file leads to more files than any should; send it in one piece",
    errno.ENOSPC: "The server has no room for the file; tell the person who runs the server",
}
LAYOUTS = {1: "mono", 2: "stereo"}


def main(alone: bool) -> None:
    """Waits for a line of JSON, [kind, path, out, ...]; ``kind``: one of ``READERS``. Writes ``out``, or says why not.

    One line of JSON is answered. Ends without one where nobody asks for long. ``alone``: without the network.
    """
    ready, _, _ = select.select([sys.stdin], [], [], SPARE_S) if os.name == "posix" else ([sys.stdin], [], [])
    if not ready or not (asked := sys.stdin.readline()):
        return
    bound(CHECK_CPU_S, CHECK_MEMORY, CHECK_OUTPUT, FILES)
    fields = _answer(*json.loads(asked))
    print(json.dumps(fields if alone else {**fields, "network": True}))


def _answer(kind: str, path: str, out: str, *more: str) -> dict[str, Any]:
    try:
        return READERS[kind](Path(path), Path(out), *more)
    except MemoryError:
        return {"error": "The file asks for more memory than any should; make it smaller"}
    except RealtimeDubError as error:
        return {"error": str(error).replace(path, "the file")}
    except OSError as error:  # av's too
        if error.errno not in LIMITS:
            raise
        return {"error": LIMITS[error.errno]}


def audio_file(path: Path, out: Path) -> dict[str, Any]:
    """Its length in seconds."""
    source = open_voice(str(path), clock=VirtualClock(), video_path=None, live=False)
    try:
        info = source.open()
        _check_length(path)
        resampler = StreamResampler(info.rate, AUDIO_FILE_RATE, info.channels) if info.rate > AUDIO_FILE_RATE else None
        count = 0
        with _Flac(out, min(info.rate, AUDIO_FILE_RATE), info.channels) as flac:
            with suppress(EndOfStream):
                while True:
                    samples = source.read().samples
                    count += len(samples)
                    if count > AUDIO_FILE_S * info.rate:
                        raise _too_long()
                    flac.write(samples if resampler is None else resampler.process(samples))
            if resampler is not None:
                flac.write(resampler.flush())
    finally:
        source.close()
    if not count:
        raise MediaError("there is no audio in", str(path), "choose another file")
    return {"seconds": round(samples_to_ns(count, info.rate) / NS, 2)}


def _check_length(path: Path) -> None:
    """What the file says of itself, before half an hour of it is decoded for nothing. Raises MediaError."""
    said_s = 0.0
    with suppress(av.FFmpegError, OSError, ValueError), path.open("rb") as file, open_alone(file) as container:
        said_s = (container.duration or 0) / av.time_base
    if said_s > AUDIO_FILE_S + 1:
        raise _too_long()


def _too_long() -> MediaError:
    return MediaError("the audio is longer than", f"{AUDIO_FILE_S // 60} minutes", "send a part of it")


class _Flac:
    def __init__(self, path: Path, rate: int, channels: int) -> None:
        self._container = av.open(str(path), "w", format="flac")
        self._stream = self._container.add_stream("flac", rate=rate, layout=LAYOUTS[channels])
        self._stream.codec_context.format = "s16"
        self._rate, self._layout, self._fifo = rate, LAYOUTS[channels], av.AudioFifo()

    def write(self, samples: Samples) -> None:
        """(n, channels)."""
        if len(samples) == 0:
            return
        values = np.clip(np.round(samples * 32_767), -32_768, 32_767).astype(np.int16)
        frame: Any = av.AudioFrame.from_ndarray(np.ascontiguousarray(values.reshape(1, -1)), "s16", self._layout)
        frame.sample_rate = self._rate
        self._fifo.write(frame)
        self._send(partial=False)

    def _send(self, partial: bool) -> None:
        size = self._stream.codec_context.frame_size or 4_608
        while (frame := self._fifo.read(size, partial)) is not None:
            self._container.mux(self._stream.encode(frame))
            if partial:
                return

    def __enter__(self) -> _Flac:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._send(partial=True)
            self._container.mux(self._stream.encode(None))
        self._container.close()


def image_file(path: Path, out: Path) -> dict[str, Any]:
    """Brings it to a size that can be sent: even, and no larger than a camera's."""
    import cv2

    image = _first_image(path)
    scale = min(1.0, IMAGE_SIDE / max(image.shape[:2]))
    size = [max(2, int(side * scale) & ~1) for side in (image.shape[1], image.shape[0])]
    # Whatever it was called, it is a PNG from now on: files are told by their content.
    out.write_bytes(cv2.imencode(".png", cv2.resize(image, size, interpolation=cv2.INTER_AREA))[1].tobytes())
    return {"seconds": None}


def _first_image(path: Path) -> Image:
    source = open_video(str(path), clock=VirtualClock(), live=False)
    if isinstance(source, ImageSource):
        source = ImageSource(path, enough=IMAGE_SIDE)
    try:
        source.open()
        image: Image = source.read().image
        return image
    except EndOfStream:
        raise MediaError("there is no picture in", str(path), "choose another file") from None
    finally:
        source.close()


def packed_avatar(path: Path, out: Path) -> dict[str, Any]:
    """Of whose recording it is. What is written is known to show somebody."""
    from realtime_dub.mouth.avatar.folder import read_about
    from realtime_dub.mouth.avatar.generator import AvatarGenerator
    from realtime_dub.mouth.avatar.packed import unpack

    unpack(path, out)
    AvatarGenerator(out).close()
    return {"label": read_about(out).recording.name}


def film_file(path: Path, out: Path) -> dict[str, Any]:
    """Its length in seconds; nothing is written. It has a picture and a voice, and is as long as an avatar needs."""
    with path.open("rb") as file, open_alone(file) as film:
        seconds = (film.duration or 0) / av.time_base
        heard, shown = bool(film.streams.audio), bool(film.streams.video)
    if not (heard and shown):
        missing = "voice in it" if shown else "picture in it"
        raise MediaError("there is no", missing, "send a film of a person who talks")
    if not FILM_LEAST_S <= seconds <= FILM_S:
        what = f"{seconds:.0f} s, and {FILM_LEAST_S:g} s to {FILM_S // 60} minutes are taken"
        raise MediaError("the film has", what, "send 3 to 5 minutes of one person who talks")
    _first_image(path)
    return {"seconds": round(seconds, 1)}


def bank(path: Path, out: Path, engine: str) -> dict[str, Any]:
    """Nothing. What is written is plain: pictures as they are, packed into nothing."""
    from realtime_dub.web.studio.banks import from_bytes

    from_bytes(path.read_bytes(), engine).save(out, plain=True)
    return {"state": "read"}


def inspection(path: Path, out: Path) -> dict[str, Any]:
    """What a file says of itself; nothing is written."""
    from realtime_dub.trust.inspection import inspect

    return inspect(path).as_dict()


READERS: dict[str, Callable[..., dict[str, Any]]] = {
    "bank": bank,
    "sound": audio_file,
    "picture": image_file,
    "avatar": packed_avatar,
    "film": film_file,
    "inspection": inspection,
}
