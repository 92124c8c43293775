"""A film that another process decodes and tracks: the same result, and an end in every case."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from films import numbered, steady, write_film
from media_files import video_times

from realtime_dub.errors import MediaError
from realtime_dub.media import Coded, Frame
from realtime_dub.pipeline.file.apart import film
from realtime_dub.pipeline.file.apart.places import ALONE, Places
from realtime_dub.pipeline.file.apart.wire import Failed

pytestmark = [
    pytest.mark.computes,
    pytest.mark.skipif(sys.platform != "linux" or (os.cpu_count() or 1) < 2, reason="there the stages are threads"),
]

# A program of its own: this one has tracked faces, and may have threads.
BEFORE = """
import hashlib, json, os, signal, sys
from pathlib import Path
import av
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import RealtimeDubError
from realtime_dub.pipeline.file import parts
from realtime_dub.pipeline.file.run import run_file

apart, apart_were = [], []
begun = parts.FileParts._begin_apart

def noted(self):
    apart.append(begun(self))
    apart_were.append(apart[-1] is not None)
    return apart[-1]

parts.FileParts._begin_apart = noted

def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

def pictures(path):
    with av.open(str(path)) as container:
        return hashlib.sha256(b"".join(bytes(each) for each in container.demux(container.streams.video[0]))).hexdigest()

def dub(source, output, progress=None, **more):
    config = build(FileConfig, input=source, output=Path(output), **{"engine": "passthrough", "quiet": True} | more)
    return run_file(config, progress)

source, output = sys.argv[1:]
"""


def told(body: str, source: Path, output: Path) -> dict[str, object]:
    """What a program with ``body`` says on its last line."""
    script = BEFORE + textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-c", script, str(source), str(output)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    times = [each + 7 * (k % 3) for k, each in enumerate(steady(60))]  # of no constant rate
    return write_film(tmp_path_factory.mktemp("films") / "film.mp4", times, numbered(160, 120), sound_ms=2_400)


def test_it_is_what_two_threads_make_of_it(source: Path, tmp_path: Path) -> None:
    found = told(
        """
        seen = []
        reports = [dub(source, output, lambda done, total: seen.append(done))]
        made = [pictures(output)]
        parts.possible = lambda: False
        reports.append(dub(source, output))
        made.append(pictures(output))
        said = [[each.frames, list(each.stages_ms), list(each.notes)] for each in reports]
        print(json.dumps({"apart": apart_were, "made": made, "said": said, "seen": seen, "left": children()}))
        """,
        source,
        tmp_path / "out.mp4",
    )
    assert found["apart"] == [True, False]
    assert len(set(found["made"])) == 1
    assert found["said"][0] == found["said"][1]
    assert found["seen"] == list(range(1, 61))
    assert found["left"] == []


def test_all_others_leave_a_core_to_the_engine(source: Path, tmp_path: Path) -> None:
    found = told(
        """
        def degree(thread):
            return os.getpriority(os.PRIO_PROCESS, thread)

        def progress(done, total):
            if done == 20:
                for each in threading.enumerate():
                    degrees[each.name] = degree(each.native_id) - degree(os.getpid())
                degrees["other"] = degree(int(children()[0])) - degree(os.getpid())

        import threading
        degrees = {}
        before = degree(os.getpid())
        dub(source, output, progress)
        print(json.dumps([degrees, degree(os.getpid()) - before]))
        """,
        source,
        tmp_path / "out.mp4",
    )
    degrees, after = found  # type: ignore[misc]
    assert degrees["other"] == degrees["encode"] > 0  # type: ignore[index]
    assert degrees["engine"] == degrees["MainThread"] == after == 0  # type: ignore[index]


@pytest.mark.slow
def test_an_engine_is_shown_the_same(source: Path, tmp_path: Path) -> None:
    """Its looks, its drafts and a voice that is not the film's: mouths to the bit."""
    found = told(
        """
        face = Path(output).with_name("face.mp4")
        if os.fork() == 0:  # it tracks a face
            from benchmarks.moving_face import film
            from benchmarks.media import voice

            film(face, 320, 240, 25, 3, voice("demo"))
            os._exit(0)
        os.wait()
        made = []
        for possible in (parts.possible, lambda: False):
            parts.possible = possible
            for mic in ("video", "demo"):
                report = dub(str(face), output, engine="mouthbank", mic=mic)
                made.append([pictures(output), report.frames["fresh"], report.own_voice.frames])
        print(json.dumps({"apart": apart_were, "made": made}))
        """,
        source,
        tmp_path / "out.mp4",
    )
    assert found["apart"] == [True, True, False, False]
    assert found["made"][:2] == found["made"][2:]
    assert found["made"][0] != found["made"][1]
    assert all(fresh > 0 for _, fresh, _ in found["made"])


def test_where_that_process_is_killed_it_is_one_line_and_a_film(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    found = told(
        """
        def progress(done, total):
            if done == 20:
                os.kill(int(children()[0]), signal.SIGKILL)
        try:
            dub(source, output, progress)
        except RealtimeDubError as error:
            print(json.dumps({"said": str(error), "code": error.exit_code, "left": children()}))
        """,
        source,
        output,
    )
    assert found["said"] == "cannot go on: the process that decodes and tracks has ended; see if memory is short"
    assert found["code"] == 1
    assert found["left"] == []
    assert 20 <= len(video_times(output)) <= 60


def test_ctrl_c_is_for_the_whole_program(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    found = told(
        """
        os.setpgid(0, 0)
        def progress(done, total):
            if done == 10:
                os.killpg(0, signal.SIGINT)
        try:
            dub(source, output, progress)
        except KeyboardInterrupt:
            print(json.dumps({"left": children()}))
        """,
        source,
        output,
    )
    assert found["left"] == []
    assert 10 <= len(video_times(output)) < 60


def test_it_ends_with_whoever_began_it(source: Path, tmp_path: Path) -> None:
    """Also where that one had no time for it."""
    found = told(
        """
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            def progress(done, total):
                if done == 5:
                    os.write(writing, children()[0].encode())
                    os.kill(os.getpid(), signal.SIGKILL)
            dub(source, output, progress)
        os.close(writing)
        child = int(os.read(reading, 20))
        os.waitpid(pid, 0)
        os.read(reading, 1)  # all who could write have ended
        print(json.dumps({"gone": not Path(f"/proc/{child}/exe").exists()}))
        """,
        source,
        tmp_path / "out.mp4",
    )
    assert found["gone"]


@pytest.mark.parametrize("harm", ["absent", "empty", "cut"])
def test_what_is_wrong_with_a_film_is_told_as_by_threads(harm: str, source: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "film.mkv"
    if harm == "empty":
        spoilt.write_bytes(b"")
    if harm == "cut":
        whole = write_film(tmp_path / "whole.mkv", steady(60), numbered(160, 120)).read_bytes()
        spoilt.write_bytes(whole[: len(whole) * 2 // 3])
    found = told(
        """
        said = []
        for possible in (parts.possible, lambda: False):
            parts.possible = possible
            try:
                report = dub(source, output, mic="demo")
                said.append([report.frames["total"], list(report.notes)])
            except RealtimeDubError as error:
                said.append([type(error).__name__, error.exit_code, str(error)])
        print(json.dumps({"apart": apart_were, "said": said, "left": children()}))
        """,
        spoilt,
        tmp_path / "out.mp4",
    )
    assert found["said"][0] == found["said"][1]
    assert found["apart"] == [True, False]
    assert ("damaged" in str(found["said"][0])) == (harm == "cut")
    assert found["left"] == []


def test_where_little_memory_may_be_shared_frames_are_told_whole(source: Path, tmp_path: Path) -> None:
    """A limit for files is one for it, too: that of three frames."""
    found = told(
        """
        import resource

        made = []
        for possible in (parts.possible, lambda: False):
            parts.possible = possible
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
            dub(source, output)
            made.append(pictures(output))
        print(json.dumps({"apart": apart_were, "made": made}))
        """,
        source,
        tmp_path / "out.mp4",
    )
    assert found["apart"] == [True, False]
    assert found["made"][0] == found["made"][1]


def test_where_faces_were_tracked_or_threads_are_it_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, film.TRACKER, None)
    assert not film.possible()


@pytest.fixture
def places() -> Iterator[Places]:
    places = Places()
    yield places
    places.close()


def frame(number: int, coded: bool = True, side: int = 16) -> Frame:
    planes = [np.full((side // step, side // step), number + step, np.uint8) for step in (1, 2, 2)]
    picture = Coded((planes[0], planes[1], planes[2]), True, False) if coded else None
    return Frame(np.full((side, side, 3), number, np.uint8), 40 * number, number, coded=picture)


def same(one: Frame, other: Frame) -> bool:
    pictures = [(one.image, other.image)]
    if one.coded is not None and other.coded is not None:
        assert (one.coded.hd, one.coded.full_range) == (other.coded.hd, other.coded.full_range)
        pictures += zip(one.coded.planes, other.coded.planes, strict=True)
    alike = (one.coded is None) == (other.coded is None) and one.pts_ns == other.pts_ns and one.seq == other.seq
    return alike and all(np.array_equal(*pair) for pair in pictures)


def test_a_frame_lies_in_its_place(places: Places) -> None:
    for each in (frame(1), frame(2, coded=False)):
        assert same(places.frame(places.put(each)), each)


def test_a_place_is_free_when_nobody_sees_it(places: Places) -> None:
    used = []
    for number in range(50):
        laid = places.put(frame(number))
        seen = places.frame(laid)
        corner = seen.image[:2, :2]
        del seen
        gc.collect()
        assert corner[0, 0, 0] == number
        used.append(laid.place)
        del corner
    assert max(used) <= 1


def test_who_keeps_frames_keeps_nobody_waiting(places: Places) -> None:
    kept = [places.frame(places.put(frame(number))) for number in range(30)]
    assert all(same(each, frame(number)) for number, each in enumerate(kept))


def made_in(places: Places, number: int) -> Frame:
    """As a source makes it that is told where."""
    usual = frame(number)
    image = places.room(*usual.image.shape[:2])
    image[:] = usual.image
    return replace(usual, image=image)


def test_a_picture_that_was_made_in_its_place_stays_there(places: Places) -> None:
    made = made_in(places, 5)
    seen = places.frame(places.put(made))
    assert same(seen, frame(5))
    made.image[:] = 7
    assert (seen.image == 7).all()


def test_places_of_pictures_that_are_never_put_are_free_again(places: Places) -> None:
    used = []
    for number in range(30):
        made_in(places, number)
        laid = places.put(frame(number))
        used.append(laid.place)
        places.frame(laid)  # and is let go
    waiting = [made_in(places, number) for number in range(3)]
    assert all(same(places.frame(places.put(each)), each) for each in reversed(waiting))
    assert max(used) <= 2


def test_there_is_room_without_a_place(places: Places) -> None:
    places.put(frame(1))
    assert places.room(64, 64).shape == (64, 64, 3)


def test_a_larger_frame_is_told_without_a_place(places: Places) -> None:
    places.put(frame(1))
    laid = places.put(large := frame(2, side=32))
    assert laid.place == ALONE
    assert same(places.frame(laid), large)


def test_a_fault_over_there_keeps_its_trace() -> None:
    try:
        raise ZeroDivisionError("of nothing")
    except ZeroDivisionError as error:
        again = Failed.of(error).again()
    assert isinstance(again, ZeroDivisionError)
    assert "of nothing" in again.__notes__[0]
    assert Failed.of(MediaError("cannot read", "a.mp4")).trace == ""
