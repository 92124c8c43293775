"""Processes that look at what visitors send: few at a time, each for so long, all killed when the server ends."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from realtime_dub.errors import one_line
from realtime_dub.web.confinement import environment
from realtime_dub.web.limits import CHECK_S
from realtime_dub.web.refusals import Refusal

NICE = 10  # before anything is loaded: people's mouths come first
START = (
    "import os, sys; getattr(os, 'nice', int)(int(sys.argv[1])); "
    "from realtime_dub.web.confinement import leave_network; alone = leave_network(); "
    "from realtime_dub.web.studio.check_file import main; main(alone)"
)
PROMPT = (sys.executable, "-P", "-c", START, "0")  # -P: nothing is loaded from where the server was started
PROGRAM = (*PROMPT[:-1], str(NICE))
UNREADABLE = "The file cannot be read."
MOST_SAID = 300  # characters
MOST_ANSWER = 1 << 20  # bytes, whatever a process that a file has taken over may write
TOO_LONG = Refusal(422, "The file takes too long to read.", "Choose another one, or a part of it.")
log = logging.getLogger("realtime_dub.web")


class Reader:
    """A process that loads its libraries, and then waits for the one file it is to look at."""

    def __init__(self, program: tuple[str, ...]) -> None:
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed in end)
        self._process = subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=self._said, stderr=subprocess.DEVNULL, env=environment()
        )

    @property
    def waits(self) -> bool:
        return self._process.poll() is None

    def ask(self, kind: str, path: Path, out: Path, more: tuple[str, ...], seconds: float) -> dict[str, Any]:
        """Its answer; {} where there is none that can be read. Raises Refusal."""
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended
            self._process.stdin.write(json.dumps([kind, str(path), str(out), *more]).encode() + b"\n")
            self._process.stdin.close()
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise TOO_LONG from None
        if code == -getattr(signal, "SIGXCPU", 0) != 0:
            raise TOO_LONG
        self._said.seek(0)
        return _read(self._said.read(MOST_ANSWER)) if code == 0 else {}

    def kill(self) -> None:
        """From any thread. Idempotent."""
        self._process.kill()

    def end(self) -> None:
        """Blocking. Idempotent."""
        self.kill()
        self._process.wait()
        with suppress(OSError):
            self._process.stdin and self._process.stdin.close()
        self._said.close()


class Checks:
    """Blocking; :meth:`close` and :meth:`stop`, from any thread, end those at work.

    ``spare``: behind the first file, the next one's process is there before it comes.
    """

    def __init__(self, program: tuple[str, ...] = PROGRAM, spare: bool = False) -> None:
        self._program, self._keeps = program, spare
        self._lock = threading.Lock()
        self._running: dict[Path, Reader] = {}
        self._spare: Reader | None = None
        self._closed = self._warned = False

    def run(self, kind: str, path: Path, out: Path, *more: str) -> dict[str, Any]:
        """What there is to tell of ``path``, which is written anew to ``out``; ``more``: what else that kind of reader
        has to know. Raises Refusal.
        """
        reader = self._begin(path)
        try:
            fields = reader.ask(kind, path, out, more, CHECK_S)
        finally:
            self._end(path, reader)
        if fields.pop("network", False):
            self._warn()
        if not fields:
            raise Refusal(422, UNREADABLE, "Choose another one.")
        if "error" in fields:
            what, _, do = str(fields["error"]).partition("; ")
            raise Refusal(422, _short(what), _short(do or "Choose another one."))
        return fields

    def stop(self, path: Path) -> None:
        """Nobody waits for this one any more."""
        with self._lock:
            if reader := self._running.get(path):
                reader.kill()

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._closed, spare, self._spare = True, self._spare, None
            for reader in self._running.values():
                reader.kill()
        if spare is not None:
            spare.end()

    def _begin(self, path: Path) -> Reader:
        with self._lock:
            if self._closed:
                raise Refusal(503, "The server stops.", "Try again in a minute.")
            spare, self._spare = self._spare, None
            reader = spare if spare is not None and spare.waits else Reader(self._program)
            self._running[path] = reader
        if spare is not None and spare is not reader:
            spare.end()
        return reader

    def _end(self, path: Path, reader: Reader) -> None:
        with self._lock:
            self._running.pop(path, None)
            if self._keeps and self._spare is None and not self._closed:
                self._spare = Reader(self._program)
        reader.end()

    def _warn(self) -> None:
        """Once."""
        if not self._warned:
            self._warned = True
            log.warning("what visitors send is read with the network in reach: this system lets no process leave it")


def _read(said: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(said)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def _short(text: str) -> str:
    """What a process said of a file from outside, in one line."""
    return one_line(text)[:MOST_SAID]
