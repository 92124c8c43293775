"""`serve --workers 2`, a program: who is sent where, what the front does by itself, and what a worker's end costs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import av
import numpy as np
import pytest
from aiohttp import ClientSession, FormData
from patience import PATIENCE_S
from sound_files import buzz, wav
from web_peers import HEADERS, ROOMY_MS, Visitor

from benchmarks.fleet import number_of
from benchmarks.usage import children
from realtime_dub.web.workers.crew import for_sockets

T = TypeVar("T")


@dataclass
class Program:
    process: subprocess.Popen[str]
    url: str

    def workers(self) -> list[int]:
        """Their pids, in the order in which they were started; one that is to spare is none yet."""
        found = []
        for pid in children(self.process.pid):
            with contextlib.suppress(OSError):
                if "web.workers." in Path(f"/proc/{pid}/cmdline").read_text() and number_of(pid) is not None:
                    found.append(pid)
        return sorted(found)


@contextlib.contextmanager
def program(*arguments: str) -> Iterator[Program]:
    command = [sys.executable, "-m", "realtime_dub", "serve", "--port", "0", "--size", "480p", "-q", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield Program(process, process.stdout.readline().strip().rstrip("/"))
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Program]:
    with program("--workers", "2", "--max-sessions", "3") as started:
        end_s = time.monotonic() + PATIENCE_S
        while b'worker="1"' not in read(started.url + "/metrics"):
            assert time.monotonic() < end_s
            time.sleep(0.1)
        yield started


def read(url: str) -> bytes:
    from urllib.request import urlopen

    with urlopen(url, timeout=PATIENCE_S) as answer:
        body: bytes = answer.read()
    return body


@contextlib.asynccontextmanager
async def visitors(url: str, *sends: bool) -> AsyncIterator[list[Visitor]]:
    async with ClientSession() as http:
        made = [Visitor(http, url, each) for each in sends]
        try:
            yield made
        finally:
            for each in made:
                if each.id:
                    await each.delete()
                await each.close()


async def until_seated(url: str, **counts: int) -> None:
    """The front has been told of who came."""
    async with ClientSession() as http:
        end_s = time.monotonic() + PATIENCE_S
        while True:
            async with http.get(url + "/api/config") as answer:
                told = await answer.json()
            if all(told[name] == count for name, count in counts.items()):
                return
            assert time.monotonic() < end_s, told
            await asyncio.sleep(0.05)


def worker_of(visitor: Visitor) -> int:
    return int(visitor.id.partition("-")[0])


def test_people_have_a_worker_each_and_rooms_stay_together(server: Program) -> None:
    async def go() -> None:
        async with visitors(server.url, True, True, False, True) as (first, second, viewer, third):
            await first.connect(budget_ms=ROOMY_MS, room="one")
            await until_seated(server.url, sessions=1)
            await second.connect(budget_ms=ROOMY_MS, room="two")
            await until_seated(server.url, sessions=2)
            await viewer.connect(role="viewer", room="one")
            await third.connect(budget_ms=ROOMY_MS)
            await until_seated(server.url, sessions=3, viewers=1)
            assert worker_of(first) != worker_of(second)
            assert worker_of(viewer) == worker_of(first)
            assert worker_of(third) == worker_of(second)  # whoever came first shares with nobody
            for each in (first, viewer):
                await each.until(lambda each=each: len(each.got.pictures) > 10)
            assert (await first.patch(strength=0.5))[1]["options"]["strength"] == 0.5
            async with ClientSession() as http, http.get(server.url + "/api/rooms/one") as answer:
                assert (await answer.json())["viewers"] == 1
            fourth = Visitor(first.http, server.url)
            status, told = await fourth.offer("/api/sessions", {"options": {}})
            assert (status, told["error"]["what"]) == (503, "The studio is full: 3 are at work.")
            await fourth.close()

    asyncio.run(go())


def test_what_the_workers_count_is_told_together(server: Program) -> None:
    text = read(server.url + "/metrics").decode()
    for name in ("front", "0", "1"):
        assert f'realtime_dub_sessions{{worker="{name}"}} 0.0' in text
    assert text.count("# TYPE realtime_dub_sessions gauge") == 1


def test_an_upload_is_spoken_and_a_recording_fetched_by_way_of_the_front(server: Program, tmp_path: Path) -> None:
    voice = wav(buzz(16_000, 3.0)[:, None], 16_000)

    async def go() -> None:
        async with visitors(server.url, True, True) as (other, one):
            await other.connect(budget_ms=ROOMY_MS)  # so that it is not all the first worker's
            await until_seated(server.url, sessions=1)
            form = FormData()
            form.add_field("file", voice, filename="voice.wav")
            async with one.http.post(server.url + "/api/uploads", data=form, headers=HEADERS) as answer:
                assert answer.status == 201
                upload = (await answer.json())["id"]
            await one.connect(budget_ms=ROOMY_MS, voice=f"upload:{upload}")
            assert worker_of(one) == 1
            await one.until(lambda: any(np.abs(sound).max() > 2_000 for _, _, sound in one.got.sounds))
            url = f"{server.url}/api/sessions/{one.id}/recording"
            async with one.http.post(url, json={"action": "start"}, headers=HEADERS) as answer:
                id = (await answer.json())["id"]
            await asyncio.sleep(1.5)
            async with one.http.post(url, json={"action": "stop"}, headers=HEADERS) as answer:
                assert (await answer.json())["state"] == "stopped"
            async with one.http.get(f"{server.url}/api/recordings?ids={id},nothing") as answer:
                assert [each["id"] for each in (await answer.json())["recordings"]] == [id]
            async with one.http.get(f"{server.url}/api/recordings/{id}", headers={"Range": "bytes=0-99"}) as answer:
                assert (answer.status, len(await answer.read())) == (206, 100)
            async with one.http.get(f"{server.url}/api/recordings/{id}") as answer:
                (tmp_path / "film.mp4").write_bytes(await answer.read())
            with av.open(str(tmp_path / "film.mp4")) as film:
                assert sum(1 for _ in film.decode(video=0)) >= 15
            async with one.http.delete(f"{server.url}/api/recordings/{id}", headers=HEADERS) as answer:
                assert answer.status == 204

    asyncio.run(go())


def test_a_voice_from_another_room_brings_its_interpreter_along(server: Program) -> None:
    async def go() -> None:
        async with visitors(server.url, True, True, True, True) as (first, second, interpreter, back):
            await first.connect(budget_ms=ROOMY_MS)
            await until_seated(server.url, sessions=1)
            await second.connect(budget_ms=ROOMY_MS, room="booth")
            await until_seated(server.url, sessions=2)
            await interpreter.connect(role="interpreter", room="spanish")
            await until_seated(server.url, interpreters=1)
            away = second if worker_of(interpreter) == worker_of(first) else first
            status, told = await away.patch(voice="room:booth" if away is first else "room:spanish")
            if away is first:  # a room where a picture is sent is not moved
                assert (status, told["error"]["what"]) == (409, "Somebody sends a picture in that room.")
                status, _ = await away.patch(voice="room:spanish")
            assert status == 200
            await until_seated(server.url, interpreters=0)
            await back.connect(role="interpreter", room="spanish")
            assert worker_of(back) == worker_of(away)

    asyncio.run(go())


def test_a_worker_that_is_killed_costs_the_others_nothing_and_its_own_a_moment(server: Program) -> None:
    async def go() -> None:
        async with visitors(server.url, True, True, True) as (first, second, again):
            await first.connect(budget_ms=ROOMY_MS)
            await until_seated(server.url, sessions=1)
            await second.connect(budget_ms=ROOMY_MS)
            await until_seated(server.url, sessions=2)
            for each in (first, second):
                await each.until(lambda each=each: len(each.got.pictures) > 10)
            before = server.workers()
            os.kill(before[worker_of(second)], signal.SIGKILL)
            killed_s = time.monotonic()
            while (await second.patch(strength=0.5))[0] != 404:  # what a page asks that hears nothing any more
                assert time.monotonic() < killed_s + PATIENCE_S
                await asyncio.sleep(0.05)
            second.id = ""
            await again.connect(budget_ms=ROOMY_MS)
            await again.until(lambda: len(again.got.pictures) > 3)
            assert time.monotonic() < killed_s + PATIENCE_S
            at_s = [at for at, _, _ in first.got.pictures if at > killed_s - 1]
            assert max(np.diff(at_s)) < 0.5
            while len(server.workers()) < 2:
                assert time.monotonic() < killed_s + PATIENCE_S
                await asyncio.sleep(0.1)

    asyncio.run(go())


@pytest.mark.slow
@pytest.mark.parametrize(
    "how", [*(pytest.param(each, marks=pytest.mark.long) for each in (signal.SIGTERM, signal.SIGINT)), signal.SIGKILL]
)
def test_no_worker_outlives_the_front(how: signal.Signals) -> None:
    with program("--workers", "2") as started:
        end_s = time.monotonic() + PATIENCE_S
        while len(workers := started.workers()) < 2:
            assert time.monotonic() < end_s
            time.sleep(0.05)
        started.process.send_signal(how)
        assert started.process.wait(PATIENCE_S) == (0 if how != signal.SIGKILL else -signal.SIGKILL)
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < end_s + PATIENCE_S
            time.sleep(0.05)


def test_sockets_lie_in_the_servers_own_folder_where_that_takes_them() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        folder, none = Path(place), Path("/proc")
        (long := folder / ("long" * 20)).mkdir()
        assert for_sockets(folder) == folder
        assert os.listdir(folder) == [long.name]
        for each in (none, long):
            found = for_sockets(each)
            assert found not in (none, long)
            assert os.stat(found).st_mode & 0o077 == 0
            found.rmdir()


def test_what_is_too_much_is_refused_as_one_process_refuses_it(server: Program) -> None:
    async def go() -> None:
        async with visitors(server.url, True) as (one,):
            await one.connect(budget_ms=ROOMY_MS)
            url = f"{server.url}/api/sessions/{one.id}"
            for method, path, size, status in (
                ("POST", url + "/recording", 200_000, 413),
                ("PATCH", url, 200_000, 413),
                ("POST", server.url + "/api/sessions", 200_000, 413),
                ("POST", server.url + "/whip/one", 100, 415),
                ("PUT", url + "/bank", 31_000_000, 413),
                ("PUT", url + "/bank", 100, 422),
                ("POST", url + "/bank", 10, 405),
                ("GET", server.url + "/api/sessions/1-nobody", 0, 404),
                ("GET", server.url + "/api/sessions/%00", 0, 404),
                ("GET", server.url + "/api/recordings/nobody", 0, 404),
                ("POST", url + "/nothing", 0, 404),
            ):
                request = one.http.request(method, path, data=b"x" * size or None, headers=HEADERS)
                async with request as answer:
                    assert answer.status == status, (method, path)
                    assert (await answer.json())["error"]["what"]
                    assert answer.headers["Cache-Control"] == "no-store"

    asyncio.run(go())


def test_what_keeps_a_worker_from_starting_is_told_in_a_line() -> None:
    command = [sys.executable, "-m", "realtime_dub", "serve", "--port", "0", "--workers", "2", "--bundle", "/nowhere"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    told = "error: cannot read bundle /nowhere/spec.json: no such file or directory; choose a folder with spec.json\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


def test_an_operator_reaches_a_room_wherever_it_is(server: Program) -> None:
    async def go() -> None:
        async with visitors(server.url, True, False) as (sender, viewer):
            await sender.connect(budget_ms=ROOMY_MS, room="hall")
            await until_seated(server.url, sessions=1)
            await viewer.connect(role="viewer", room="hall")
            await until_seated(server.url, viewers=1)
            at = f"{server.url}/api/rooms/hall"
            async with ClientSession(headers=HEADERS) as http:
                async with http.get(f"{server.url}/api/rooms") as answer:
                    assert [each["name"] for each in (await answer.json())["rooms"]] == ["hall"]
                async with http.get(at + "/events") as stream:
                    assert stream.content_type == "text/event-stream"
                    lines = [(await stream.content.readline()).decode() for _ in range(3)]
                    told = json.loads(lines[2].removeprefix("data: "))
                    assert {"studio", "viewer", "operator"} == {each["role"] for each in told["people"]}
                number = next(each["number"] for each in told["people"] if each["role"] == "viewer")
                async with http.post(at + "/links", json={"role": "viewer"}) as answer:
                    assert (await answer.json())["query"] == "role=viewer&room=hall"
                async with http.get(at + "/recordings") as answer:
                    assert answer.status == 403  # without a token
                async with http.post(f"{at}/people/{number}", json={"action": "end"}) as answer:
                    assert answer.status == 204
                await until_seated(server.url, viewers=0)
                assert viewer.ended
                async with http.delete(at) as answer:
                    assert answer.status == 204
                await until_seated(server.url, sessions=0)
                sender.id = viewer.id = ""  # they are gone

    asyncio.run(go())


@pytest.mark.slow
def test_a_spare_worker_stands_in_for_one_that_ended_and_ends_with_the_front() -> None:
    with program("--workers", "2") as started:
        wait_for(lambda: b'realtime_dub_spare_workers{worker="front"} 1.0' in metrics(started), 2 * PATIENCE_S)
        first, second = wait_for(lambda: workers if len(workers := started.workers()) == 2 else None)
        (spare,) = set(processes(started)) - {first, second}
        os.kill(second, signal.SIGKILL)
        assert wait_for(lambda: workers if len(workers := started.workers()) == 2 else None) == [first, spare]
        wait_for(lambda: f'worker="{number_of(spare)}"'.encode() in metrics(started))
        os.kill(started.process.pid, signal.SIGKILL)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (first, spare)))


def processes(started: Program) -> list[int]:
    """Workers, and what is to be one."""
    return [
        pid for pid in children(started.process.pid) if b"web.workers." in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def metrics(started: Program) -> bytes:
    with urlopen(started.url + "/metrics", timeout=PATIENCE_S) as answer:
        return bytes(answer.read())


def wait_for(what: Callable[[], T], within_s: float = PATIENCE_S) -> T:
    """Its first answer that is one."""
    ends_s = time.monotonic() + within_s
    while not (found := what()):
        assert time.monotonic() < ends_s
        time.sleep(0.1)
    return found
