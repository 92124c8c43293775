"""How many connections there may be, and how long each may take: nobody keeps others out by doing nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from patience import PATIENCE_S
from raw_http import answer_of, ask, closed_in, connect, leave
from web_peers import serving

from realtime_dub.web import limits
from realtime_dub.web.http import doors
from realtime_dub.web.http.callers import caller_of
from realtime_dub.web.http.places import Places

TOKEN = "a-token-of-some-length"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
MUTATION = b"Host: 127.0.0.1\r\nX-Requested-With: realtime-dub\r\n"
POST = b"POST /api/sessions HTTP/1.1\r\n" + MUTATION
OTHER = "127.0.0.2"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The times of the table, shorter."""
    for name, seconds in {"HEADERS_S": 0.4, "TLS_S": 0.4, "IDLE_S": 0.6, "BODY_WINDOW_S": 0.5}.items():
        monkeypatch.setattr(limits, name, seconds)
    monkeypatch.setattr(doors, "SWEEP_S", 0.05)


def test_silent_connections_give_way_the_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CONNECTIONS", 20)

    async def test() -> None:
        async with serving() as (_, _, url):
            silent = [await connect(url, b"GET /" if number % 2 else b"") for number in range(60)]
            assert (await ask(url, HEALTH)).status == 200
            for _ in range(round(10 * PATIENCE_S)):
                await asyncio.sleep(0.1)
                over = [reader.at_eof() or reader.exception() is not None for reader, _ in silent]
                if sum(over) >= 41:
                    break
            assert over == [True] * 41 + [False] * 19
            leave(*silent)

    asyncio.run(test())


def test_who_has_all_places_gives_one_to_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_CONNECTIONS", 20)

    async def test() -> None:
        async with serving() as (_, _, url):
            busy = [await connect(url, POST + b"Content-Length: 1000\r\n\r\n{") for _ in range(10)]
            busy += [await connect(url, b"PUT /api/sessions/a/bank HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(10)]
            await asyncio.sleep(0.2)
            assert (await ask(url, HEALTH, OTHER)).status == 200
            silent = [await connect(url, source=OTHER) for _ in range(40)]
            assert (await ask(url, HEALTH)).status == 200
            leave(*busy, *silent)

    asyncio.run(test())


def test_places_are_shared_fairly() -> None:
    places = Places(8)
    office = [places.take("office", float(second)) for second in range(8)]
    assert None not in office  # one address may have them all
    others = [places.take(name, 10.0) for name in "abc"]
    assert None not in others
    assert [place in places.all() for place in office] == [False] * 3 + [True] * 5
    for name in "defghijk":
        assert places.take(name, 11.0) is not None
    assert sum(place in places.all() for place in office) <= 1
    flood = [places.take("flood", 12.0) for _ in range(1_000)]
    assert sum(place is not None for place in flood) == limits.CONNECTIONS_BURST
    for place in [*office, *others, *flood]:
        if place is not None:
            places.leave(place)
            places.leave(place)


def test_an_address_is_a_network_where_everybody_has_one() -> None:
    assert caller_of("2001:db8:1:2::5") == caller_of("2001:db8:1:2:ffff::9%eth0") != caller_of("2001:db8:1:3::5")
    assert caller_of("::ffff:10.0.0.1") == caller_of("10.0.0.1") == "10.0.0.1"
    assert caller_of(None) == ""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("data", "secure"),
    [(b"", False), (b"GET / HTTP/1.1\r\n", False), (HEALTH, False), (b"", True), (b"\x16\x03\x01", True)],
    ids=["silent", "headers", "idle", "silent, TLS", "handshake"],
)
def test_who_says_nothing_more_is_left(data: bytes, secure: bool) -> None:
    async def test() -> None:
        async with serving(self_signed=secure) as (_, _, url):
            streams = await connect(url, data)
            dripping = asyncio.create_task(drip(streams[1], b"X: 1\r\n" if data.startswith(b"GET / ") else b"", 0.1))
            assert await closed_in(streams) < 10
            dripping.cancel()
            leave(streams)

    asyncio.run(test())


async def drip(writer: asyncio.StreamWriter, data: bytes, every_s: float) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(data)
            await asyncio.sleep(every_s)


@pytest.mark.usefixtures("quick")
def test_a_body_that_drips_is_cut_and_a_slow_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with serving() as (_, _, url):
            streams = await connect(url, POST + b"Content-Length: 1000\r\n\r\n")
            dripping = asyncio.create_task(drip(streams[1], b" ", 0.05))
            answer = await answer_of(streams)
            assert (answer.status, set(answer.told["error"])) == (408, {"what", "do"})
            assert await closed_in(streams) < 10
            dripping.cancel()
            slow = await connect(url, POST + b"Content-Length: 100000\r\n\r\n")
            for _ in range(20):  # 50 kB/s for two seconds
                slow[1].write(b" " * 5_000)
                await asyncio.sleep(0.1)
            assert (await answer_of(slow)).status == 400
            leave(streams, slow)

    asyncio.run(test())


def bomb(gigabytes: int) -> bytes:
    """A body that deflate makes so many zeros of."""
    packer = zlib.compressobj(9)
    begin = packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(10_000_000)) + packer.flush(zlib.Z_FULL_FLUSH)
    return begin + again * (100 * gigabytes)


@pytest.mark.parametrize("token", [TOKEN, None])
def test_a_packed_body_is_never_unpacked(token: str | None) -> None:
    packed = bomb(4)
    head = POST + b"Content-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(packed)

    async def test() -> None:
        async with serving(token=token) as (_, _, url):
            attack = [await connect(url, head + packed) for _ in range(2)]
            refusals = [asyncio.create_task(answer_of(each)) for each in attack]
            took_s = []
            for _ in range(10):
                began_s = time.monotonic()
                assert (await ask(url, HEALTH)).status == 200
                took_s.append(time.monotonic() - began_s)
            assert max(took_s) < 2
            assert [(await each).status for each in refusals] == [415 if token is None else 401] * 2
            leave(*attack)

    asyncio.run(test())


def test_where_descriptors_are_used_up_a_silent_visitor_gives_his_up() -> None:
    """The limit is below what is in use already."""

    async def test() -> None:
        async with serving() as (_, _, url):
            before = resource.getrlimit(resource.RLIMIT_NOFILE)
            streams = await connect(url)
            waiting = socket.socket()
            waiting.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1, before[1]))
            try:
                parts = urlsplit(url)
                await asyncio.get_running_loop().sock_connect(waiting, (parts.hostname, parts.port))
                await asyncio.get_running_loop().sock_sendall(waiting, HEALTH)
                async with asyncio.timeout(20):  # the silent one gives its descriptor up
                    assert b"200" in await asyncio.get_running_loop().sock_recv(waiting, 100)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, before)
                waiting.close()
                leave(streams)

    asyncio.run(test())


SERVE = """
import asyncio, sys, threading
from realtime_dub.web.http import api, routes, server
from realtime_dub.web.config import ServeConfig
async def hang(request):
    await asyncio.to_thread(threading.Event().wait)
if "hang" in sys.argv:
    api.metrics = hang
server.serve(ServeConfig(port=0, token="a-token-of-some-length"), lambda said: print(said, flush=True))
"""


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The server with 200 descriptors."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
                               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200)))  # fmt: skip
    try:
        yield process, process.stdout.readline().strip().partition("?")[0].rstrip("/")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("arguments", [(), ("hang",)], ids=["", "a thread that hangs"])
def test_the_server_lives_on_beside_silent_visitors_and_ends_when_it_is_asked_to(arguments: tuple[str, ...]) -> None:
    async def visit(url: str) -> None:
        silent = [await connect(url) for _ in range(300)]
        bearer = f"Authorization: Bearer {TOKEN}\r\n\r\n".encode()
        busy = [await connect(url, POST + b"Content-Length: 1000\r\n" + bearer) for _ in range(10)]
        busy.append(await connect(url, b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n" + bearer))
        assert (await ask(url, HEALTH)).status == 200
        process.send_signal(signal.SIGTERM)
        began_s = time.monotonic()
        await asyncio.to_thread(process.wait, PATIENCE_S)
        assert time.monotonic() - began_s < PATIENCE_S / 2  # aiohttp would wait for a minute
        leave(*silent, *busy)

    with program(*arguments) as (process, url):
        asyncio.run(visit(url))
        said = process.stderr.read()
    assert process.returncode == (1 if arguments else 0), said
    assert len(said) < 4_000
    assert TOKEN not in said
    assert "127.0.0." not in said
    assert "Traceback" not in said
