"""No recording is lost, whatever ends it, and none costs the picture that people watch anything."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from aiohttp import ClientSession
from patience import PATIENCE_S
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from benchmarks.studio_page import Server
from realtime_dub.clock import MonotonicClock
from realtime_dub.media import MS, Tick
from realtime_dub.web import limits
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio import folder as folders
from realtime_dub.web.studio import recording, recordings
from realtime_dub.web.studio.folder import ServerFolder
from realtime_dub.web.studio.recording import Recording
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.session_recorder import SessionRecorder

PICTURE = np.zeros((48, 64, 3), np.uint8)
PERIOD_NS = 40 * MS


def native_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def timeline_of_nobody() -> OutputTimeline:
    """Its loop calls at once what it is given."""
    loop = SimpleNamespace(call_soon_threadsafe=lambda call, *given: call(*given))
    return OutputTimeline(MonotonicClock(), loop)  # type: ignore[arg-type]


def film(recording: Recording, pictures: int, first: int = 0) -> None:
    for k in range(first, first + pictures):
        recording.take(Tick(PICTURE, 0, PERIOD_NS, k, None), k * PERIOD_NS)


def played(data: bytes) -> tuple[int, float]:
    """Pictures that decode, and seconds of sound."""
    with av.open(io.BytesIO(data)) as container:
        count = sum(1 for _ in container.decode(video=0))
    with av.open(io.BytesIO(data)) as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
    return count, samples / 48_000


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_of_many_short_recordings_no_thread_stays(tmp_path: Path, uncollected: None) -> None:
    timeline, before = timeline_of_nobody(), native_threads()
    for k in range(24):
        each = Recording(tmp_path / f"{k}.mp4", timeline, MonotonicClock())
        film(each, 3)
        assert each.close()
        each.close()
    end_s = time.monotonic() + PATIENCE_S
    while native_threads() > before and time.monotonic() < end_s:
        time.sleep(0.05)
    assert native_threads() <= before  # 72 more, while the encoders waited to be collected


def test_what_is_stopped_while_it_starts_leaves_nothing_at_work(tmp_path: Path) -> None:
    timeline = timeline_of_nobody()
    for k in range(10):
        each = Recording(tmp_path / f"{k}.mp4", timeline, MonotonicClock())
        taking = threading.Thread(target=film, args=(each, 50))
        taking.start()
        time.sleep(0.001 * k)
        has_film = each.close()
        taking.join()
        film(each, 5, first=50)  # comes too late
        assert each.error is None
        assert has_film == each.path.exists()
        assert not has_film or played(each.path.read_bytes())[0] > 0


def test_what_cannot_be_written_ends_the_recording_alone(tmp_path: Path) -> None:
    over: list[int] = []
    each = Recording(tmp_path / "gone" / "film.mp4", timeline_of_nobody(), MonotonicClock(), lambda: over.append(1))
    film(each, 5)
    end_s = time.monotonic() + PATIENCE_S
    while not over and time.monotonic() < end_s:
        time.sleep(0.01)
    film(each, 5, first=5)
    assert (each.over, over) == (True, [1])
    assert not each.close()
    assert over == [1]
    assert each.error is not None
    assert recording.why(each.error).startswith("cannot write the file: ")
    assert str(tmp_path) not in recording.why(each.error)


@pytest.mark.parametrize("picture", [np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4), np.float32), None])
def test_what_is_no_picture_ends_the_recording_alone(tmp_path: Path, picture: object) -> None:
    each = Recording(tmp_path / "film.mp4", timeline_of_nobody(), MonotonicClock())
    for k, duration_ns in enumerate((PERIOD_NS, 0)):
        each.take(Tick(picture, 0, duration_ns, k, None), k * PERIOD_NS)  # type: ignore[arg-type]
    assert not each.close()
    assert each.error is not None


def test_a_disk_that_gets_full_ends_it_and_what_was_written_plays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "ROOM_CHECKED_EVERY", 1)
    each = Recording(tmp_path / "film.mp4", timeline_of_nobody(), MonotonicClock())
    for k in range(20):
        film(each, 1, first=k)
        time.sleep(0.01)
    monkeypatch.setattr(recording, "RECORDING_LEAST_ROOM", 1 << 60)
    for k in range(20, 40):
        film(each, 1, first=k)
        time.sleep(0.01)
    assert each.over
    assert each.close()
    count, seconds = played(each.path.read_bytes())
    assert 15 <= count <= 22
    assert each.seconds == pytest.approx(seconds, abs=0.1)
    assert recording.why(each.error) == "the disk is nearly full"


def test_it_ends_at_its_longest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "LONGEST_NS", 10 * PERIOD_NS)

    async def test() -> None:
        notes: list[str] = []
        tasks: list[asyncio.Task] = []
        shelf = await asyncio.to_thread(Recordings, tmp_path)
        timeline = OutputTimeline(MonotonicClock(), asyncio.get_running_loop())
        recorder = SessionRecorder(
            shelf, MonotonicClock(), notes.append, lambda work, _: tasks.append(asyncio.create_task(work))
        )
        begun = await recorder.start(timeline, "me")
        with pytest.raises(Refusal, match="still being recorded"):
            shelf.find(begun.id)
        assert recorder.running
        for k in range(20):
            assert timeline.recorder is not None
            timeline.recorder(Tick(PICTURE, 0, PERIOD_NS, k, None), k * PERIOD_NS)
        await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert not recorder.running
        assert await recorder.stop() is None
        assert "30 minutes long" in notes[0]
        assert "kept for 60 minutes" in notes[0]
        kept = shelf.to_dicts([begun.id])[0]
        assert (kept["state"], kept["note"]) == ("kept", None)
        data = await asyncio.to_thread(shelf.find(begun.id).read_bytes)
        assert played(data)[1] == pytest.approx(11 * 0.04, abs=0.05)

    asyncio.run(test())


# What a server keeps.


def made(shelf: Recordings, visitor: str = "") -> str:
    begun = shelf.begin(visitor)
    begun.path.write_bytes(b"a film")
    assert shelf.end(begun.id, 1.0, None) is not None
    return begun.id


def test_what_was_fetched_gives_way_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "RECORDINGS_PER_VISITOR", 3)
    monkeypatch.setattr(recordings, "RECORDINGS_IN_ALL", 5)
    shelf = Recordings(tmp_path)
    mine = [made(shelf, "me") for _ in range(3)]
    with pytest.raises(Refusal, match="3 recordings"):
        shelf.begin("me")
    made(shelf, "you")
    shelf.find(mine[1])
    mine.append(made(shelf, "me"))
    assert [each["id"] for each in shelf.to_dicts(mine)] == [mine[0], mine[2], mine[3]]
    made(shelf, "you")
    with pytest.raises(Refusal, match="5 recordings"):
        shelf.begin("him")
    shelf.remove(mine[0])
    made(shelf, "him")
    assert len(list(tmp_path.iterdir())) == 5


def test_it_is_kept_for_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Recordings(tmp_path)
    id = made(shelf)
    until_s = shelf.to_dicts([id])[0]["until"]
    assert until_s == pytest.approx(time.time() + limits.RECORDING_KEPT_S, abs=30)
    begun = shelf.begin()
    shelf.remove(begun.id)
    monkeypatch.setattr(time, "time", lambda: until_s + 1)
    shelf.sweep()
    assert [each["id"] for each in shelf.to_dicts([id, begun.id])] == [begun.id]  # one at work is never swept
    assert shelf.end(begun.id, 0.0, None) is None  # nothing came
    assert list(tmp_path.iterdir()) == []


def killed(folder: ServerFolder) -> None:
    """As the system leaves it."""
    assert folder._lock is not None
    os.close(folder._lock)
    folder._lock = None


def put(folder: ServerFolder, name: str, age_s: float = 0.0) -> Path:
    path = folder.recordings / name
    path.write_bytes(b"a film")
    (folder.uploads / "voice.flac").write_bytes(b"a voice")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def test_a_server_finds_what_one_of_its_port_left_and_leaves_others_alone(tmp_path: Path) -> None:
    alive, other, dead, old = (ServerFolder(port, tmp_path) for port in (8080, 9090, 8080, 7070))
    put(alive, "alive.mp4")
    put(other, "other.mp4")
    put(dead, "dead.mp4")
    put(dead, "older.mp4", limits.RECORDING_FOUND_S + 60)
    put(old, "old.mp4", limits.RECORDING_FOUND_S + 60)
    for each in (alive, other, dead):
        (each.sockets / "0").touch()
    for each in (other, dead, old):
        killed(each)
    new = ServerFolder(8080, tmp_path)
    assert [each.name for each in folders.plain_files(new.recordings)] == ["dead.mp4"]
    assert (alive.recordings / "alive.mp4").exists()
    assert (alive.uploads / "voice.flac").exists()
    assert (other.recordings / "other.mp4").exists()  # for a server of its own port
    assert (alive.sockets / "0").exists()
    assert not other.uploads.exists()
    assert not other.sockets.exists()
    assert not dead.path.exists()
    assert not old.path.exists()
    assert Recordings(new.recordings).find("dead").read_bytes() == b"a film"
    for each in (new, alive):
        each.close()
    assert [each.name for each in folders.plain_files(new.recordings)] == ["dead.mp4"]  # it ended: found again
    assert not new.uploads.exists()
    assert not new.sockets.exists()
    again = ServerFolder(8080, tmp_path)
    assert sorted(each.name for each in folders.plain_files(again.recordings)) == ["alive.mp4", "dead.mp4"]
    shutil.rmtree(again.recordings)
    again.close()
    assert not again.path.exists()


def test_links_and_foreign_places_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, elsewhere = tmp_path / "studio", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_bytes(b"a secret")
    dead = ServerFolder(8080, base)
    assert stat.S_IMODE(base.stat().st_mode) == stat.S_IMODE(dead.path.stat().st_mode) == 0o700
    (dead.recordings / "secret.mp4").symlink_to(elsewhere / "secret")
    (dead.path / "uploads").rmdir()
    (dead.path / "uploads").symlink_to(elsewhere)
    killed(dead)
    (base / "8080-link").symlink_to(elsewhere)
    new = ServerFolder(8080, base)
    assert folders.plain_files(new.recordings) == []
    assert (elsewhere / "secret").exists()
    new.close()
    (tmp_path / "link").symlink_to(elsewhere)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "nothing").write_bytes(b"no folder")
    (tmp_path / f"realtime-dub-{os.getuid()}").symlink_to(elsewhere)  # somebody was here first
    new = ServerFolder(8080)
    assert new.path.parent == tmp_path
    assert sorted(each.name for each in elsewhere.iterdir()) == ["secret"]
    new.close()
    assert not new.path.exists()


# With a session, and with a server that ends.


async def start(visitor: Visitor) -> str:
    at = f"{visitor.url}/api/sessions/{visitor.id}/recording"
    status, told, _ = await ask(visitor.http, "POST", at, json={"action": "start"}, headers=HEADERS)
    assert (status, told["state"], told["until"]) == (200, "recording", None)
    return str(told["id"])


async def pictures(visitor: Visitor, more: int) -> None:
    count = len(visitor.got.pictures)
    await visitor.until(lambda: len(visitor.got.pictures) > count + more)


async def kept(http: ClientSession, url: str, id: str) -> dict:
    end_s = time.monotonic() + PATIENCE_S
    while True:
        _, told, _ = await ask(http, "GET", f"{url}/api/recordings?ids=other,{id}")
        if told["recordings"] and told["recordings"][0]["state"] == "kept":
            return dict(told["recordings"][0])
        assert time.monotonic() < end_s, told
        await asyncio.sleep(0.1)


def test_what_a_session_leaves_is_kept_and_what_fails_is_told() -> None:
    async def test() -> bytes:
        async with serving() as (studio, http, url):
            async with visiting(Visitor(http, url)) as visitor:
                await visitor.connect(engine="passthrough")
                await pictures(visitor, 5)
                lost = await start(visitor)
                assert await start(visitor) == lost  # it runs
                await pictures(visitor, 15)
                await asyncio.to_thread(shutil.rmtree, studio.recordings._folder)
                await visitor.until(lambda: "recording ended" in visitor.got.stats[-1].get("note", ""))
                assert "Nothing of it could be kept" in visitor.got.stats[-1]["note"]
                assert str(studio.recordings._folder) not in visitor.got.stats[-1]["note"]
                assert (await ask(http, "GET", f"{url}/api/recordings/{lost}"))[0] == 404
                await pictures(visitor, 10)  # the session goes on
                id = await start(visitor)
                await pictures(visitor, 30)
                assert (await ask(http, "GET", f"{url}/api/recordings/{id}"))[0] == 409
                assert await visitor.delete() == 204  # and no word of the recording
            told = await kept(http, url, id)
            status, data, headers = await ask(http, "GET", url + told["url"])
            assert (status, len(data)) == (200, told["size"])
            assert "attachment" in headers["Content-Disposition"]
            assert told["seconds"] == pytest.approx(played(data)[1], abs=0.15)
            assert (await ask(http, "DELETE", url + told["url"], headers=HEADERS))[0] == 204
            assert (await ask(http, "GET", url + told["url"]))[0] == 404
            assert (await ask(http, "GET", f"{url}/api/recordings?ids={',' * 99}"))[0] == 400
            return data

    count, seconds = played(asyncio.run(test()))
    assert count > 20
    assert abs(count / 25 - seconds) < 0.3


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
@pytest.mark.slow
def test_a_recording_outlives_its_server(how: signal.Signals, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    async def record(server: Server) -> str:
        async with ClientSession() as http, visiting(Visitor(http, server.url.rstrip("/"))) as visitor:
            await visitor.connect(engine="passthrough")
            await pictures(visitor, 5)
            id = await start(visitor)
            await pictures(visitor, 40)
            os.kill(server.pid, how)
            await asyncio.to_thread(server.close)
            return id

    async def fetch(server: Server, id: str) -> tuple[dict, bytes]:
        async with ClientSession() as http:
            told = await kept(http, server.url.rstrip("/"), id)
            return told, (await ask(http, "GET", server.url.rstrip("/") + told["url"]))[1]

    id = asyncio.run(record(Server("--quiet")))
    with contextlib.closing(Server("--quiet")) as server:
        told, data = asyncio.run(fetch(server, id))
    count, seconds = played(data)
    assert count > 20
    assert told["seconds"] == pytest.approx(seconds, abs=0.2)
    assert told["until"] > time.time() + 3_000
