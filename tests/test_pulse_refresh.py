"""Devices are looked for while the sound server comes and goes: PortAudio aborts the process where one comes midway."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE_S
from pulse import PrivatePulse

HOST = Path(__file__).with_name("pulse_refresh.py")


def test_nothing_is_looked_for_while_the_sound_server_is_gone(pulse: PrivatePulse) -> None:
    environment = {**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, HOST], env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def ask(command: str) -> str:
            print(command, file=process.stdin, flush=True)
            return process.stdout.readline().strip()

        assert [ask("refresh"), ask("open"), ask("refresh")] == ["done"] * 3
        pulse.stop()
        assert "the sound server has gone" in ask("refresh")
        pulse.start()
        assert [ask("refresh"), ask("open")] == ["done"] * 2
        process.stdin.close()
        assert process.wait(PATIENCE_S) == 0
