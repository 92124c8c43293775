"""Run by ``test_pulse_refresh.py`` in a process of its own, where a native library's abort is seen.

Reads commands, answers each with a line: ``open`` a speaker and close it, ``refresh`` the list of devices.
"""

from __future__ import annotations

import sys

from realtime_dub.audio.portaudio import HOST
from realtime_dub.audio.sound_host import find_device
from realtime_dub.errors import DeviceError
from realtime_dub.media import MS


def answer(command: str) -> str:
    try:
        if command == "refresh":
            HOST.refresh()
            return "done"
        device = find_device(HOST, "hall_speaker", "output")
        HOST.open_output(device, 48_000, 10 * MS, lambda out, ahead_ns, underflow: out.fill(0.0)).close()
    except DeviceError as error:
        return str(error)
    return "done"


if __name__ == "__main__":
    for line in sys.stdin:
        print(answer(line.strip()), flush=True)
