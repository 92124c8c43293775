"""Whatever ends a file before its time, it plays to its end, and what is lost is told."""

from __future__ import annotations

import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_files import clicks, grid, output_format, ticks
from patience import PATIENCE_S

from realtime_dub import writing
from realtime_dub.errors import LostOutput, MediaError
from realtime_dub.media import BLENDSHAPES, NS, Tick
from realtime_dub.publishers.base import Publisher
from realtime_dub.publishers.registry import open_publisher

pytestmark = pytest.mark.computes

KINDS = ("mp4", "mov", "mkv", "ts", "flv", "csv")
FPS, COUNT = 25, 40
FORMAT = output_format(live=True, fps=Fraction(FPS))
MOST_LOST_S = 0.6


def feed() -> list[Tick]:
    sound = clicks(COUNT / FPS, FORMAT.rate, 1, [0.2, 0.7, 1.2])
    weights = dict.fromkeys(BLENDSHAPES, 0.5)
    plain = ticks(FORMAT, grid(COUNT, FORMAT.fps), sound)
    return [Tick(tick.image, tick.pts_ns, tick.duration_ns, tick.seq, tick.audio, weights) for tick in plain]


TICKS = feed()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The nearest thing to a full disk that needs no rights."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def opened(path: Path) -> Publisher:
    publisher = open_publisher(str(path))
    publisher.open(FORMAT)
    return publisher


def published(path: Path, before: Callable[[int], object] = lambda k: None) -> LostOutput | None:
    """Publish it all, with ``before(k)`` ahead of tick k and ``before(COUNT)`` ahead of the end; what was raised."""
    publisher = opened(path)
    try:
        for k, tick in enumerate(TICKS):
            before(k)
            try:
                publisher.publish(tick)
            except LostOutput:  # once more: the file from before must not be wiped out
                publisher.publish(tick)
        before(COUNT)
        publisher.close()
    except LostOutput as error:
        return error
    finally:
        publisher.close()
    return None


def seconds_of(path: Path) -> float:
    """How long the pictures last, or the rows. Everything in the file decodes, or this raises."""
    if path.suffix == ".csv":
        text = path.read_text()
        rows = text.splitlines()
        assert text.endswith("\n")
        assert {row.count(",") for row in rows} == {len(BLENDSHAPES)}
        return (len(rows) - 1) / FPS
    with av.open(str(path), options={"err_detect": "explode"}) as container:
        frames = {"video": 0, "audio": 0}
        for packet in container.demux():
            assert not packet.is_corrupt
            frames[packet.stream.type] += len(packet.decode())
        assert frames["audio"] * 1024 / FORMAT.rate >= frames["video"] / FPS - 0.15
        return frames["video"] / FPS


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    folder = tmp_path_factory.mktemp("whole")
    for kind in KINDS:
        assert published(folder / f"a.{kind}") is None
        assert seconds_of(folder / f"a.{kind}") == COUNT / FPS
    return {kind: (folder / f"a.{kind}").stat().st_size for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0, 0.05, 0.3, 0.5, 0.77, 0.9, 0.97, 0.9999])
def test_a_full_disk_leaves_whole_fragments(kind: str, share: float, sizes: dict[str, int], tmp_path: Path) -> None:
    target, reached = tmp_path / f"a.{kind}", [0]
    with largest_file(int(sizes[kind] * share)):
        error = published(target, lambda k: reached.append(k))
    assert error is not None
    assert str(error).startswith(f"cannot write {target}: file too large; ")
    kept_s = error.kept_ns / NS
    if kept_s == 0:
        assert str(error).endswith("nothing of it was written")
        assert list(tmp_path.iterdir()) == []
    else:
        assert str(error).endswith(f"its first {kept_s:.1f} s are kept")
        assert -1e-6 <= seconds_of(target) - kept_s <= 2.1 / FPS
        assert seconds_of(target) >= max(reached) / FPS - MOST_LOST_S


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_plays_from_the_moment_it_appears(kind: str, tmp_path: Path) -> None:
    # What lies on the disk after each tick is what a kill would leave.
    target, copy, seen = tmp_path / f"a.{kind}", tmp_path / f"copy.{kind}", []

    def look(k: int) -> None:
        if target.exists() and (k % 3 == 0 or not seen):
            shutil.copyfile(target, copy)
            seen.append((k / FPS, seconds_of(copy)))

    assert published(target, look) is None
    assert seen[0][0] <= MOST_LOST_S
    assert all(plays_s >= at_s - MOST_LOST_S for at_s, plays_s in seen)
    assert seen[0][1] > 0


def removed(target: Path) -> None:
    target.unlink()


def replaced(target: Path) -> None:
    other = target.with_name("other")
    other.write_bytes(b"something else")
    other.replace(target)


def folder_removed(target: Path) -> None:
    shutil.rmtree(target.parent)


def written_over(target: Path) -> None:
    target.write_bytes(b"something else")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [COUNT // 2, COUNT], ids=["while it runs", "before the end"])
@pytest.mark.parametrize("harm", [removed, replaced, folder_removed, written_over])
def test_a_file_that_is_taken_away_is_told(harm: Callable[[Path], None], at: int, kind: str, tmp_path: Path) -> None:
    target = tmp_path / "out" / f"a.{kind}"
    target.parent.mkdir()
    error = published(target, lambda k: harm(target) if k == at else None)
    says = (
        "another program wrote into it" if harm is written_over else "it was removed or replaced while it was written"
    )
    assert str(error) == f"cannot write {target}: {says}; nothing of it is left"
    assert error is not None
    assert error.kept_ns == 0
    if harm in (replaced, written_over):
        assert target.read_bytes() == b"something else"


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_moved_goes_on_and_is_told(kind: str, tmp_path: Path) -> None:
    target, moved = tmp_path / f"a.{kind}", tmp_path / f"moved.{kind}"
    error = published(target, lambda k: target.rename(moved) if k == COUNT // 2 else None)
    assert str(error) == f"cannot write {target}: it was moved while it was written; all of it is where it is now"
    assert seconds_of(moved) == COUNT / FPS


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
@pytest.mark.parametrize("kind", KINDS)
def test_no_space_for_anything(kind: str, tmp_path: Path) -> None:
    target = tmp_path / f"a.{kind}"
    target.symlink_to("/dev/full")
    error = published(target)
    assert str(error) == f"cannot write {target}: no space left on device; nothing of it was written"
    assert target.is_symlink()


def read_pipe(pipe: Path, out: Path, most: int) -> threading.Thread:
    def run() -> None:
        with pipe.open("rb", buffering=0) as source, out.open("wb") as sink:
            while sink.tell() < most and (data := source.read(min(4096, most - sink.tell()))):
                sink.write(data)

    reader = threading.Thread(target=run, name="reader")
    reader.start()
    return reader


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_carries_all_of_it(kind: str, tmp_path: Path) -> None:
    pipe, out = tmp_path / f"a.{kind}", tmp_path / f"out.{kind}"
    os.mkfifo(pipe)
    reader = read_pipe(pipe, out, 1 << 30)
    assert published(pipe) is None
    reader.join(PATIENCE_S)
    assert pipe.is_fifo()
    assert seconds_of(out) == COUNT / FPS


@pytest.mark.parametrize("kind", KINDS)
def test_a_reader_that_leaves_a_pipe_is_told(kind: str, sizes: dict[str, int], tmp_path: Path) -> None:
    pipe = tmp_path / f"a.{kind}"
    os.mkfifo(pipe)
    reader = read_pipe(pipe, tmp_path / "out", sizes[kind] // 2)
    error = published(pipe, lambda k: reader.join(PATIENCE_S) if k == COUNT - 3 else None)
    assert error is not None
    assert "whoever read it has left; its first " in str(error)
    assert str(error).endswith(" s went out")
    assert pipe.is_fifo()


def test_a_pipe_that_nobody_reads_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "READER_PATIENCE_S", 0.2)
    os.mkfifo(tmp_path / "a.ts")
    with pytest.raises(MediaError, match=r"nobody reads .*a\.ts; start the program that reads it first"):
        opened(tmp_path / "a.ts")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_published_leaves_nothing_behind(kind: str, tmp_path: Path) -> None:
    kept = tmp_path / f"kept.{kind}"
    kept.write_bytes(b"a file from before")
    for target in (tmp_path / f"a.{kind}", kept):
        publisher = opened(target)
        publisher.close()
        publisher.close()
    assert list(tmp_path.iterdir()) == [kept]
    assert kept.read_bytes() == b"a file from before"


@pytest.mark.parametrize("kind", KINDS)
def test_places_that_cannot_be_written_are_refused_at_the_start(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"folder.{kind}").mkdir()
    for target, says in (
        (tmp_path / "none" / f"a.{kind}", "there is no folder"),
        (Path(f"/proc/a.{kind}"), "choose another folder"),
        (tmp_path / f"folder.{kind}", "it is a folder"),
        (tmp_path / f"{'x' * 300}.{kind}", "file name too long"),
    ):
        with pytest.raises(MediaError, match=says):
            opened(target)
