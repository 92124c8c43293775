"""Runs a network from elsewhere in a process of its own, which may crash, hang or eat memory alone.

A graph can hold a loop without an end, a step that takes an hour and cannot be interrupted, an output of gigabytes, the
path of another file, or what makes the runtime crash; and it may do so for one input and not for another. So it is
never run here. What takes the process too much processor time, it is ended for: on a busy machine, or at low priority,
a good network takes long by the clock.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from typing import Any

import numpy.typing as npt

from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Arrays, Declared, Opening
from realtime_dub.inference.sandbox import wire

# Processor time, which the process itself is bounded by:
OPEN_S = 6.0  # for the network to be read; what does not depend on its inputs is computed then
OPEN_BYTES = 20_000_000  # of a large one, that are given another second
RUN_S = 2.0  # for one call; a live mouth takes a thousandth of it
# By the clock, for what hangs without doing anything:
START_S = 120.0  # for Python and ONNX Runtime to be loaded: half a second of a processor
SLOWNESS = 15.0  # times the processor time
FETCH = "choose another bundle"


class SandboxSession:
    """A network behind a process. ``run`` may be called from several threads, which wait for each other."""

    backend = "cpu"

    def __init__(self, model: bytes, name: str = "network", threads: int = 1, run_s: float | None = None) -> None:
        """``run_s``: of each thread for a call, RUN_S unless said. Raises BundleError where it cannot be opened."""
        self._name, self._run_s, self._threads = name, run_s, threads
        self._lock = threading.Lock()
        self._failed: str | None = None
        self._process, self._channel = _start()
        self.close = weakref.finalize(self, _end, self._process, self._channel)
        self._asked(lambda: None, START_S)
        open_s = OPEN_S + len(model) / OPEN_BYTES
        asked = {"threads": threads, wire.SECONDS: open_s}
        head, _ = self._asked(lambda: wire.send_bytes(self._channel, asked, model), open_s * SLOWNESS, open_s)
        try:
            self.inputs, self.outputs = _declared(head["inputs"]), _declared(head["outputs"])
        except (KeyError, TypeError, ValueError) as error:
            raise self._end("its process gave no answer that makes sense") from error

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        """All outputs by name. Raises BundleError, at once from the second time on."""
        with self._lock:
            if self._failed is not None:
                raise self._error()
            run_s = (self._run_s or RUN_S) * self._threads
            asked = {wire.SECONDS: run_s}
            head, body = self._asked(lambda: wire.send(self._channel, asked, feeds), run_s * SLOWNESS, run_s)
            try:
                return dict(wire.tensors_of(head, body))
            except (KeyError, TypeError, ValueError) as error:
                raise self._end("its process gave no answer that makes sense") from error

    def _asked(self, ask: Any, timeout_s: float, cpu_s: float = 0.0) -> tuple[dict[str, Any], memoryview]:
        """The answer to what ``ask`` sends; ``cpu_s``, of a processor, is what it may take."""
        try:
            self._channel.settimeout(timeout_s)
            ask()
            head, body = wire.receive(self._channel, timeout_s)
        except TimeoutError:
            raise self._end(f"its network gave no answer within {timeout_s:g} s") from None
        except (OSError, EOFError, ValueError, RecursionError):
            raise self._end(f"its network {self._how_it_ended(cpu_s)}") from None
        except BaseException:  # Ctrl-C
            self._end("it was stopped")
            raise
        if "error" in head:
            raise self._end(f"its network cannot be run: {head['error']}")
        return head, body

    def _how_it_ended(self, cpu_s: float) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
            if code == -signal.SIGXCPU:
                return f"gave no answer within {cpu_s:g} s of a processor"
            if code < 0:
                return f"crashed ({signal.Signals(-code).name})"
        return "ended its process"

    def _end(self, why: str) -> BundleError:
        self._failed = why
        self.close()
        return self._error()

    def _error(self) -> BundleError:
        return BundleError("cannot run bundle", f"{self._name}: {self._failed}", FETCH)


def open_apart(model: bytes, opening: Opening) -> SandboxSession:
    return SandboxSession(model, opening.name, opening.settings.threads)


def _declared(found: Any) -> list[Declared]:
    return [Declared(str(name), str(kind), tuple(shape)) for name, kind, shape in found]


def _start() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Away from the terminal's Ctrl-C, without its streams and with one thread."""
    ours, theirs = socket.socketpair()
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path)), OMP_NUM_THREADS="1")
    environment["OPENBLAS_NUM_THREADS"] = "1"
    command = [
        sys.executable,
        "-P",
        "-m",
        "realtime_dub.inference.sandbox.process",
        str(theirs.fileno()),
        str(os.getpid()),
    ]
    null = subprocess.DEVNULL
    with theirs:
        process = subprocess.Popen(
            command,
            stdin=null,
            stdout=null,
            stderr=null,
            env=environment,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
        )
    return process, ours


def _end(process: subprocess.Popen[bytes], channel: socket.socket) -> None:
    channel.close()
    process.kill()
    process.wait()
