"""What nobody foresaw is one line and a report without secrets, wherever it happens."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from realtime_dub import cli, faults
from realtime_dub.faults import Faults, shown, without_secrets
from realtime_dub.web.http.logs import JsonLines

ROOT = Path(__file__).parent.parent
START = """
import asyncio, atexit, sys, threading
from realtime_dub import cli
def broken(**_):
    raise ZeroDivisionError("rtmp://me:pass@host/app/live_key went wrong")
"""
PLACES = {
    "command": "cli.app = broken",
    "thread": "cli.app = lambda **_: [t.start() or t.join() for t in [threading.Thread(target=broken)]] and 0",
    "task": """
async def forget():
    async def work():
        broken()
    asyncio.get_running_loop().create_task(work())
    await asyncio.sleep(0)
cli.app = lambda **_: asyncio.run(forget())""",
    "finaliser": """
class Thing:
    def __del__(self):
        broken()
cli.app = lambda **_: Thing() and 0""",
    "exit": "cli.app = lambda **_: 0; atexit.register(broken)",
}
UNHARMED = ("finaliser", "exit")  # what was asked for is done by then


def run(code: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"{START}\n{code}\ncli.main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


@pytest.mark.parametrize("place", PLACES)
def test_a_fault_anywhere_is_one_line_and_a_report(place: str, tmp_path: Path) -> None:
    done = run(PLACES[place], "--to", "rtmp://host/app/live_key", "--token=opensesame", TMPDIR=str(tmp_path))
    assert done.stderr.count("\n") == 1
    found = re.fullmatch(r"error: ZeroDivisionError: (.*) \(this is a fault of ours; a report was written to (.*)\)\n",
                         done.stderr)  # fmt: skip
    assert found is not None, done.stderr
    assert found[1] == "rtmp://host/*** went wrong"
    assert done.returncode == (0 if place in UNHARMED else 1)
    report = Path(found[2])
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    text = report.read_text()
    assert "Traceback" in text
    assert "in broken" in text
    assert "realtime-dub 0" in text
    assert "onnxruntime 1" in text
    assert not re.search("live_key|opensesame|me:pass", text.replace('"rtmp://me:pass@host/app/live_key', ""))


def test_without_room_for_a_report_it_is_still_one_line(tmp_path: Path) -> None:
    done = run("import tempfile; tempfile.tempdir = '/proc'\ncli.app = broken")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "this is a fault of ours; a report of it could not be written: " in done.stderr


def test_a_fault_with_standard_error_closed_keeps_its_exit_code(tmp_path: Path) -> None:
    done = run("import os\nos.close(2)\ncli.app = broken", TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (1, "")
    assert len(list(tmp_path.glob("realtime-dub-fault-*.txt"))) == 1


def test_many_faults_are_told_once_and_fill_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    several = Faults()
    lines = [several.line(ValueError(f"number {k}"), "here") for k in range(100)]
    assert [line is not None for line in lines] == [True] + 99 * [False]
    (report,) = tmp_path.iterdir()
    assert report.read_text().count("ValueError: number") == faults.MOST


def test_what_we_have_to_tell_at_once_is_told() -> None:
    code = """
import logging
def work(**_):
    logging.getLogger("realtime_dub.pipeline").warning("cannot write a.mp4\\n: the disk is full")
    return 0
cli.app = work"""
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "cannot write a.mp4 : the disk is full\n")


def test_what_libraries_warn_of_stays_away_from_the_user() -> None:
    code = """
import logging, warnings
def work(**_):
    logging.getLogger("some.library").warning("deprecated")
    warnings.warn("and so on", RuntimeWarning)
    return 0
cli.app = work"""
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "hidden"),
    [
        ("serve --token opensesame --port 80", "serve --token *** --port 80"),
        ("serve --turn-password=opensesame", "serve --turn-password=***"),
        ("--to rtmp://live.host/app/key_123?a=b", "--to rtmp://live.host/***"),
        ("--to whips://h/x?token=opensesame", "--to whips://h/***"),
        ("--webcam rtsp://me:opensesame@host:554/cam", "--webcam rtsp://host:554/***"),
        ("file a://b.mp4 -o talk.mp4", "file a://b.mp4 -o talk.mp4"),
    ],
)
def test_arguments_are_shown_without_secrets(arguments: str, hidden: str) -> None:
    assert " ".join(shown(arguments.split())) == hidden


def test_parts_of_an_address_and_of_the_environment_are_hidden_alone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REALTIME_DUB_WHIP_TOKEN", "tok-en-1")
    given = ["--to", "rtmp://user:word@host/app/key_123?pass=phrase"]
    assert without_secrets("key_123 word phrase tok-en-1 host", given) == "*** *** *** *** host"


def test_a_fault_inside_this_process_installs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(cli, "FAULTS", Faults())
    monkeypatch.setattr(cli, "app", lambda **_: {}["nothing"])
    hooks = (sys.excepthook, sys.unraisablehook)
    assert cli.run([]) == 1
    assert "error: KeyError: 'nothing' (this is a fault of ours" in capsys.readouterr().err
    assert (sys.excepthook, sys.unraisablehook) == hooks


def test_the_servers_log_has_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(faults, "OURS", Faults())
    try:
        raise ZeroDivisionError("at https://host/secret?token=opensesame")
    except ZeroDivisionError as error:
        told = (type(error), error, error.__traceback__)
    records = [
        logging.LogRecord("web", level, "", 0, "it failed", (), told) for level in (logging.ERROR, logging.WARNING)
    ]
    fault, warning = (json.loads(JsonLines().format(record))["error"] for record in records)
    (report,) = tmp_path.iterdir()
    assert re.fullmatch(r"ZeroDivisionError at test_faults:\d+", warning)  # what it says may be a visitor's
    assert fault == f"{warning} (this is a fault of ours; a report was written to {report})"
    assert "test_the_servers_log_has_no_traceback" in report.read_text()
