"""Attacks on what a visitor may send. Each runs for some seconds against a server; what it is answered does not matter.

``ATTACKS`` names them: ``await ATTACKS[name](url, token, seconds)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import ClientError, ClientSession, ClientTimeout, FormData
from yarl import URL

from tests import hostile_files

Attack = Callable[[str, str | None, float], Awaitable[Counter[int]]]
File = tuple[bytes, str]
BOUNDARY = "----a-boundary"
MALFORMED = (
    f"--{BOUNDARY}\r\n".encode() * 5_000,
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF'.encode(),
    b'--other\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--other--',
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; filename="{"v" * 50_000}.wav"\r\n\r\n'.encode(),
    bytes(range(256)) * 4_000,
)


def _headers(token: str | None) -> dict[str, str]:
    known = {"X-Requested-With": "realtime-dub"}
    return known | ({"Authorization": f"Bearer {token}"} if token else {})


def sends(files: Sequence[File], at_once: int) -> Attack:
    """So many at once, again and again."""

    async def attack(url: str, token: str | None, seconds: float) -> Counter[int]:
        until_s, answers = time.monotonic() + seconds, Counter[int]()

        async def one(http: ClientSession, number: int) -> None:
            while (left_s := until_s - time.monotonic()) > 0:
                data, name = files[number % len(files)]
                number += at_once
                form = FormData()
                form.add_field("file", data, filename=name)
                with contextlib.suppress(ClientError, TimeoutError):
                    async with http.post(
                        f"{url}/api/uploads", data=form, headers=_headers(token), timeout=ClientTimeout(left_s)
                    ) as response:
                        await response.read()
                        answers[response.status] += 1
                await asyncio.sleep(0.05)

        async with ClientSession() as http:
            await asyncio.gather(*(one(http, number) for number in range(at_once)))
        return answers

    return attack


async def malformed(url: str, token: str | None, seconds: float) -> Counter[int]:
    """Forms that are none."""
    until_s, answers, number = time.monotonic() + seconds, Counter[int](), 0
    headers = _headers(token) | {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    async with ClientSession() as http:
        while time.monotonic() < until_s:
            with contextlib.suppress(ClientError, TimeoutError):
                body = MALFORMED[number % len(MALFORMED)]
                async with http.post(
                    f"{url}/api/uploads", data=body, headers=headers, timeout=ClientTimeout(20)
                ) as response:
                    answers[response.status] += 1
            number += 1
            await asyncio.sleep(0.02)
    return answers


async def slow(url: str, token: str | None, seconds: float, at_once: int = 20) -> Counter[int]:
    """Twenty files, a byte a second each."""
    place, until_s, answers = URL(url), time.monotonic() + seconds, Counter[int]()
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'.encode()
    lines = [f"{name}: {value}" for name, value in _headers(token).items()]
    lines += [f"Host: {place.authority}", f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]
    request = "\r\n".join(("POST /api/uploads HTTP/1.1", *lines, "Content-Length: 9000000", "", "")).encode()

    async def one() -> None:
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(place.host, place.port)
                writer.write(request + head)
                while time.monotonic() < until_s and not reader.at_eof():
                    writer.write(b"x")
                    await writer.drain()
                    with contextlib.suppress(TimeoutError):
                        line = await asyncio.wait_for(reader.readline(), 1.0)
                        answers[int(line.split()[1])] += 1
                        break
                writer.close()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(at_once)))
    return answers


def _pictures() -> list[File]:
    return [
        (hostile_files.png(8_000, 8_000), "a.png"),
        (hostile_files.png(30_000, 2_200), "b.png"),
        (hostile_files.jpeg(30_000, 2_200), "c.jpg"),
        (hostile_files.webp(16_000, 4_000), "d.webp"),
        (hostile_files.gif(40_000, 40_000), "e.gif"),
        (hostile_files.jpeg2000(30_000, 2_200), "f.png"),
    ]


def _sounds() -> list[File]:
    holes = [(hostile_files.holed(rate, 1e6), f"{rate}.webm") for rate in (4, 40, 8_000, 384_000)]
    return holes + [(hostile_files.wav(rate), f"{rate}.wav") for rate in (1, 10_000_000, (1 << 31) - 1)]


ATTACKS: dict[str, Attack] = {
    "sounds": sends(_sounds(), 8),
    "pictures": sends(_pictures(), 8),
    "forty": sends([(hostile_files.wav(8_000, 1, 80_000), "a.wav")], 40),
    "malformed": malformed,
    "slow": slow,
}
