"""After a run and after a session nothing of a person is left: no file, no open file, no frame, no audio."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import tempfile
import threading
import weakref
from pathlib import Path

import pytest
from patience import PATIENCE_S
from test_web_keeping import HEADERS, ask
from web_peers import Visitor, serving

from realtime_dub import cli
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import AudioBlock, Frame, Tick
from realtime_dub.web.leavings import REST_S, Leavings
from realtime_dub.web.studio.session import Session
from realtime_dub.web.upkeep import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="Linux tells what is open")

MEDIA = (Frame, TrackedFrame, Tick, AudioBlock)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files may be made: temporary ones, a home, and what a state is kept in."""
    for name in ("TMPDIR", "HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "TMPDIR"))
    return tmp_path


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}


def opened() -> set[str]:
    """The files that this process has open, removed ones among them; no pipes, no devices."""
    found = set()
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(os.readlink(each))
    return {name for name in found if name.startswith("/") and not name.startswith(("/dev/", "/proc/"))}


def held() -> dict[str, int]:
    """Frames and audio that this process still has, by kind."""
    gc.collect()
    everything = gc.get_objects()
    return {kind.__name__: sum(isinstance(each, kind) for each in everything) for kind in MEDIA}


def more_than(before: dict[str, int]) -> dict[str, int]:
    """Of what this process had ``before``: by how many there are more now."""
    return {kind: count - before[kind] for kind, count in held().items() if count > before[kind]}


@pytest.mark.computes
def test_a_file_leaves_the_result_and_nothing_else(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    cli.run(["file", "demo", "--mic", "demo", "-o", "warm.mp4", "--seconds", "0.2", "-q"])  # loads what stays loaded
    before_open, before_held = opened(), held()
    assert cli.run(["file", "demo", "--mic", "demo", "-o", "out.mp4", "--seconds", "0.4", "-q"]) == 0
    assert files(place) == {"warm.mp4", "out.mp4"}
    assert opened() - before_open == set()
    assert more_than(before_held) == {}


@pytest.mark.parametrize("ended", [1, 40])
def test_memory_is_given_back_once_for_all_that_ended(ended: int) -> None:
    async def test() -> list[bool]:
        leavings, rests = Leavings(rest_s=0.2), [Cycle() for _ in range(ended)]
        known = [weakref.ref(each) for each in rests]
        rests.clear()
        there = []
        for pause_s in (0, 0, 0.3):  # nothing has ended; the time is not up; it is
            await asyncio.sleep(pause_s)
            await leavings.sweep()
            there.append(any(each() is not None for each in known))
            for _ in known:
                leavings.add()
        return there

    gc.disable()
    try:
        assert asyncio.run(test()) == [True, True, False]
    finally:
        gc.enable()


class Cycle:
    def __init__(self) -> None:
        self.me = self


@pytest.mark.slow
def test_a_session_leaves_nothing(place: Path) -> None:
    """A face seen, learnt, agreed to, saved and recorded; a sound sent; then the page goes, and the server ends."""

    async def one(url: str, http: object) -> None:
        visitor = Visitor(http, url, height=480)  # type: ignore[arg-type]
        try:
            await visitor.connect()
            await visitor.until(lambda: len(visitor.got.pictures) > 10)
            at = f"{url}/api/sessions/{visitor.id}"
            await ask(http, "POST", f"{at}/enroll", json={"seconds": 1, "consent": True}, headers=HEADERS)
            await ask(http, "POST", f"{at}/recording", json={"action": "start"}, headers=HEADERS)
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 30)
            _, told, _ = await ask(http, "POST", f"{at}/recording", json={"action": "stop"}, headers=HEADERS)
            assert (await ask(http, "GET", f"{at}/bank"))[0] == 200
            assert (visitor.got.pictures[-1][2][8:32, 8:96].max(-1) > 200).sum() > 100  # the letters of the badge
            assert await visitor.delete() == 204
            assert (await ask(http, "DELETE", url + told["url"], headers=HEADERS))[0] == 204
        finally:
            await visitor.close()

    async def test() -> dict[str, int]:
        async with serving(badge="always") as (studio, http, url):
            await one(url, http)  # loads what stays loaded
            before = opened()
            gc.disable()  # the server collects by itself
            await one(url, http)
            assert not studio.sessions
            await asyncio.sleep(REST_S)
            assert await until(lambda: not any(isinstance(each, Session) for each in gc.get_objects()), PATIENCE_S)
            kept = {name for name in files(place) if not name.endswith(("/lock", "consent.key"))}
            assert kept == set()
            assert opened() - before == set()
            for _ in range(60):  # threads of a busy machine end a moment later
                if not more_than(before_held):
                    break
                await asyncio.sleep(1)
            return more_than(before_held)

    before_held = held()  # other tests keep some
    try:
        assert asyncio.run(test()) == {}, [each.name for each in threading.enumerate()]
    finally:
        gc.enable()
    assert {Path(name).name for name in files(place)} <= {"consent.key", "lock"}
