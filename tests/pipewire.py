"""A private PipeWire in PulseAudio's place, with the same two null sinks, as ``pulse.py`` has it.

The packages that it needs on Debian and Ubuntu: pipewire, pipewire-pulse, wireplumber, dbus, and those of ``pulse.py``.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field

import pulse

PACKAGES = "pipewire pipewire-pulse wireplumber dbus libasound2-plugins libportaudio2 pulseaudio-utils"
# In the order in which they need each other; the last speaks PulseAudio's protocol.
PARTS = (("dbus-daemon", "--session", "--nofork"), ("pipewire",), ("wireplumber",), ("pipewire-pulse",))


def missing() -> str:
    """Why it cannot run here; empty where it can."""
    tools = [part[0] for part in PARTS]
    if not all(shutil.which(tool) for tool in (*tools, "pactl", "parec", "pacat")):
        return f"PipeWire is not installed (apt install {PACKAGES})"
    return pulse.missing() if "plugin" in pulse.missing() else ""


@dataclass
class PrivatePipewire(pulse.PrivatePulse):
    """Its daemons."""

    parts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def server(self) -> str:
        return f"unix:{self.folder}/pulse/native"

    def start(self) -> None:
        self.prepare()
        bus = f"unix:path={self.folder}/bus"
        self.environment |= {"XDG_CONFIG_HOME": str(self.folder), "DBUS_SESSION_BUS_ADDRESS": bus}
        for name in ("bus", "pipewire-0", "pipewire-0.lock", "pulse/native"):
            (self.folder / name).unlink(missing_ok=True)
        with (self.folder / "daemon.log").open("ab") as log:
            for part in PARTS:
                command = [*part, *([f"--address={bus}"] if part[0] == "dbus-daemon" else [])]
                self.parts.append(subprocess.Popen(command, env=self.environment, stdout=log, stderr=log))
                time.sleep(0.3)
        self.wait()
        for sink in pulse.SINKS:
            self.load(sink)

    def stop(self) -> None:
        for part in reversed(self.parts):
            part.terminate()
            part.wait(5.0)
        self.parts.clear()
