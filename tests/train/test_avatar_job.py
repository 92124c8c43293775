"""The program that makes one avatar for a server of pages: it says why it cannot, and ends with who started it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")


from engines.common.avatar_job import STOPPED

pytestmark = pytest.mark.slow


def begin(film: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "engines.common.avatar_job",
        "prepare",
        str(film),
        str(film.with_suffix(".avatar")),
    ]
    with film.with_suffix(".txt").open("wb") as said:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=said)


def test_it_ends_with_who_started_it(tmp_path: Path) -> None:
    """Wherever it is: here it waits for a film that does not come."""
    os.mkfifo(tmp_path / "me.mp4")
    process = begin(tmp_path / "me.mp4")
    end_s = time.monotonic() + 100
    while not (tmp_path / "me.avatar").exists():  # it is at work
        assert time.monotonic() < end_s
        time.sleep(0.02)
    assert process.poll() is None
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == STOPPED


@pytest.mark.long
def test_it_says_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "none.mp4").write_bytes(b"no film")
    process = begin(tmp_path / "none.mp4")
    assert process.wait(100) == 2
    assert process.stdin is not None
    process.stdin.close()
    [line] = [each for each in (tmp_path / "none.txt").read_text().splitlines() if each.startswith("error: ")]
    assert "none.mp4" in line
