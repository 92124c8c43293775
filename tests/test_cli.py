"""The command line as a user meets it: help, version, one-line errors, exit codes."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import realtime_dub
from realtime_dub import cli
from realtime_dub.errors import BudgetError, RealtimeDubError

pytestmark = pytest.mark.computes

HEAVY = ("cv2", "mediapipe", "torch", "av", "onnxruntime", "sounddevice", "pyvirtualcam", "numpy", "pydantic")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.run(list(arguments))
    out, err = capsys.readouterr()
    return code, out, err


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version") == (0, f"realtime-dub {realtime_dub.__version__}\n", "")


@pytest.mark.parametrize("command", [(), ("file",), ("enroll",), ("devices",), ("doctor",)])
def test_every_option_has_help(command: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *command, "--help")
    assert (code, err) == (0, "")
    lines = [re.sub(r"[^\x20-\x7e]", " ", line) for line in out.splitlines()]
    options = [line for line in lines if re.match(r"\s*\*?\s*--[a-z]", line)]
    assert options
    for line in options:
        assert re.search(r"<[a-z\[\]]+>\s+[A-Z]", line), line


@pytest.mark.parametrize("command", ["file", "enroll", "fleet drain", "openness compare"])
def test_what_is_wrong_with_options_names_the_help_that_tells_of_them(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, *command.split(), "--nothing")
    assert code == 2
    assert err.endswith(f"See realtime-dub {command} --help.\n")


@pytest.mark.parametrize("command", ["fleet", "openness"])
def test_a_group_of_commands_alone_shows_its_help_and_no_error(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, command)
    assert code == 2
    assert f"realtime-dub {command} [OPTIONS] COMMAND" in out + err
    assert "error" not in out + err


def test_help_names_all_that_a_user_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--help")
    live = (
        "webcam mic own-mic to speaker budget-ms face engine bundle identity strength silence loop seconds stats-json"
    )
    assert all(f"--{name} " in out for name in (*live.split(), "contact-sheet"))
    assert all(f" {command} " in out for command in ("file", "enroll", "devices", "doctor"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "No such command 'nothing'"),
        (["--nothing"], "No such option: --nothing"),
        (["--fps", "x"], "Invalid value for '--fps'"),
        (["file"], "Missing argument"),
        (["file", "a.mp4"], "Missing option '--output'"),
        (
            ["--mic", "a.wav", "file", "a.mp4", "-o", "b.mp4"],
            "--mic stands before 'file'; write options after the command",
        ),
        (["--budget-ms", "100", "doctor"], "--budget-ms stands before 'doctor'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--fps", "0"],
        ["--face", "biggest"],
        ["--strength", "-1"],
        ["--silence", "loud"],
        ["--quality", "best"],
        ["--seconds", "0"],
        ["--pcm-format", "mp3"],
    ],
)
def test_values_out_of_range_name_the_option(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("realtime_dub.config")
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: cannot use")
    assert arguments[0].strip("-").replace("-", "_") in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (BudgetError("cannot keep", "40 ms", "allow 160 ms"), 2, "error: cannot keep 40 ms; allow 160 ms\n"),
        (RealtimeDubError("broken " + "x" * 300), 1, f"error: broken {'x' * 300}\n"),
        (ImportError("libGL.so.1: cannot open\nshared object", name="cv2"), 2, "error: cannot load cv2: libGL.so.1"),
        (KeyboardInterrupt(), 130, "error: stopped\n"),
    ],
)
def test_errors_are_one_red_line_with_their_exit_code(
    raised: BaseException,
    code: int,
    line: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**_: object) -> None:
        raise raised

    monkeypatch.setattr(cli, "app", fail)
    got = cli.run([])
    _, err = capsys.readouterr()
    assert got == code
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_devices_are_listed_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "devices")
    assert (code, err) == (0, "")
    titles = [line for line in out.splitlines() if not line.startswith("  ")]
    assert titles == ["Cameras", "Microphones", "Speakers", "Virtual cameras"]
    assert len(out.splitlines()) >= 8


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, realtime_dub.cli; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_program_ends_with_the_exit_code() -> None:
    code = "from realtime_dub.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_live_options_reach_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    live = pytest.importorskip("realtime_dub.pipeline.live.run")
    stats = pytest.importorskip("realtime_dub.pipeline.statistics")
    seen: list[Any] = []

    def run_live(config: object) -> object:
        seen.append(config)
        return stats.Recorder(engine="passthrough").report()

    monkeypatch.setattr(live, "run_live", run_live)
    arguments = "--webcam 1 --mic voice.wav --to vcam --to out.mp4 --speaker Sink --budget-ms 160 --face left --loop"
    code, out, err = run(
        capsys, *arguments.split(), "--seconds", "3", "--stats-json", "s.json", "--identity", "me.bank"
    )
    assert (code, err) == (0, "")
    assert "passthrough" in out
    (config,) = seen
    assert (config.webcam, config.mic, config.to, config.speaker) == ("1", "voice.wav", ("vcam", "out.mp4"), "Sink")
    assert (config.budget_ms, config.face, config.loop, config.seconds) == (160, "left", True, 3)
    assert (config.stats_json, config.identity, config.contact_sheet) == (Path("s.json"), Path("me.bank"), None)
    code, out, err = run(capsys, "-q")
    assert (code, out, err) == (0, "", "")
    assert (seen[1].to, seen[1].webcam, seen[1].mic, seen[1].quiet) == ((), "0", "default", True)


def test_file_options_reach_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    offline = pytest.importorskip("realtime_dub.pipeline.file.run")
    stats = pytest.importorskip("realtime_dub.pipeline.statistics")
    seen: list[Any] = []

    def run_file(config: object, progress: Callable[[int, int | None], None], before: Any) -> object:
        seen.append(config)
        before("looking")(1, None)
        progress(1, None)
        progress(5, 10)
        return stats.Recorder(engine="passthrough").report()

    monkeypatch.setattr(offline, "run_file", run_file)
    arguments = "file talk.mp4 --mic voice.wav -o dubbed.mp4 --extend --crf 20 --preset slow --contact-sheet s.png"
    code, out, _ = run(capsys, *arguments.split())
    assert code == 0
    assert "passthrough" in out
    (config,) = seen
    assert (config.input, config.mic, config.output) == ("talk.mp4", "voice.wav", Path("dubbed.mp4"))
    assert (config.extend, config.crf, config.preset, config.contact_sheet) == (True, 20, "slow", Path("s.png"))


def test_a_bar_has_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process can begin as a copy of this one while it is shown (pipeline/file/apart)."""
    from rich.console import Console

    from realtime_dub.cli import output

    shown = io.StringIO()
    monkeypatch.setattr(output, "console", lambda stderr: Console(file=shown, force_terminal=True))
    before = threading.active_count()
    with output.ProgressBar("dubbing", quiet=False) as bar:
        bar(3, 12)
        assert threading.active_count() == before
    assert "3/12" in shown.getvalue()


def test_enroll_tells_what_it_learnt(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    enrollment = pytest.importorskip("realtime_dub.pipeline.file.enrolment")

    def enroll(
        source: str,
        output: Path,
        *,
        engine: str,
        face: str,
        learn: bool,
        consent: str | None,
        progress: Callable[[int, int | None], None],
        learning: Callable[[int, int | None], None],
    ) -> str:
        progress(3, 4)
        learning(1, 2)
        return f"{source} -> {output}, {face}, {engine}, {learn}, {consent}"

    monkeypatch.setattr(enrollment, "enroll", enroll)
    code, out, _ = run(capsys, "enroll", "me.mp4", "-o", "me.bank", "--face", "right", "--consent", "Ada")
    assert (code, out) == (0, "me.mp4 -> me.bank, right, mouthbank, True, Ada\n")
