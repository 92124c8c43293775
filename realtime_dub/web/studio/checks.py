"""Processes that look at what visitors send: few at a time, each for so long, all killed when the server ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import realtime_dub
from realtime_dub.errors import one_line
from realtime_dub.web.limits import CHECK_S
from realtime_dub.web.refusals import Refusal

NICE = 10  # before anything is loaded: people's mouths come first
START = (
    f"import os, sys; getattr(os, 'nice', int)({NICE}); "
    "from realtime_dub.web.studio.check_file import main; main(*sys.argv[1:])"
)
PROGRAM = (sys.executable, "-P", "-c", START)  # -P: nothing is loaded from where the server was started
HERE = str(Path(realtime_dub.__file__).parents[1])
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
KEPT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")  # of the environment
UNREADABLE = "The file cannot be read."
MOST_SAID = 300  # characters


class Checks:
    """Blocking; :meth:`close` and :meth:`stop`, from any thread, end those at work."""

    def __init__(self, program: tuple[str, ...] = PROGRAM) -> None:
        self._program = program
        self._lock = threading.Lock()
        self._running: dict[Path, subprocess.Popen[str]] = {}
        self._closed = False

    def run(self, kind: str, path: Path, out: Path) -> dict[str, Any]:
        """What there is to tell of ``path``, which is written anew to ``out``. Raises Refusal."""
        process = self._begin([*self._program, kind, str(path), str(out)], path)
        try:
            said, _ = process.communicate(timeout=CHECK_S)
        except subprocess.TimeoutExpired:
            raise Refusal(422, "The file takes too long to read.", "Choose another one, or a part of it.") from None
        finally:
            self._end(path, process)
        fields = _read(said) if process.returncode == 0 else {}
        if not fields:
            raise Refusal(422, UNREADABLE, "Choose another one.")
        if "error" in fields:
            what, _, do = str(fields["error"]).partition("; ")
            raise Refusal(422, _short(what), _short(do or "Choose another one."))
        return fields

    def stop(self, path: Path) -> None:
        """Nobody waits for this one any more."""
        with self._lock:
            if process := self._running.get(path):
                process.kill()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed = True
            for process in self._running.values():
                process.kill()

    def _begin(self, command: list[str], path: Path) -> subprocess.Popen[str]:
        environment = {name: os.environ[name] for name in KEPT if name in os.environ} | ONE_THREAD
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (HERE, os.environ.get("PYTHONPATH"))))
        with self._lock:
            if self._closed:
                raise Refusal(503, "The server stops.", "Try again in a minute.")
            self._running[path] = process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
            )
        return process

    def _end(self, path: Path, process: subprocess.Popen[str]) -> None:
        with self._lock:
            self._running.pop(path, None)
        process.kill()
        process.communicate()


def _read(said: str) -> dict[str, Any]:
    try:
        fields = json.loads(said)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _short(text: str) -> str:
    """What a process said of a file from outside, in one line."""
    return one_line(text)[:MOST_SAID]
