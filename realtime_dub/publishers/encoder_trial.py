"""Whether encoders work on this machine: each is opened, as an output would open it, and encodes a frame.

FFmpeg has encoders for cards that are not there, and a driver may hang, write to the program's streams, or end the
process. So each is tried by a process of its own, all at once, and none for longer than TRIAL_S.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
from av.video.reformatter import ColorRange

from realtime_dub.imports import python_path
from realtime_dub.paths import reason

TRIAL_S = 15.0  # a card that sleeps takes seconds to wake
KILLED_S = 1.0  # what a driver holds in the kernel does not end when it is killed
SAYS = "realtime-dub's trial:"  # what a driver prints is on the same stream
START = "import sys; from realtime_dub.publishers.encoder_trial import main; main(sys.argv[1])"
ERRORS = (OSError, ValueError, av.error.FFmpegError)


@dataclass(frozen=True, slots=True)
class Trial:
    """One encoder, by FFmpeg's name, with FFmpeg's options; frames a second as ``25/1``."""

    codec: str
    pix_fmt: str
    width: int
    height: int
    fps: str
    full_range: bool
    options: dict[str, str]


def why_not(trials: Sequence[Trial]) -> list[str | None]:
    """For each why nothing comes of it; None where it works. Blocking, TRIAL_S at most."""
    until_s = time.monotonic() + TRIAL_S
    started = [_start(each) if _is_there(each.codec) else None for each in trials]
    return ["not in this PyAV" if each is None else _answer(each, until_s) for each in started]


def main(text: str) -> None:
    """In a process of its own: say why the trial in ``text``, as JSON, gives nothing; nothing where it works."""
    av.logging.set_level(av.logging.ERROR)
    with av.logging.Capture() as told:
        why = why_nothing_comes(Trial(**json.loads(text)))
    first = " ".join(told[0][2].split()) if told else ""  # the cause: what comes of it is told later
    print(SAYS, (why and (first.rstrip(".") or why)) or "", flush=True)


def why_nothing_comes(trial: Trial) -> str | None:
    """In this process."""
    context: Any = av.CodecContext.create(trial.codec, "w")
    try:
        context.width, context.height, context.pix_fmt = trial.width, trial.height, trial.pix_fmt
        context.framerate = Fraction(trial.fps)
        context.time_base = 1 / Fraction(trial.fps)
        context.color_range = ColorRange.JPEG if trial.full_range else ColorRange.MPEG
        context.options = trial.options
        frame = av.VideoFrame(trial.width, trial.height, trial.pix_fmt)
        frame.pts, frame.color_range = 0, context.color_range
        packets = [*context.encode(frame), *context.encode(None)]
    except ERRORS as error:
        return reason(error)
    return None if any(packet.size for packet in packets) else "it gives nothing"


def _is_there(codec: str) -> bool:
    try:
        av.Codec(codec, "w")
    except ERRORS:
        return False
    return True


def _start(trial: Trial) -> subprocess.Popen[str]:
    null = subprocess.DEVNULL
    return subprocess.Popen(
        [sys.executable, "-P", "-c", START, json.dumps(asdict(trial))],
        stdin=null, stdout=subprocess.PIPE, stderr=null, env=os.environ | {"PYTHONPATH": python_path()},
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip


def _answer(process: subprocess.Popen[str], until_s: float) -> str | None:
    try:
        said, _ = process.communicate(timeout=max(0.0, until_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_S:.0f} s"
    finally:
        _end(process)
    for line in said.splitlines():
        if line.startswith(SAYS):
            return line.removeprefix(SAYS).strip() or None
    return f"its driver ended the process that tried it ({process.returncode})"


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(KILLED_S)
    if process.stdout is not None:
        process.stdout.close()
