"""Standard error while MediaPipe starts: its own lines are held back, everybody else's are not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(script: str, stderr: int) -> subprocess.CompletedProcess[bytes]:
    """A Python of its own: standard error belongs to the whole process."""
    code = textwrap.dedent(script)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=stderr, timeout=60)


def test_trackers_that_start_at_once_leave_standard_error_as_it_was() -> None:
    done = run(
        """
        import os, sys, threading, time
        from realtime_dub.face.tracker import MediaPipeTracker

        at = os.fstat(2)
        threads = [threading.Thread(target=lambda: MediaPipeTracker().close()) for _ in range(6)]
        for thread in threads:
            thread.start()
            time.sleep(0.007)
            print("said while they start", file=sys.stderr)
        for thread in threads:
            thread.join()
        assert (at.st_dev, at.st_ino) == (os.fstat(2).st_dev, os.fstat(2).st_ino)
        print("said afterwards", file=sys.stderr)
        """,
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 0
    assert done.stderr.decode().split("\n") == ["said while they start"] * 6 + ["said afterwards", ""]


@pytest.mark.parametrize("how", ["os.close(2)", "sys.stderr = None", "sys.stderr.close()"])
def test_a_tracker_starts_without_standard_error(how: str) -> None:
    done = run(
        f"""
        import os, sys
        {how}
        from realtime_dub.face.tracker import MediaPipeTracker

        MediaPipeTracker().close()
        print("well")
        os._exit(0)
        """,
        stderr=subprocess.DEVNULL,
    )
    assert done.stdout == b"well\n"


def test_what_is_left_by_an_exception_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    from realtime_dub.face.quiet import quiet

    def fail() -> None:
        with quiet():
            os.write(2, b"W0000 00:00:1795822662.045792   30596 some.cc:114] noise\nke")
            os.write(2, b"I20261128 12:00:00.1 7 a.cc:1] more noise\npt\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "kept\nand after\n"
