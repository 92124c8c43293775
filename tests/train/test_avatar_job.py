"""The program that makes one avatar for a server of pages: it says why it cannot, and ends with who started it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")

from films import numbered, steady, write_film

from engines.common.avatar_job import STOPPED

pytestmark = pytest.mark.slow


def test_it_says_why_it_cannot_and_ends_with_who_started_it(tmp_path: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no film")
    write_film(tmp_path / "long.mp4", steady(3_000, 25), numbered(160, 120), sound_ms=120_000)
    processes = {}
    for name in ("none", "long"):
        command = [sys.executable, "-m", "engines.common.avatar_job", "prepare"]
        command += [str(tmp_path / f"{name}.mp4"), str(tmp_path / f"{name}.avatar")]
        with (tmp_path / f"{name}.txt").open("wb") as said:
            processes[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)
    assert processes["none"].wait(100) == 2
    [line] = [each for each in (tmp_path / "none.txt").read_text().splitlines() if each.startswith("error: ")]
    assert "none.mp4" in line
    end_s = time.monotonic() + 100
    while not (tmp_path / "long.avatar/avatar.json").exists():  # it is at work
        assert time.monotonic() < end_s
        time.sleep(0.05)
    for process in processes.values():
        assert process.stdin is not None
        process.stdin.close()
    assert processes["long"].wait(10) == STOPPED
