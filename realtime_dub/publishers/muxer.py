"""A file or a network stream (RTMP, SRT, MPEG-TS over UDP): H.264, or another codec, and AAC through PyAV.

An mp4 is written in fragments of half a second and turned into an ordinary file when it is closed, so that after a
crash everything but the last moment plays. A file appears with its first fragment, when it plays.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import av

from realtime_dub.errors import ConfigError, DependencyError, LostOutput, MediaError
from realtime_dub.media import MS, Coded, OutputFormat, Tick, ticks_to_ns
from realtime_dub.paths import reason
from realtime_dub.publishers import codecs, h264
from realtime_dub.publishers.carried import OPTIONS, Carried, Extras, write_tag
from realtime_dub.publishers.encoding import AudioEncoder, Packets, VideoEncoder, check_size, require_encoder
from realtime_dub.trust.intervals import Film, Intervals
from realtime_dub.trust.tag import Tag
from realtime_dub.writing import GrowingFile

FILES = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".ts": "mpegts", ".flv": "flv"}
STREAMS = {"rtmp": "flv", "rtmps": "flv", "srt": "mpegts", "udp": "mpegts"}
PORTS = {"rtmp": 1935, "rtmps": 443}
# delay_moov lets the edit list that skips the AAC encoder's first, empty packet into the header.
FRAGMENTED = {
    "movflags": "hybrid_fragmented+delay_moov+frag_keyframe+default_base_moof",
    "frag_duration": "500000",  # microseconds
}
CONTAINER_OPTIONS = {"mp4": FRAGMENTED, "mov": FRAGMENTED, "matroska": {"cluster_time_limit": "500"}}
CONNECT_TIMEOUT_S = 5.0
ADVICE = "check the address and the server"  # to who sends a stream
ERRORS = (OSError, ValueError, av.error.FFmpegError)
STREAM_LATENCY_NS = 10 * MS  # encoding one 640x480 picture and handing it to the network


class MuxPublisher:
    """Writes ticks to ``target``: a path with a suffix of FILES, or a URL with a scheme of STREAMS.

    ``codec``: one of ``codecs.NAMES``; ``encoder``: one of ``h264.NAMES``. ``crf`` (0 best .. 51) and ``preset`` are
    libx264's; encoders in hardware and other codecs have a quality near that of ``crf``, and no ``preset``. Without
    them a file made offline gets crf 16 and what is quickest for a film (``h264``), and is the same each time; live
    gets crf 23 and superfast without delay inside the encoder, and a network stream a bit rate cap of 0.1 bit per pixel
    besides. Times in mkv and flv are whole milliseconds.
    """

    policy: Literal["latest", "every"] = "every"
    converts_slowly = True

    def __init__(
        self,
        target: str | Path,
        *,
        crf: int | None = None,
        preset: str | None = None,
        encoder: str = h264.SOFTWARE,
        codec: str = codecs.USUAL,
    ) -> None:
        self._target = str(target)
        scheme = self._target.partition("://")[0].lower() if "://" in self._target else ""
        self.name = _without_secrets(self._target) if scheme in STREAMS else self._target
        self._path = None if scheme in STREAMS else Path(target)
        self._format = STREAMS.get(scheme) or FILES.get(Path(target).suffix.lower())
        self.latency_ns = STREAM_LATENCY_NS if self._path is None else 0
        self._crf, self._preset, self._encoder_name, self._codec = crf, preset, encoder, codec
        self._chosen, self._note = h264.X264, ""
        self._fmt: OutputFormat | None = None
        self._container: av.container.OutputContainer | None = None
        self._file: GrowingFile | None = None
        self._buffer: _Buffer | None = None
        self._failure: LostOutput | None = None
        self._video: VideoEncoder | None = None
        self._audio: AudioEncoder | None = None
        # Of the pictures' time line: handed to the muxer, the same a tick ago, and safe.
        self._muxed_ns = self._muxed_before_ns = self._kept_ns = 0
        self._extras: Extras | None = None
        self._carried: Carried | None = None
        self._tag: Tag | None = None
        self._dubbed = Intervals()
        self._film: Film | None = None
        if self._format is None:
            choices = ", ".join([*FILES, *(f"{name}://" for name in STREAMS)])
            raise ConfigError("unknown kind of output", repr(self.name), f"use one of {choices}")
        codecs.check(codec, encoder, self._format, self.name, preset)

    def carry(self, extras: Extras) -> None:
        """Before the first tick: tags, chapters and subtitles of the film that this is made of."""
        self._extras = extras

    def say(self, tag: Tag) -> None:
        """Before ``open``: what the header says from its first byte on."""
        self._tag = tag

    @property
    def film(self) -> Film | None:
        """The file, once it is closed and whole; None for a stream, a pipe, and what broke off."""
        return self._film

    @property
    def notes(self) -> list[str]:
        """What could not be carried over, and why no hardware encodes where that was to be tried."""
        told = [self._note] if self._note else []
        return told + (self._carried.notes if self._carried is not None else [])

    def open(self, fmt: OutputFormat) -> None:
        """Check a file's folder, or connect a stream. Raises MediaError or DependencyError."""
        require_encoder("aac")
        check_size(fmt)
        self._chosen, self._note = codecs.choose(self._codec, self._encoder_name, self._wanted(fmt))
        require_encoder(self._chosen.codec)
        self._fmt, self._failure = fmt, None
        self._dubbed, self._film = Intervals(), None
        self._muxed_ns = self._muxed_before_ns = self._kept_ns = 0
        if self._path is not None:
            self._file = GrowingFile(self._path)
            self._file.open()
        else:
            _check_reachable(self._target, self.name)
        try:
            self._start(fmt) if self._path is None else self._rehearse(fmt)
        except av.error.ProtocolNotFoundError as error:
            scheme = self._target.partition("://")[0]
            advice = "build PyAV against an FFmpeg that has it, or send udp:// to a relay or rtmp:// instead"
            raise DependencyError("this PyAV cannot send", f"{scheme}://", advice) from error
        except ERRORS as error:
            self._abandon()
            advice = ADVICE if self._path is None else "choose another preset, crf or size of the picture"
            raise MediaError("cannot write", f"{self.name}: {reason(error)}", advice) from error

    def publish(self, tick: Tick) -> None:
        """Encode and write. Raises LostOutput where it cannot; what was written before still plays."""
        if self._failure is not None:  # starting again would wipe out what was written
            raise self._failure
        assert self._fmt is not None, "publish comes after open"
        with self._explained():
            if self._container is None:
                self._start(self._fmt)
            safe_ns, self._muxed_before_ns = self._muxed_before_ns, self._muxed_ns  # the muxer may hold a picture back
            self._mux(self._encoder.encode(tick))
            if self._audio is not None and tick.audio is not None:
                self._mux(self._audio.encode(tick.audio))
            if self._carried is not None:
                self._mux(self._carried.until(tick.pts_ns + tick.duration_ns))
            self._write(safe_ns)
        self._dubbed.add(tick.pts_ns, tick.pts_ns + tick.duration_ns, tick.dubbed)

    def reads_beside(self, coded: Coded) -> int | None:
        """None before the first tick. May be asked on any thread."""
        video = self._video
        return None if video is None else video.reads_beside(coded)

    def close(self) -> None:
        """Write what the encoders hold back and the end of the file. Raises LostOutput where it cannot."""
        self._fmt = None
        if self._container is None:
            self._abandon()
            return
        with self._explained():
            self._mux(self._encoder.flush())
            if self._audio is not None:
                self._mux(self._audio.flush())
            if self._carried is not None:
                self._mux(self._carried.rest())
            self._container.close()
            self._write(self._muxed_ns)
            if self._file is not None:
                self._file.close()
                if self._file.seekable:
                    self._film = Film(self._file.path, self._dubbed.found(), self._dubbed.duration_ns)
        self._release()

    def _rehearse(self, fmt: OutputFormat) -> None:
        """Whether the encoder takes it is known before anything begins. What is carried over comes later."""
        with av.open(_Buffer(seekable=True), "w", format=self._format) as container:
            VideoEncoder(container, fmt, h264.options(self._chosen, self._wanted(fmt)), self._chosen)
            container.start_encoding()

    def _start(self, fmt: OutputFormat) -> None:
        options = {"flush_packets": "1", **CONTAINER_OPTIONS.get(self._format or "", {})}
        options |= OPTIONS if self._extras is not None and self._extras.subtitles else {}
        if self._file is not None:
            self._buffer = _Buffer(self._file.seekable)
            if not self._file.seekable and "movflags" in options:
                options["movflags"] = options["movflags"].replace("hybrid_fragmented+", "")
        target = self._buffer or self._target
        self._container = av.open(target, "w", format=self._format, container_options=options)
        options = h264.options(self._chosen, self._wanted(fmt))
        self._video = VideoEncoder(self._container, fmt, options, self._chosen)
        self._audio = AudioEncoder(self._container, fmt) if fmt.rate else None
        if self._extras is not None:
            self._carried = Carried(self._container, self._format or "", self._extras)
        if self._tag is not None:
            write_tag(self._container, self._format or "", self._tag)
        self._container.start_encoding()
        if self._buffer is not None:
            self._buffer.hold()

    def _wanted(self, fmt: OutputFormat) -> h264.Wanted:
        crf, preset = (23, "superfast") if fmt.live else (16, None)
        most = max(500_000, int(fmt.width * fmt.height * fmt.fps * 0.1)) if self._path is None else None
        return h264.Wanted(
            crf=crf if self._crf is None else self._crf,
            preset=self._preset or preset,
            live=fmt.live,
            fps=fmt.fps,
            size=(fmt.width, fmt.height),
            most_bits=most,
        )

    def _mux(self, packets: Packets) -> None:
        assert self._container is not None
        self._container.mux(packets)
        for packet in packets:
            if packet.stream.type == "video":
                end = (packet.pts or 0) + (packet.duration or 0)
                self._muxed_ns = max(self._muxed_ns, ticks_to_ns(end, packet.time_base))

    def _write(self, safe_ns: int) -> None:
        """Write what the muxer has given since the last time. Then ``safe_ns`` of the pictures are in the file."""
        if self._buffer is None or self._file is None:
            self._kept_ns = safe_ns
        elif self._buffer.has_media:
            self._file.append(*self._buffer.take())
            self._kept_ns = safe_ns

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except ERRORS as error:
            self._abandon()
            if self._file is not None:
                self._failure = self._file.lost(error, self._kept_ns)
            else:
                to = f"{self.name}: {reason(error)}"
                self._failure = LostOutput("cannot write", to, ADVICE, kept_ns=self._kept_ns)
            raise self._failure from error

    def _abandon(self) -> None:
        """Leave the file as it is: a trailer would turn the fragments into a file whose end is missing."""
        container = self._container
        self._release()
        if self._file is not None:
            self._file.abandon()
        if container is not None:
            with contextlib.suppress(*ERRORS):
                container.close()

    def _release(self) -> None:
        """Let go of the encoders: their threads end with them, and not when this is collected some time."""
        self._container = self._video = self._audio = None

    @property
    def _encoder(self) -> VideoEncoder:
        assert self._video is not None
        return self._video


class _Buffer:
    """What PyAV writes into, in memory, to be taken out in whole pieces. A pipe cannot be gone back in."""

    def __init__(self, seekable: bool) -> None:
        self._seekable = seekable
        self._taken = 0  # bytes
        self._held = 0
        self._at = 0
        self._piece = bytearray()
        self._patches: list[tuple[int, bytes]] = []

    def hold(self) -> None:
        """What is there by now, a header, is no piece yet."""
        self._held = len(self._piece)

    @property
    def has_media(self) -> bool:
        """There is something to take, not a header alone."""
        return len(self._piece) > self._held or bool(self._patches)

    def take(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """What came since the last time, and what belongs over earlier places: (where, what)."""
        piece, patches = bytes(self._piece), self._patches
        self._piece, self._patches = bytearray(), []
        self._taken += len(piece)
        self._held = 0
        return piece, patches

    def write(self, data: bytes) -> int:
        inside = self._at - self._taken
        if inside < 0:
            self._patches.append((self._at, bytes(data)))
        else:
            self._piece[inside : inside + len(data)] = data
        self._at += len(data)
        return len(data)

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._taken + len(self._piece))[whence]
        return self._at

    def tell(self) -> int:
        return self._at


def _without_secrets(url: str) -> str:
    """A stream's address as it may be shown: the end of its path is the key to publish with, its query a passphrase."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigError("no address:", url.partition("://")[0] + "://...", "write it as srt://host:port") from error
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _check_reachable(url: str, name: str) -> None:
    """FFmpeg waits for minutes for a server that does not answer, with all of Python waiting too: RTMP is TCP, so ask
    first. Not on this machine, where a refusal comes at once and a player that listens may take one connection only.
    """
    parts = urlsplit(url)
    if not parts.hostname:
        raise ConfigError("no host in", name, "write it as rtmp://host/app/key or srt://host:port")
    if parts.scheme.lower() not in PORTS:
        return
    try:
        port = parts.port or PORTS[parts.scheme.lower()]
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        if not all(ipaddress.ip_address(address[0]).is_loopback for *_, address in found):
            socket.create_connection((parts.hostname, port), CONNECT_TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise MediaError("cannot reach", f"{name}: {reason(error)}", ADVICE) from error
