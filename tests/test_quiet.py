"""Standard error while MediaPipe starts: its own lines are held back, everybody else's are not."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pulse import PrivatePulse

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
    from realtime_dub.quiet import quiet

    def fail() -> None:
        with quiet():
            os.write(2, b"W0000 00:00:1795822662.045792   30596 some.cc:114] noise\nke")
            os.write(2, b"I20261128 12:00:00.1 7 a.cc:1] more noise\npt\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "kept\nand after\n"


TRY = """
from realtime_dub.audio.portaudio import HOST
from realtime_dub.audio.sound_host import find_device
from realtime_dub.errors import DeviceError
from realtime_dub.media import MS

device = find_device(HOST, "stage_microphone", "input")
try:
    HOST.open_input(device, 48_000, 10 * MS, lambda *_: None)
except DeviceError as error:
    print(error)
"""


def test_a_sound_device_that_is_gone_is_tried_without_a_word_of_its_libraries(pulse: PrivatePulse) -> None:
    """They said some lines at each try, every two seconds, as long as a microphone is unplugged."""
    pulse.unload("stage")
    env = {**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", TRY], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("cannot open sound device 'stage_microphone': ")
    assert done.stderr == ""
