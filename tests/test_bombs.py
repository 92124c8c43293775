"""What is little and becomes much, sent to a server that is a program: memory stays flat, others are answered, and
each bomb gets one sentence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bombs
import hostile_files
import pytest
from aiohttp import ClientSession, FormData
from bombs import MB
from raw_http import closed_in, connect, leave
from test_workers import Program, program
from web_peers import HEADERS, Visitor

from benchmarks.usage import children
from realtime_dub.web.limits import CHECK_MEMORY, CHECK_S

pytestmark = pytest.mark.timeout(300)

GROWN_MB = 60  # of front and workers together, at the worst moment of a bomb
BANK_MB = 130  # the same while a bank of 30 MB comes: it is held whole, once in the front's pipe and in a worker
KEPT_MB = 45  # more than before the first bomb, when all of them are over
READER_MB = (CHECK_MEMORY >> 20) + 260  # what its libraries take, and what it may take beyond
ANSWERED_S = 3.0  # a request of somebody else, on a machine with other work
OVER_S = CHECK_S + 20  # a bomb: what is read comes after all else that a busy machine does
Told = tuple[int, str]


def peak_mb(pid: int) -> float:
    """The most that it ever had, or has had since ``begin_anew``."""
    return _status(pid, "VmHWM")


def rss_mb(pid: int) -> float:
    return _status(pid, "VmRSS")


def _status(pid: int, name: str) -> float:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1_000
    return 0.0


def begin_anew(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def reads_files(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "leave_network" in Path(f"/proc/{pid}/cmdline").read_text()
    return False


@dataclass
class Watch:
    """The memory of a server's processes, every 10 ms: its readers live for a second."""

    server: Program
    readers_mb: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    @property
    def own(self) -> list[int]:
        """Front and workers."""
        return [self.server.process.pid, *self.server.workers()]

    def rss_mb(self) -> float:
        return sum(map(rss_mb, self.own))

    @contextlib.contextmanager
    def grown(self) -> Iterator[Callable[[], float]]:
        """By how much front and workers together were larger at most."""
        own = self.own
        before = sum(map(rss_mb, own))
        for pid in own:
            begin_anew(pid)
        yield lambda: sum(map(peak_mb, own)) - before

    def run(self) -> None:
        while not self._over.wait(0.01):
            for pid in children(self.server.process.pid):
                if reads_files(pid):
                    self.readers_mb = max(self.readers_mb, peak_mb(pid))

    def end(self) -> None:
        self._over.set()


@dataclass
class Asker:
    """Somebody else, who asks all the time; how long the slowest answer took."""

    http: ClientSession
    url: str
    longest_s: float = 0.0

    async def run(self) -> None:
        while True:
            began_s = time.monotonic()
            async with self.http.get(self.url + "/api/config") as answer:
                assert answer.status in (200, 429)
                await answer.read()
            self.longest_s = max(self.longest_s, time.monotonic() - began_s)
            await asyncio.sleep(0.1)


async def told(answer: Any) -> Told:
    """The status and the one sentence of an answer."""
    body = json.loads(await answer.text())
    if answer.status in (200, 201):
        return answer.status, "It is taken."
    error = body["error"]
    assert set(error) >= {"what", "do"}
    return answer.status, error["what"]


async def upload(http: ClientSession, url: str, name: str, data: bytes, path: str = "/api/uploads") -> Told:
    form = FormData()
    form.add_field("file", data, filename=name)
    async with http.post(url + path, data=form, headers=HEADERS) as answer:
        return await told(answer)


async def post(http: ClientSession, url: str, path: str, data: Any, method: str = "POST", **headers: str) -> Told:
    async with http.request(method, url + path, data=data, headers={**HEADERS, **headers}) as answer:
        return await told(answer)


FILES: dict[str, Callable[[], bytes]] = {
    "pixels.png": lambda: hostile_files.png(16_000, 16_000),
    "moving.png": lambda: hostile_files.moving_png(10_000, 8_000),
    "pixels.jpg": lambda: hostile_files.jpeg(65_500, 65_500),
    "pixels.webp": lambda: hostile_files.webp(16_000, 16_000),
    "pixels.gif": lambda: hostile_files.gif(60_000, 60_000),
    "pixels.tiff": lambda: bombs.tiff(40_000, 40_000),
    "pixels.bmp": lambda: bombs.bmp(60_000, 60_000),
    "pixels.jp2.png": lambda: hostile_files.jpeg2000(60_000, 60_000),
    "film.png": lambda: hostile_files.vp8(16_383, 16_383),
    "hours.mka": bombs.hours,
    "hours.flac": lambda: bombs.flac_hours(3_600),
    "hole.webm": lambda: hostile_files.holed(8_000, 1e6),
    "edited.m4a": bombs.edited,
    "described.m4a": bombs.described,
    "streams.mka": bombs.many_streams,
    "fast.wav": lambda: hostile_files.wav((1 << 31) - 1),
}
AVATARS: dict[str, Callable[[], bytes]] = {
    "network.zip": lambda: bombs.avatar("picture/picture.onnx", 2_000 * MB),
    "person.zip": lambda: bombs.avatar("person.npz", 2_000 * MB),
    "listed.zip": bombs.listed,
}
FILMS: dict[str, Callable[[], bytes]] = {
    "pixels.webm": lambda: hostile_files.vp8(16_383, 16_383),
    "streams.mkv": bombs.many_streams,
    "edited.mp4": bombs.edited,
}
INSPECTED: dict[str, Callable[[], bytes]] = {"deep": bombs.claimed_png, "text": bombs.texted_png}
PART = b"--a\r\nContent-Disposition: form-data; name=x\r\n\r\n\r\n"
FILE = b'--a\r\nContent-Disposition: form-data; name=x; filename="a.wav"\r\n\r\n'
CAPTIONS, VOICES = "/captions/hall?channel=es", "/voices/hall?channel=es"
VTT, WAV = {"Content-Type": "text/vtt"}, {"Content-Type": "audio/wav"}
FORM = {"Content-Type": "multipart/form-data; boundary=a"}
BODIES: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    "deep": ("/api/sessions", lambda: b"[" * 100_000, {}),
    "deep names": ("/api/sessions", lambda: b'{"a":' * 25_000, {}),
    "a number": ("/api/sessions", lambda: b"9" * 120_000, {}),
    "an exponent": ("/api/sessions", lambda: b'{"sdp": 1e999999999, "type": "offer"}', {}),
    "names": ("/api/sessions", lambda: json.dumps(dict.fromkeys(map(str, range(8_000)), 0)).encode(), {}),
    "too long": ("/api/sessions", lambda: b" " * 40 * MB, {}),
    "gzip": ("/api/sessions", lambda: bombs.deflated(300 * MB), {"Content-Encoding": "gzip"}),
    "deflate": ("/api/sessions", lambda: bombs.deflated(300 * MB), {"Content-Encoding": "deflate"}),
    "parts": ("/api/uploads", lambda: PART * 500_000 + b"--a--\r\n", FORM),
    "parts behind a file": ("/api/uploads", lambda: FILE + b"x\r\n" + PART * 500_000 + b"--a--\r\n", FORM),
    "before a part": ("/api/uploads", lambda: b"x\r\n" * 10_000_000 + b"--a--\r\n", FORM),
    "a line": ("/api/uploads", lambda: b"x" * 40 * MB, FORM),
    "headers": ("/api/uploads", lambda: b"--a\r\n" + b"x: y\r\n" * 5_000_000, FORM),
    "forms": ("/api/uploads", lambda: b"--a\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" * 500_000, FORM),
    "cues": (CAPTIONS, lambda: b"WEBVTT\n\n" + b"00:00.000 --> 99:00:00.000\nx\n\n" * 800_000, VTT),
    "a cue": (CAPTIONS, lambda: b"WEBVTT\n\n00:00.000 --> 99:00:00.000\n" + b"x" * 20 * MB, VTT),
    "lines": (CAPTIONS, lambda: b"x" * 20 * MB, {"Content-Type": "text/plain"}),
    "a wav": (VOICES, lambda: b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\x7f" + bytes(20 * MB), WAV),
    "a picture": ("/api/pictures", lambda: b"\x89PNG\r\n\x1a\n\x7f\xff\xff\xffIHDR" + bytes(18 * MB), {}),
}
MEDIA = b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:%d\r\n"
SDPS: dict[str, Callable[[], bytes]] = {
    "media": lambda: b"v=0\r\n" + b"".join(MEDIA % k for k in range(1_400)),
    "candidates": lambda: (
        b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        + b"".join(b"a=candidate:%d 1 udp 1 10.0.0.1 %d typ host\r\n" % (k, k) for k in range(1_000))
    ),
    "codecs": lambda: b"v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF" + b" 96" * 18_000 + b"\r\n",
    "too long": lambda: b"v=0\r\n" + MEDIA % 1 * 100_000,
}
BANKS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: bombs.zeros_zipped("neutral.npy", 2_000 * MB),
    "a shape": lambda: bombs.zipped(("format.npy", bombs.array_claiming((1 << 40,)))),
    "a deep head": lambda: bombs.zipped(("format.npy", bombs.nested_array())),
    "a list": bombs.listed,
    "long": lambda: bytes(30 * MB - 1),
    "longer": lambda: bytes(40 * MB),
}


MESSAGES: dict[str, Callable[[], bytes]] = {"long": lambda: bytes(8 * MB), "many": lambda: bytes(60_000)}


async def each_alone(
    watch: Watch,
    kind: str,
    made: dict[str, Callable[[], bytes]],
    send: Callable[[str, bytes], Awaitable[Told]],
    most_mb: float,
) -> dict[str, Told]:
    """Send each, two at once; what was answered. What both grow by is looked at."""
    found: dict[str, Told] = {}
    for name, make in made.items():
        data = await asyncio.to_thread(make)
        with watch.grown() as grown:
            began_s = time.monotonic()
            async with asyncio.timeout(OVER_S):
                answers = await asyncio.gather(send(name, data), send(name, data))
            print(f"{kind} {name}: {time.monotonic() - began_s:.1f} s, {grown():.0f} MB, {answers}")
            assert grown() < most_mb, (kind, name)
            found |= {name: answers[0], f"{name}, again": answers[1]}
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Program, Watch]]:
    with program("--workers", "2", "--train-avatars", "1", "--max-sessions", "3") as started:
        end_s = time.monotonic() + 60
        while len(started.workers()) < 2:
            assert time.monotonic() < end_s
            time.sleep(0.2)
        time.sleep(3)
        watch = Watch(started)
        thread = threading.Thread(target=watch.run, name="watch")
        thread.start()
        try:
            yield started, watch
        finally:
            watch.end()
            thread.join()


@contextlib.asynccontextmanager
async def others(url: str) -> AsyncIterator[ClientSession]:
    """A client, while somebody else asks and is answered soon."""
    async with ClientSession() as http, ClientSession() as theirs:
        asker = Asker(theirs, url)
        task = asyncio.create_task(asker.run())
        try:
            yield http
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        print(f"the slowest other answer: {asker.longest_s:.2f} s")
        assert task.cancelled()
        assert asker.longest_s < ANSWERED_S


def check(found: dict[str, Told], statuses: set[int]) -> None:
    for name, (status, what) in found.items():
        assert status in statuses, (name, status, what)
        assert what.endswith("."), (name, what)
        assert what[0].isupper(), (name, what)
        assert "\n" not in what, (name, what)
        assert "Traceback" not in what, (name, what)


@pytest.mark.long
def test_files(server: tuple[Program, Watch]) -> None:
    started, watch = server
    url = started.url

    async def go() -> None:
        async with others(url) as http:
            await upload(http, url, "none.wav", b"no voice at all")  # the first one loads what all need
            before_mb = watch.rss_mb()

            async def files(name: str, data: bytes) -> Told:
                return await upload(http, url, name, data)

            async def avatars(name: str, data: bytes) -> Told:
                return await upload(http, url, name, data, "/api/avatars")

            async def films(name: str, data: bytes) -> Told:
                return await upload(http, url, name, data, "/api/avatars/films?consent=true")

            async def inspected(name: str, data: bytes) -> Told:
                return await post(http, url, "/api/inspections", data)

            check(await each_alone(watch, "file", FILES, files, GROWN_MB), {201, 422})
            check(await each_alone(watch, "avatar", AVATARS, avatars, GROWN_MB), {422})
            check(await each_alone(watch, "film", FILMS, films, GROWN_MB), {422})
            check(await each_alone(watch, "inspected", INSPECTED, inspected, GROWN_MB), {200, 422})
            print(f"readers: {watch.readers_mb:.0f} MB; kept: {watch.rss_mb() - before_mb:.0f} MB")
            assert watch.readers_mb < READER_MB
            assert watch.rss_mb() - before_mb < KEPT_MB

    asyncio.run(go())


@pytest.mark.slow
def test_bodies(server: tuple[Program, Watch]) -> None:
    started, watch = server
    url = started.url

    async def go() -> None:
        async with others(url) as http:

            async def bodies(name: str, data: bytes) -> Told:
                path, _, headers = BODIES[name]
                return await post(http, url, path, data, **{"Content-Type": "application/json", **headers})

            async def sdps(name: str, data: bytes) -> Told:
                await asyncio.sleep(0.6)  # offers are limited
                return await post(http, url, "/whip/hall", data, **{"Content-Type": "application/sdp"})

            made = {name: make for name, (_, make, _) in BODIES.items()}
            for name in made:
                await bodies(name, b"{}")  # what reads such bodies is loaded by now, and is no part of what they leave
            await sdps("small", b"v=0\r\n")
            before_mb = watch.rss_mb()
            check(await each_alone(watch, "body", made, bodies, GROWN_MB), {400, 404, 413, 415, 422, 429})
            check(await each_alone(watch, "sdp", SDPS, sdps, GROWN_MB), {400, 409, 413, 429})
            print(f"kept: {watch.rss_mb() - before_mb:.0f} MB")
            assert watch.rss_mb() - before_mb < KEPT_MB

    asyncio.run(go())


@contextlib.asynccontextmanager
async def session(http: ClientSession, url: str) -> AsyncIterator[Visitor]:
    """A page that is dubbed."""
    visitor = Visitor(http, url)
    await visitor.connect()
    try:
        await visitor.until(lambda: len(visitor.got.pictures) > 20)
        yield visitor
    finally:
        await visitor.delete()
        await visitor.close()


@pytest.mark.long
def test_banks_and_messages(server: tuple[Program, Watch]) -> None:
    """Of a page that is dubbed meanwhile, and goes on being."""
    started, watch = server
    url = started.url

    async def go() -> None:
        async with others(url) as http, session(http, url) as visitor:

            async def bank(name: str, data: bytes) -> Told:
                while True:  # a few at once, then one in ten seconds
                    found = await post(http, url, f"/api/sessions/{visitor.id}/bank", data, "PUT")
                    if found[1] != "Too many mouth banks were sent.":
                        return found
                    await asyncio.sleep(3)

            async def message(name: str, data: bytes) -> Told:
                """It is dropped; the sentence is not for it."""
                visitor.pc.sctp._remote_max_message_size = 0  # whatever the other side says
                visitor.channel.send(data)
                await asyncio.sleep(2)
                assert visitor.pc.connectionState == "connected"
                return 200, "It is sent."

            check(await each_alone(watch, "bank", BANKS, bank, BANK_MB), {413, 422, 429})
            check(await each_alone(watch, "message", MESSAGES, message, GROWN_MB), {200})
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 20)
            assert watch.readers_mb < READER_MB

    asyncio.run(go())


async def socket_frames(url: str, *parts: bytes) -> float:
    """Sent after a websocket's handshake, with deflate; how long the server keeps the connection."""
    head = (
        b"GET /voices/hall?channel=es HTTP/1.1\r\nHost: " + url.removeprefix("http://").encode() + b"\r\n"
        b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nX-Requested-With: realtime-dub\r\n"
        b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    streams = await connect(url, head)
    try:
        assert b"101" in await streams[0].readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            for part in parts:
                streams[1].write(part)
                await streams[1].drain()
        return await closed_in(streams, 20)
    finally:
        leave(streams)


def frame(first: int, data: bytes, size: int | None = None) -> bytes:
    """Of a websocket, masked by nothing; ``size``: what it says that it has."""
    said = len(data) if size is None else size
    return bytes((first, 0xFF)) + struct.pack(">Q", said) + bytes(4) + data


SOCKETS: dict[str, Callable[[], list[bytes]]] = {
    "deflated": lambda: [frame(0xC2, bombs.deflated(900 * MB, raw=True)[:-4])],
    "deflated text": lambda: [frame(0xC1, bombs.deflated(900 * MB, raw=True)[:-4])],
    "deflated in pieces": lambda: [
        frame(0x42, bombs.deflated(300 * MB, raw=True)[:-4]),
        *[frame(0, bytes(9))] * 900,
        frame(0x80, b""),
    ],
    "claimed": lambda: [frame(0x82, bytes(2 * MB), 1 << 62)],
    "pieces": lambda: [frame(0x02, bytes(500_000)), *[frame(0, bytes(500_000))] * 60, frame(0x80, b"")],
}


@pytest.mark.slow
def test_websockets(server: tuple[Program, Watch]) -> None:
    started, watch = server

    async def go() -> None:
        async with others(started.url):
            for name, make in SOCKETS.items():
                parts = await asyncio.to_thread(make)
                with watch.grown() as grown:
                    kept_s = await socket_frames(started.url, *parts)
                    print(f"socket {name}: {kept_s:.1f} s, {grown():.0f} MB")
                    assert grown() < GROWN_MB, name
                    assert kept_s < 15, name

    asyncio.run(go())
