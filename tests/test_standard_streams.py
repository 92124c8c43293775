"""Closed, full or broken standard streams change nothing of what a run does, and no file is opened in their place."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from films import numbered, steady, write_film

from realtime_dub import cli
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.terminal import console

PROGRAM = f"{shlex.quote(sys.executable)} -c 'from realtime_dub.cli import main; main()'"
RUN = f"{PROGRAM} file film.mp4 -o out.mp4 --engine passthrough"
ROOT = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def shell(command: str, **env: str) -> tuple[int, str, str]:
    """What bash says the program's exit code is (before a pipe), and what came out."""
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("streams", "unbuffered", "code", "says"),
    [
        (">&- 2>&- <&-", "", 0, ""),
        ("2>/dev/full", "1", 0, ""),
        ("| true", "", 0, ""),
        (">/dev/full", "1", 2, "error: cannot write to standard output: No space left on device\n"),
    ],
)
def test_a_run_ends_well_whatever_the_streams_are(
    streams: str, unbuffered: str, code: int, says: str, here: Path
) -> None:
    write_film(here / "film.mp4", steady(3), numbered(32, 32), sound_ms=120)
    got, _, err = shell(f"{RUN} {streams}", PYTHONUNBUFFERED=unbuffered)
    assert (got, err) == (code, says)
    data = (here / "out.mp4").read_bytes()
    assert data[4:8] == b"ftyp"
    assert len(data) > 1_000
    assert b"error" not in data


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        ("nothing 2>&-", 2, ""),
        ("nothing 2>/dev/full", 2, ""),
        ("nothing >&-", 2, "error: No such command 'nothing'. See realtime-dub --help.\n"),
        ("--help >/dev/null", 0, ""),
        ("--version >&-", 0, ""),
        ("--version | true", 0, ""),
        ("--help | true", 0, ""),
        ("--help >/dev/full", 2, "error: cannot write to standard output: No space left on device\n"),
        ("file none.mp4 -o out.mp4 --mic - <&-", 2, "error: no such file: none.mp4; give a camera's number, a file, "),
    ],
)
def test_an_exit_code_does_not_depend_on_who_listens(command: str, code: int, says: str, here: Path) -> None:
    got, _, err = shell(f"{PROGRAM} {command}", COLUMNS="1" if "none" in command else "100000000")
    assert (got, err.startswith(says), err.count("\n")) == (code, True, says.count("\n") or bool(says))
    assert "Traceback" not in err
    assert "Exception" not in err


def test_a_name_that_cannot_be_encoded_is_shown(here: Path) -> None:
    name = b"caf\xc3\xa9\xff.mp4"
    command = [sys.executable, "-c", "from realtime_dub.cli import main; main()", "file", name, "-o", "out.mp4"]
    for env in ({"LC_ALL": "C", "PYTHONUTF8": "0"}, {"PYTHONIOENCODING": "ascii"}):
        done = subprocess.run(command, capture_output=True, env={**os.environ, **env}, timeout=60, check=False)
        assert done.returncode == 2
        assert done.stderr.count(b"\n") == 1
        assert done.stderr.startswith(b"error: no such file: caf")


def test_a_terminal_that_was_closed_does_not_change_the_exit_code(here: Path) -> None:
    write_film(here / "film.mp4", steady(3), numbered(32, 32), sound_ms=120)
    theirs, ours = pty.openpty()
    os.close(theirs)  # from now on who writes is told EIO
    done = subprocess.run(["bash", "-c", RUN], stdout=ours, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(ours)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("columns", ["-1", "0", "1", "39", "x"])
def test_a_terminal_of_any_width_will_do(
    columns: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from realtime_dub.doctor import table
    from realtime_dub.finding import Finding

    monkeypatch.setenv("COLUMNS", columns)
    assert cli.run(["--help"]) == 0
    recorder = Recorder(0, "engine", "bundle")
    recorder.note("a note")
    console().print(recorder.report().table())
    console().print(table([Finding("a check", "ok", "all is well", "nothing to do")]))
    out, _ = capsys.readouterr()
    assert "a note" in out


def test_names_of_files_in_the_report_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    recorder = Recorder(0, "engine", "[/x]")
    recorder.note("no face in [/b]a[red].mp4")
    recorder.note("one \x1b[2J two\nthree \udcff")
    console().print(recorder.report().table(), width=200)
    out, _ = capsys.readouterr()
    assert "engine ([/x])" in out
    assert "no face in [/b]a[red].mp4" in out
    assert r"one \x1b[2J two three \udcff" in out
