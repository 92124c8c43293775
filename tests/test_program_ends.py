"""The program as it is ended from outside, by a full disk or a signal: exit code, words and files."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from media_files import sound_of, video_times
from patience import PATIENCE_S
from signed import by_c2pa

from realtime_dub.pipeline.sign_later import sign_later
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.options import SigningOptions

PROGRAM = [sys.executable, "-c", "from realtime_dub.cli import main; main()"]
LIVE = ["--webcam", "demo", "--mic", "demo", "--engine", "passthrough", "--width", "320", "--height", "240", "-q"]
FILE = ["file", "demo", "--mic", "demo", "--engine", "passthrough", "-q"]
LIMIT = 120_000  # bytes: a second or two of the picture


@contextlib.contextmanager
def start(*arguments: str | Path, limit: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A program; it ends with the test at the latest."""

    def before() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    words = [str(each) for each in arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [*PROGRAM, *words]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=before, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def plays(target: Path) -> bool:
    """A first frame can be read of it."""
    try:
        return target.exists() and len(video_times(target)) > 0
    except av.error.FFmpegError:  # its beginning is being written
        return False


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not ready():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < until
        time.sleep(0.005)


def test_a_full_disk_and_a_removed_file_leave_the_other_outputs_alone(tmp_path: Path) -> None:
    full, table, kept = tmp_path / "full.mp4", tmp_path / "table.csv", tmp_path / "kept.csv"
    outputs = [word for path in (full, table, kept) for word in ("--to", path)]
    arguments = (*LIVE, *outputs, "--seconds", "3", "--stats-json", tmp_path / "s.json")
    with start(*arguments, limit=LIMIT) as process:
        wait_for(table.exists, process)
        table.unlink()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    gone = f"cannot write {table}: it was removed or replaced while it was written; nothing of it is left"
    no_room = f"cannot write {full}: file too large; its first "
    lines = said.splitlines()
    assert sum(line.startswith(gone) for line in lines) == sum(line.startswith(no_room) for line in lines) == 1
    assert lines[-1].startswith("error: ")
    assert f"{gone}, 3.0 s are lost" in lines[-1]
    assert no_room in lines[-1]
    assert 1 + 65 <= len(kept.read_text().splitlines()) <= 1 + 75  # a busy machine joins some ticks
    kept_s = float(lines[-1].partition(no_room)[2].split()[0])
    assert len(video_times(full)) / 25 == pytest.approx(kept_s, abs=0.13)
    assert len(sound_of(full)[0]) > 0
    assert (tmp_path / "s.json").exists()
    assert not table.exists()


def test_a_kill_soon_after_the_file_appeared_leaves_what_plays(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with start(*LIVE, "--to", target) as process:
        wait_for(lambda: plays(target), process)
        at_s, began_s = len(video_times(target)) / 25, time.monotonic()
        time.sleep(0.3)
        process.kill()
        passed_s = time.monotonic() - began_s
    assert at_s > 0
    # 0.6 s, and what the machine was late.
    assert len(video_times(target)) / 25 >= at_s + passed_s - 0.8
    assert len(sound_of(target)[0]) > 0
    assert inspect(target).state == "interrupted"
    assert list(sign_later([target], SigningOptions())) == [(target, target)]
    assert by_c2pa(target)["validation_state"] == "Valid"
    assert len(video_times(target)) / 25 >= at_s + passed_s - 0.8


def test_a_live_run_whose_terminal_is_closed_finishes_its_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with start(*LIVE, "--to", target) as process:
        wait_for(target.exists, process)
        process.send_signal(signal.SIGHUP)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (0, "")
    assert b"moov" in target.read_bytes()[-8_000:]  # an ordinary file, with its table at the end
    assert len(video_times(target)) >= 12


def test_a_file_run_that_is_asked_to_end_finishes_its_file(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with start(*FILE, "-o", target, "--preset", "slow") as process:
        wait_for(target.exists, process)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, said) == (128 + signal.SIGTERM, "error: stopped\n")
    assert b"moov" in target.read_bytes()[-8_000:]
    assert len(video_times(target)) >= 12


def test_a_file_run_with_a_full_disk_tells_what_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.mp4"
    with start(*FILE, "-o", target, "--seconds", "8", "--stats-json", tmp_path / "s.json", limit=4 * LIMIT) as process:
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert said.startswith(f"error: cannot write {target}: file too large; its first ")
    kept_s = float(said.partition("its first ")[2].split()[0])
    assert 0 < kept_s < 8
    assert len(video_times(target)) / 25 == pytest.approx(kept_s, abs=0.13)
    assert (tmp_path / "s.json").exists()


# Ctrl-C when each of these modules begins to be loaded, by a library that takes it for a failure of its own.
STRUCK = """
import os, runpy, sys, time
class Struck:
    def find_spec(self, name, *rest):
        if name in {at!r}:
            try:
                os.kill(os.getpid(), 2)
                time.sleep(0.01)
            except BaseException as error:
                raise ImportError("failed to import") from error
sys.meta_path.insert(0, Struck())
sys.argv = ["realtime-dub", "file", "demo", "--mic", "demo", "-o", "/dev/null/never.mp4"]
runpy.run_module("realtime_dub", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "at",
    [("typer",), ("realtime_dub.cli",), ("realtime_dub.config",), ("numpy",), ("realtime_dub.config", "rich.text")],
)
def test_ctrl_c_while_something_is_loaded_is_no_failure_of_that(at: tuple[str, ...]) -> None:
    command = [sys.executable, "-c", STRUCK.format(at=at)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "error: stopped\n")


# Ctrl-C in the run, and again when Python ends: after the line was written, or while it is.
TWICE = """
import atexit, os, sys, time
from realtime_dub import cli, config
def build(*rest, **values):
    os.kill(os.getpid(), 2)
    time.sleep(20)
def again():
    os.kill(os.getpid(), {number})
    time.sleep({seconds})
config.build = build
before = cli.say
def say(message):
    again()
    before(message)
if {saying}:
    cli.say = say
else:
    atexit.register(again)
sys.argv = ["realtime-dub", "file", "demo", "-o", "never.mp4"]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("saying", [False, True])
def test_who_asks_twice_is_told_once(number: int, saying: bool) -> None:
    seconds = 0.1 if saying else 20
    command = [sys.executable, "-c", TWICE.format(number=int(number), saying=saying, seconds=seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (130, "error: stopped\n")


def test_the_command_begins_where_next_to_nothing_is_loaded() -> None:
    scripts = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["realtime-dub"] == "realtime_dub.start:main"
    code = "import sys; before = set(sys.modules); import realtime_dub.start; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S, check=True)
    assert len(loaded := eval(done.stdout)) < 30
    assert {name.partition(".")[0] for name in loaded} - sys.stdlib_module_names == {"realtime_dub"}


FREED = """
import os, sys, time
from realtime_dub import cli, config
class Freed:
    def __del__(self):
        os.kill(os.getpid(), {number})
        time.sleep(0.01)
def build(*rest, **values):
    Freed()
    time.sleep(20)
config.build = build
sys.argv = ["realtime-dub", "file", "demo", "-o", "never.mp4"]
cli.main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_strikes_while_something_is_freed_is_not_lost(number: int) -> None:
    command = [sys.executable, "-c", FREED.format(number=int(number))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stderr) == (128 + number, "error: stopped\n")
