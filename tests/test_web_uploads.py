"""What a visitor may send: looked at elsewhere, bounded in number, and nothing left of what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import av
import cv2
import hostile_files
import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from faces import portrait
from mutations import sample
from patience import PATIENCE_S
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from benchmarks.studio_page import Server
from realtime_dub.clock import VirtualClock
from realtime_dub.sources.audio_file import AudioFileSource
from realtime_dub.sources.registry import open_video
from realtime_dub.web.http import receiving
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import checks, uploads
from realtime_dub.web.studio.checks import Checks
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.studio.uploads import Uploads

BOUNDARY = "----a-boundary"
VOICE = sample(".wav")


async def send(http: ClientSession, url: str, data: bytes, name: str = "voice.wav") -> tuple[int, Any]:
    form = FormData()
    form.add_field("file", data, filename=name)
    return (await ask(http, "POST", f"{url}/api/uploads", data=form, headers=HEADERS))[:2]


def lying(studio: Studio) -> list[str]:
    return [each.name for each in studio.uploads._folder.iterdir()]


async def nothing_lies(studio: Studio, but: int = 0) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while len(found := await asyncio.to_thread(lying, studio)) > but or studio.uploads._arriving:
        assert time.monotonic() < end_s, (found, studio.uploads._arriving)
        await asyncio.sleep(0.05)


def form(*parts: bytes, boundary: str = BOUNDARY, end: bytes | None = None) -> bytes:
    line = f"--{boundary}".encode()
    return b"".join(line + b"\r\n" + part + b"\r\n" for part in parts) + (line + b"--\r\n" if end is None else end)


def file_part(data: bytes, name: str | None = "voice.wav", kind: str = "audio/wav") -> bytes:
    shown = "" if name is None else f'; filename="{name}"'
    head = f'Content-Disposition: form-data; name="file"{shown}\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + data


TYPE = f"multipart/form-data; boundary={BOUNDARY}"
NESTED = file_part(form(file_part(VOICE), boundary="inner"), None, "multipart/mixed; boundary=inner")
MALFORMED = {
    "cut short": (form(file_part(VOICE), end=b"")[:-20], TYPE, 400),
    "cut in the head": (form(b"Content-Dispos", end=b"")[:-2], TYPE, 400),
    "another boundary": (form(file_part(VOICE), boundary="other"), TYPE, 400),
    "no boundary": (form(file_part(VOICE)), "multipart/form-data", 400),
    "an endless boundary": (form(file_part(VOICE)), f"multipart/form-data; boundary={'x' * 5_000}", 400),
    "no file name": (form(file_part(VOICE, None)), TYPE, 400),
    "an empty file name": (form(file_part(VOICE, "")), TYPE, 400),
    "a name with slashes": (form(file_part(VOICE, "../../../etc/voice.wav")), TYPE, 201),
    "a name with NUL": (form(file_part(VOICE, "voice.wav\0.exe")), TYPE, 400),
    "a name of 5,000": (form(file_part(VOICE, "v" * 5_000 + ".wav")), TYPE, 201),
    "a suffix of 5,000": (form(file_part(VOICE, "v." + "w" * 5_000)), TYPE, 415),
    "a head of 50,000": (form(file_part(VOICE, "v" * 50_000 + ".wav")), TYPE, 400),
    "two files": (form(file_part(VOICE), file_part(VOICE)), TYPE, 400),
    "nothing in it": (form(file_part(b"")), TYPE, 422),
    "no part": (form(), TYPE, 400),
    "no body": (b"", TYPE, 400),
    "nested": (form(NESTED), TYPE, 400),
    "mixed": (form(file_part(VOICE)), f"multipart/mixed; boundary={BOUNDARY}", 201),
    "a coding that is none": (form(b"Content-Transfer-Encoding: nonsense\r\n" + file_part(VOICE)), TYPE, 201),
    "no colon": (form(b"nonsense\r\n\r\n" + VOICE), TYPE, 400),
    "bytes": (bytes(range(256)) * 20, TYPE, 400),
    "no form": (VOICE, "audio/wav", 415),
}


def test_whatever_the_form_is_it_is_answered_and_nothing_stays() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            for what, (body, kind, expected) in MALFORMED.items():
                headers = {**HEADERS, "Content-Type": kind}
                status, told, _ = await ask(http, "POST", f"{url}/api/uploads", data=body, headers=headers)
                assert status == expected, (what, status, told)
                assert expected == 201 or (told["error"]["what"] and len(str(told)) < 1_000), what
            await nothing_lies(studio, but=sum(expected == 201 for *_, expected in MALFORMED.values()))

    asyncio.run(test())


@contextlib.asynccontextmanager
async def half_sent(url: str, announced: int, sent: bytes) -> AsyncIterator[asyncio.StreamReader]:
    """A request whose head announces more than ever comes."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /api/uploads HTTP/1.1\r\nHost: {host}:{port}\r\nX-Requested-With: realtime-dub\r\n"
        f"Content-Type: {TYPE}\r\nContent-Length: {announced}\r\n\r\n"
    )
    writer.write(head.encode() + sent)
    await writer.drain()
    try:
        yield reader
    finally:
        writer.close()


def test_who_leaves_or_stops_in_the_middle_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "UPLOAD_STALL_S", 1.0)
    body = form(file_part(VOICE), end=b"")

    async def test() -> None:
        async with serving() as (studio, _, url):
            async with half_sent(url, len(body) + 50_000, body):
                await asyncio.sleep(0.3)
                assert len(studio.uploads._arriving) == 1
            await nothing_lies(studio)
            async with half_sent(url, len(body) + 50_000, body) as reader:  # and says nothing more
                assert b"408" in await asyncio.wait_for(reader.readline(), PATIENCE_S)
                await nothing_lies(studio)

    asyncio.run(test())


def test_what_is_refused_does_not_stay_on_the_disk() -> None:
    async def test() -> None:
        async with serving(upload_mb=1) as (studio, http, url):
            for data, name in ((b"no sound", "a.wav"), (b"no picture", "a.png"), (sample(".png"), "a.wav")):
                status, told = await send(http, url, data, name)
                assert status == 422, told
            assert (await send(http, url, b"\0" * 1_500_000))[0] == 413
            await nothing_lies(studio)

    asyncio.run(test())


HOSTILE = {
    "four.webm": hostile_files.holed(4, 100_000),
    "one.wav": hostile_files.wav(1),
    "forty.wav": hostile_files.wav(40),
    "fast.wav": hostile_files.wav(10_000_000),
    "faster.wav": hostile_files.wav((1 << 31) - 1),
    "wide.wav": hostile_files.wav(8_000, 500),
    "hole.webm": hostile_files.holed(8_000, 1e6),
    "big.jpg": hostile_files.jpeg(30_000, 30_000),
    "big.png": hostile_files.png(16_000, 16_000),
    "big.webp": hostile_files.webp(16_000, 4_000),
    "big.gif": hostile_files.gif(40_000, 40_000),
    "big.jp2.png": hostile_files.jpeg2000(30_000, 2_200),
    "film.png": hostile_files.vp8(16_383, 16_383),
    "moving.png": hostile_files.moving_png(10_000, 8_000),
}


@pytest.mark.slow
def test_what_only_declares_is_refused_with_a_sentence_and_fills_no_memory() -> None:
    """In the server's own process none of them is decoded."""

    async def test() -> dict[str, tuple[int, Any]]:
        async with serving() as (studio, http, url):
            before_mb = rss_mb()
            answers = {}
            for some in batched(HOSTILE.items()):
                told = await asyncio.gather(*(send(http, url, data, name) for name, data in some))
                answers |= dict(zip((name for name, _ in some), told, strict=True))
                assert rss_mb() - before_mb < 60, some
            await nothing_lies(studio)
            return answers

    answers = asyncio.run(test())
    assert {name: status for name, (status, _) in answers.items() if status != 422} == {}
    said = {name: told["error"]["what"] for name, (_, told) in answers.items()}
    assert "4 Hz" in said["four.webm"]
    assert "30 minutes" in said["hole.webm"]
    assert "67 million" in said["big.jpg"]
    for each in said.values():
        assert each[0].isupper()
        assert each.endswith(".")
        assert "/" not in each


def batched(things: Any) -> list[Any]:
    things = list(things)
    return [things[at : at + 4] for at in range(0, len(things), 4)]


def rss_mb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20


@pytest.mark.parametrize("kind", [".mp3", ".ogg", ".flac", ".m4a", ".wav"])
def test_sound_is_written_anew_and_stays_what_it_was(kind: str, tmp_path: Path) -> None:
    files = Uploads(1 << 20, tmp_path)
    arrival = files.begin(f"a{kind}")
    arrival.path.write_bytes(sample(kind))
    whole = samples_of(arrival.path)
    kept = files.keep(arrival)
    again = samples_of(kept.path)
    files.close()
    assert kept.path.read_bytes()[:4] == b"fLaC"
    assert not arrival.path.exists()
    assert again.shape == whole.shape
    assert np.abs(again - np.clip(whole, -1, 1)).max() < 1e-4
    assert kept.seconds == pytest.approx(len(whole) / {".wav": 8_000}.get(kind, 48_000), abs=0.01)


def samples_of(path: Path) -> np.ndarray:
    source, parts = AudioFileSource(path), []
    source.open()
    with contextlib.suppress(Exception):
        while True:
            parts.append(source.read().samples)
    source.close()
    return np.concatenate(parts)


def test_a_photograph_of_48_million_pixels_is_taken(tmp_path: Path) -> None:
    files = Uploads(1 << 30, tmp_path)
    small = cv2.resize(portrait(240), (806, 604))
    arrival = files.begin("IMG_0001.JPG")
    arrival.path.write_bytes(cv2.imencode(".jpg", cv2.resize(small, (8_064, 6_048)))[1].tobytes())
    kept = files.keep(arrival)
    source = open_video(str(kept.path), clock=VirtualClock(), live=False)
    source.open()
    image = source.read().image
    source.close()
    files.close()
    assert image.shape == (960, 1280, 3)
    assert np.abs(cv2.resize(image, (806, 604)).astype(int) - small).mean() < 4


# The process that looks.


def test_one_that_takes_too_long_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "CHECK_S", 0.5)
    since_s = time.monotonic()
    with pytest.raises(Refusal, match="too long"):
        Checks((sys.executable, "-c", "import time; time.sleep(600)")).run("sound", tmp_path, tmp_path)
    assert time.monotonic() - since_s < PATIENCE_S


@pytest.mark.parametrize("does", ["import os; os.abort()", "print('no json')", "print('[]')", "1/0"])
def test_one_that_crashes_refuses_the_file(does: str, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        Checks((sys.executable, "-c", does)).run("sound", tmp_path, tmp_path)


def test_those_at_work_end_with_the_server(tmp_path: Path) -> None:
    files = Uploads(1 << 20, tmp_path, Checks((sys.executable, "-c", "import time; time.sleep(600)")))
    waiting = []
    for _ in range(4):
        arrival = files.begin("a.wav")
        arrival.path.write_bytes(b"a voice")
        waiting.append(files.pool.submit(files.keep, arrival))
    end_s = time.monotonic() + PATIENCE_S
    while len(files.checks._running) < 2 and time.monotonic() < end_s:
        time.sleep(0.01)
    assert len(files.checks._running) == 2  # the others wait for them
    since_s = time.monotonic()
    files.close()
    assert time.monotonic() - since_s < PATIENCE_S
    for each in waiting:
        assert each.cancelled() or isinstance(each.exception(PATIENCE_S), Refusal)


def test_a_server_with_uploads_of_every_state_ends_when_it_is_told_to() -> None:
    slow = hostile_files.wav(384_000, 2, 8_000_000)  # seconds to look at
    body = form(file_part(VOICE), end=b"")

    async def test(url: str, pid: int) -> None:
        async with ClientSession() as http, contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(half_sent(url, len(body) + 50_000, body))
            sending = [asyncio.create_task(send(http, url, slow)) for _ in range(3)]
            await asyncio.sleep(1.5)
            os.kill(pid, signal.SIGTERM)
            await asyncio.gather(*sending, return_exceptions=True)

    server = Server("--quiet")
    asyncio.run(test(server.url.rstrip("/"), server.pid))
    since_s = time.monotonic()
    server.close()
    assert time.monotonic() - since_s < 8


# So many at a time.


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What looks writes a file at once."""
    script = "import json; open(json.loads(input())[2], 'wb').write(b'a voice'); print('{\"seconds\": 1}')"
    monkeypatch.setattr(checks, "PROGRAM", (sys.executable, "-S", "-E", "-c", script))
    monkeypatch.setattr(Checks.__init__, "__defaults__", ((sys.executable, "-S", "-E", "-c", script), False))


def arrived(files: Uploads, visitor: str, used: set[str] | None = None) -> str:
    arrival = files.begin("a.wav", visitor)
    arrival.path.write_bytes(b"a voice")
    return files.keep(arrival, used or set()).id


def test_one_visitors_uploads_lock_nobody_out(tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOADS_PER_VISITOR", 3)
    monkeypatch.setattr(uploads, "UPLOADS_IN_ALL", 5)
    files = Uploads(1 << 20, tmp_path)
    neighbour = arrived(files, "neighbour")
    in_use = arrived(files, "greedy")
    for _ in range(6):
        arrived(files, "greedy", {in_use})
    assert len(files._kept) == 5  # three of the greedy one, what is in use, and the neighbour's
    files.find(in_use, "sound")
    for k in range(5):
        arrived(files, f"other {k}", {in_use})
    assert len(files._kept) == 6
    files.find(in_use, "sound")
    files.find(arrived(files, "neighbour", {in_use, neighbour}), "sound")
    assert len(list(tmp_path.iterdir())) == len(files._kept)
    files.close()


def test_of_those_on_their_way_the_slowest_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "RECEIVED_PER_VISITOR", 2)
    monkeypatch.setattr(uploads, "RECEIVED_IN_ALL", 3)
    files = Uploads(1 << 20, tmp_path)
    slow, quick = files.begin("a.wav", "me"), files.begin("a.wav", "me")
    with pytest.raises(Refusal, match="on their way"):
        files.begin("a.wav", "me")
    monkeypatch.setattr(uploads, "RECEIVED_LEAST_S", 0.0)
    slow.size, quick.size = 10, 10_000_000
    third = files.begin("a.wav", "me")
    assert (slow.given_up, quick.given_up) == (True, False)
    quick.whole = third.whole = True
    files.begin("a.wav", "you")
    files.begin("a.wav", "he")  # in the place of the only one that is not there yet
    assert files._arriving >= {quick, third}
    assert len(files._arriving) == 3
    files.close()


def test_forty_at_once_pass_no_limit_and_the_next_one_is_taken(quick: None) -> None:
    async def test() -> None:
        async with serving(token=None) as (studio, http, url):
            most = 0

            async def watch() -> None:
                nonlocal most
                while True:
                    most = max(most, len(studio.uploads._arriving) + len(studio.uploads._kept))
                    await asyncio.sleep(0.001)

            watching = asyncio.create_task(watch())
            answers = await asyncio.gather(*(send(http, url, VOICE) for _ in range(40)))
            watching.cancel()
            statuses = {status for status, _ in answers}
            assert statuses <= {201, 429}, answers
            assert most <= uploads.UPLOADS_PER_VISITOR + uploads.RECEIVED_PER_VISITOR
            await nothing_lies(studio, but=uploads.UPLOADS_PER_VISITOR)
            assert (await send(http, url, VOICE))[0] == 201

    asyncio.run(test())


def test_a_slow_sender_gives_way_to_a_neighbour(monkeypatch: pytest.MonkeyPatch, quick: None) -> None:
    monkeypatch.setattr(uploads, "RECEIVED_LEAST_S", 0.2)
    body = form(file_part(VOICE), end=b"")

    async def test() -> None:
        async with serving() as (studio, http, url), contextlib.AsyncExitStack() as stack:
            readers = [
                await stack.enter_async_context(half_sent(url, len(body) + 50_000, body))
                for _ in range(uploads.RECEIVED_PER_VISITOR)
            ]
            await asyncio.sleep(0.5)
            assert (await send(http, url, VOICE))[0] == 201
            done, _ = await asyncio.wait(
                [asyncio.create_task(each.readline()) for each in readers], timeout=5, return_when="FIRST_COMPLETED"
            )
            assert all(b"408" in each.result() for each in done)
            assert done
            assert len(studio.uploads._arriving) < uploads.RECEIVED_PER_VISITOR

    asyncio.run(test())


def test_what_a_session_uses_is_not_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "UPLOAD_KEPT_S", -1)

    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url, sends=False)) as visitor:
            _, picture = await send(http, url, cv2.imencode(".png", portrait(240))[1].tobytes(), "me.png")
            await visitor.connect(voice="none", picture=f"upload:{picture['id']}")
            await asyncio.sleep(2.5)
            studio.uploads.find(picture["id"], "picture")
            await visitor.until(lambda: len(visitor.got.pictures) > 5)
            assert await visitor.delete() == 204

    asyncio.run(test())


def test_a_film_of_sound_alone_may_be_sent(tmp_path: Path) -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.int16), "s16", "mono")
        frame.sample_rate = 48_000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    files = Uploads(1 << 20, tmp_path)
    arrival = files.begin("speech.webm")
    arrival.path.write_bytes(out.getvalue())
    assert files.keep(arrival).seconds == pytest.approx(1.0, abs=0.05)
    files.close()
