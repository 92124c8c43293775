"""The process of one foreign network: ``python -m realtime_dub.inference.sandbox.process SOCKET PARENT``.

It takes a model, says what tensors that has, and runs it for whoever started it, without a file, and in bounded memory.
It ends with its parent, also in the middle of a run that has no end.
"""

from __future__ import annotations

import math
import os
import resource
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.contract import CpuSettings
from realtime_dub.inference.sandbox import wire

MOST_MEMORY = 320_000_000  # bytes beyond what is taken before the model comes
COPIES = 6  # of the model, that ONNX Runtime may have at once while it is opened
LOOKS_EVERY_S = 0.5
WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}
# The least network there is: what ONNX Runtime loads at its first one is loaded before files are out of reach.
LEAST_MODEL = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201615a0f0a0178120a0a080801"
    "12040a020801620f0a0179120a0a08080112040a02080142040a001011"
)


def main(descriptor: int, parent: int) -> None:
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    channel = socket.socket(fileno=descriptor)
    OnnxSession(LEAST_MODEL)
    wire.send(channel, {}, {})  # ready
    head, model = wire.receive(channel, most=wire.MOST_MODEL)
    confine(MOST_MEMORY + COPIES * len(model))
    _allow(head)
    session = _answer_open(channel, bytes(model), CpuSettings(threads=int(head.get("threads", 1))))
    del model
    while session is not None:
        head, body = wire.receive(channel)
        _allow(head)
        _answer_run(channel, session, head, body)


def confine(most_memory: int = MOST_MEMORY) -> None:
    """No file is opened from here on, none written, no process begun, and memory has an end."""
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    if pages:
        _limit(resource.RLIMIT_AS, pages * resource.getpagesize() + most_memory)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, 0)  # those that are open stay open


def _allow(head: Mapping[str, Any]) -> None:
    """The system ends this process with SIGXCPU where an answer takes more of a processor; it counts whole seconds."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    until = math.ceil(time.process_time() + float(head[wire.SECONDS]))
    resource.setrlimit(resource.RLIMIT_CPU, (until if most == resource.RLIM_INFINITY else min(until, most), most))


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY_S)
    os._exit(0)


def _answer_open(channel: socket.socket, model: bytes, settings: CpuSettings) -> OnnxSession | None:
    try:
        session = OnnxSession(model, settings=settings)
    except Exception as error:
        _refuse(channel, error)
        return None
    shapes = {"inputs": session.inputs, "outputs": session.outputs}
    wire.send(channel, shapes, {})
    return session


def _answer_run(channel: socket.socket, session: OnnxSession, head: dict[str, Any], body: memoryview) -> None:
    try:
        results = session.run(_as_declared(session, wire.tensors_of(head, body)))
        if sum(each.nbytes for each in results.values()) > wire.MOST_BODY:
            raise MemoryError("its outputs are too large")
        if any(each.dtype != "float32" for each in results.values()):
            raise TypeError("its outputs are no float32")
    except Exception as error:
        _refuse(channel, error)
    else:
        wire.send(channel, {}, results)


def _as_declared(session: OnnxSession, feeds: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Numbers come as float32; what counts is given as the whole numbers that it takes."""
    kinds = {each.name: each.kind for each in session.inputs}
    return {name: each.astype(WHOLE.get(kinds.get(name, ""), each.dtype)) for name, each in feeds.items()}


def _refuse(channel: socket.socket, error: Exception) -> None:
    wire.send(channel, {"error": f"{type(error).__name__}: {error}"[:1000]}, {})


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except (EOFError, OSError):  # whoever started this has ended
        sys.exit(0)
