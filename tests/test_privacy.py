"""A tool for faces and voices keeps to itself: it asks for no name, opens no connection, and leaves at home the key
that signs, and nothing else.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import requires
from pathlib import Path

import pytest
from films import numbered, steady, write_film

ROOT = Path(__file__).parent.parent
CALLS = "socket,connect,bind,sendto,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,symlink,link,execve"
OPENED_TO_WRITE = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|\bcreat\(|\bmkdir|\brename|\bsymlink|\blink\(")
FAILED = re.compile(r"= -1 E[A-Z]+ ")
RUNS = {
    "file": "file film.mp4 --mic video -o out.mp4 --stats-json s.json --contact-sheet s.png",
    "live": "--webcam demo --mic demo --to out.mp4 --seconds 1 --stats-json s.json",
    "enroll": "enroll face.mp4 -o me.bank",
}
# What signs the files that are made (docs/trust.md).
KEPT = {f".local/share/realtime-dub/keys/signing/{name}" for name in ("key.pem", "certificates.pem")}
# Distribution -> module, where they differ.
MODULES = {
    "c2pa-python": "c2pa",
    "opencv-contrib-python": "cv2",
    "pillow": "PIL",
    "python-osc": "pythonosc",
    "prometheus-client": "prometheus_client",
}


@dataclass
class Seen:
    """What a process did, in strace's lines."""

    code: int
    network: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # outside its own folder
    started: list[str] = field(default_factory=list)  # other programs


def traced() -> bool:
    """Whether there is a strace that may trace."""
    strace = shutil.which("strace")
    return strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], check=False).returncode == 0


@pytest.fixture
def watched(tmp_path: Path) -> Callable[..., Seen]:
    """Runs Python with arguments in a folder and a home of its own, which has to stay empty but for KEPT."""
    if not traced():
        pytest.skip("no strace that may trace; tools/system-packages.sh test installs it")
    home, place, trace = tmp_path / "home", tmp_path / "place", tmp_path / "trace"
    for folder in (home, place):
        folder.mkdir()
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_", "MPL"))}
    env = {**keep, "HOME": str(home), "TMPDIR": str(place), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}

    def run(*arguments: str) -> Seen:
        strace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={CALLS}", "-e", "signal=none", "-o", str(trace)]
        command = [*strace, sys.executable, *arguments]
        done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        assert {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()} <= KEPT
        return seen_in(trace.read_text(errors="replace").splitlines(), (place, home), done.returncode)

    return run


def seen_in(lines: list[str], places: tuple[Path, Path], code: int) -> Seen:
    inside = "|".join(rf"{re.escape(str(place))}[^\"]*" for place in places)
    own = re.compile(rf'"(/dev/null|{inside}|[^/"][^"]*)"')
    seen = Seen(code)
    for line in lines[1:]:  # the first is the program itself
        call = line.partition(" ")[2].lstrip()
        if call.startswith(("socket(", "connect(", "bind(")):
            seen.network.append(call)
        elif call.startswith("execve(") and "ldconfig" not in call:  # by which ctypes finds libraries
            seen.started.append(call)
        elif OPENED_TO_WRITE.search(call) and not FAILED.search(call) and not own.search(call):
            seen.written.append(call)
    return seen


@pytest.mark.parametrize("run", RUNS)
def test_a_run_keeps_to_itself(run: str, watched: Callable[..., Seen], tmp_path: Path) -> None:
    if run != "enroll":
        write_film(tmp_path / "place" / "film.mp4", steady(5), numbered(64, 64), sound_ms=200)
    else:
        from faces import portrait

        write_film(tmp_path / "place" / "face.mp4", steady(3), lambda _: portrait())
    seen = watched("-c", "from realtime_dub.cli import main; main()", *RUNS[run].split())
    assert (seen.network, seen.started, seen.written) == ([], [], [])


def test_no_library_that_is_imported_calls_anybody(watched: Callable[..., Seen]) -> None:
    """Each one that running asks for; ``sounddevice`` apart, which asks this machine for its sound devices."""
    wanted = [
        line
        for line in requires("realtime-dub") or ()
        if "extra" not in line or 'extra == "web"' in line.replace("'", '"')
    ]
    names = [re.split(r"[^\w.-]", line)[0] for line in wanted]
    modules = [MODULES.get(name, name) for name in names if name not in ("sounddevice", "mediapipe", "pulsectl")]
    assert {"onnxruntime", "cv2", "aiortc"} <= set(modules)
    ours = "realtime_dub.face.tracker, realtime_dub.audio.pulse_watch"  # which load mediapipe and pulsectl
    code = f"import time, {ours}, {', '.join(modules)}; time.sleep(0.5)"
    seen = watched("-c", code)
    assert (seen.network, seen.started, seen.written) == ([], [], [])


def test_whoever_imports_onnx_runtime_has_imported_what_silences_it() -> None:
    """It is asked in the package's ``__init__``, so nothing outside the package may import it on its own."""
    importers = set()
    for folder in ("realtime_dub", "engines", "export", "benchmarks", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                if any(name.split(".")[0] == "onnxruntime" for name in names):
                    importers.add(path.relative_to(ROOT).parts[0])
    assert importers == {"realtime_dub"}
    code = "import os, realtime_dub; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    env = {**os.environ, "ORT_DISABLE_TELEMETRY": "0"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "1\n"


def test_the_face_tracker_looks_for_no_sound_device_and_no_font() -> None:
    code = (
        "import sys, realtime_dub.face.tracker, realtime_dub.sources.demo as demo; demo.read_portrait();"
        "print([name for name in ('sounddevice', 'matplotlib', 'matplotlib.pyplot', 'mediapipe.tasks')"
        " if name in sys.modules]);"
        "import matplotlib, sounddevice; print(bool(matplotlib.__file__))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\nTrue\n"
