"""A private PulseAudio with two null sinks, seen by PortAudio through ALSA's pulse plugin.

Nothing of the machine's or the user's sound set-up is touched: runtime folder, state, socket, home and ALSA
configuration lie in one temporary folder, and reach only the processes started here. The packages that it needs on
Debian and Ubuntu: pulseaudio, libasound2-plugins, libportaudio2.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = "pulseaudio libasound2-plugins libportaudio2"
PLUGIN = "libasound_module_pcm_pulse.so"
SINKS = ("stage", "hall")

# `device` of a pulse pcm serves both directions: one pcm for each way
ASOUND = """
</usr/share/alsa/alsa.conf>
pcm.stage_microphone {{ type pulse server "{server}" device "stage.monitor" }}
pcm.hall_speaker {{ type pulse server "{server}" device "hall" }}
"""


def missing() -> str:
    """Why it cannot run here; empty where it can."""
    if not all(shutil.which(tool) for tool in ("pulseaudio", "pactl", "parec", "pacat")):
        return f"pulseaudio is not installed (apt install {PACKAGES})"
    if not any(Path("/usr/lib").glob(f"*/alsa-lib/{PLUGIN}")):
        return f"ALSA's pulse plugin is not installed (apt install {PACKAGES})"
    return ""


@dataclass
class PrivatePulse:
    """The daemon. ``environment`` is for the processes that are to hear and speak through it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        return f"unix:{self.folder}/socket"

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.prepare()
        modules = [f"module-native-protocol-unix auth-anonymous=1 socket={self.folder}/socket"]
        modules += [f"module-null-sink sink_name={name} rate=48000 channels=2" for name in SINKS]
        loads = [argument for module in modules for argument in ("-L", module)]
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "--use-pid-file=no"]
        (self.folder / "socket").unlink(missing_ok=True)
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                ["pulseaudio", *options, *loads], env=self.environment, stdout=log, stderr=log
            )
        self.wait()

    def prepare(self) -> None:
        """What processes need to find it, and nothing of the user's."""
        asound = self.folder / "asound.conf"
        asound.write_text(ASOUND.format(server=self.server))
        self.environment = {
            **os.environ,
            "HOME": str(self.folder),
            "XDG_RUNTIME_DIR": str(self.folder),
            "PULSE_SERVER": self.server,
            "ALSA_CONFIG_PATH": str(asound),
        }

    def stop(self) -> None:
        """End it, as unplugging does."""
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(5.0)
            self.daemon = None

    def load(self, sink: str) -> None:
        """Another null sink, or one that comes back."""
        self.pactl("load-module", "module-null-sink", f"sink_name={sink}", "rate=48000", "channels=2")

    def unload(self, sink: str) -> None:
        """A sink goes, as when its device is unplugged."""
        modules = self.pactl("list", "short", "modules").splitlines()
        self.pactl("unload-module", next(line.split()[0] for line in modules if f"sink_name={sink} " in line))

    def pactl(self, *arguments: str) -> str:
        """What ``pactl`` says."""
        command = ["pactl", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout

    def play(self, sink: str) -> subprocess.Popen[bytes]:
        """A player whose standard input is 48 kHz stereo float32."""
        return self._tool("pacat", "--playback", sink, stdin=subprocess.PIPE)

    def record(self, sink: str) -> subprocess.Popen[bytes]:
        """A recorder of what a sink plays; its standard output is 48 kHz stereo float32."""
        return self.hear(f"{sink}.monitor")

    def hear(self, source: str) -> subprocess.Popen[bytes]:
        """A recorder of a source, likewise."""
        return self._tool("parec", "--record", source, stdout=subprocess.PIPE)

    def _tool(self, name: str, way: str, device: str, **pipes: int) -> subprocess.Popen[bytes]:
        shape = ["--format=float32le", "--rate=48000", "--channels=2", "--latency-msec=5", "--raw"]
        return subprocess.Popen([name, way, f"--device={device}", *shape], env=self.environment, **pipes)

    def wait(self) -> None:
        """Until it answers."""
        for _ in range(100):
            answer = subprocess.run(["pactl", "info"], env=self.environment, capture_output=True, check=False)
            if answer.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the sound server does not answer:\n{(self.folder / 'daemon.log').read_text()}")
