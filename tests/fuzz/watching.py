"""Runs a child for each kind and judges what it cannot judge itself: crashes, hangs, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from fuzz.child import Window

HANG_S = 10.0  # of processor time for one copy
STILL_S = 60.0  # without any: on a machine that is busy, a copy waits for its turn
START_S = 300.0  # until the first copy: libraries are loaded, on a machine that may be busy
MOST_MB = 1_500
LOOK_S = 0.1
MOST_FAILURES = 50  # of a kind


@dataclass
class Failure:
    number: int
    why: str
    data: bytes


@dataclass
class Outcome:
    """Of one kind: copies, how many of them were read, how many different answers there were, the most memory."""

    kind: str
    cases: int = 0
    taken: int = 0
    answers: int = 0
    most_mb: float = 0.0
    seconds: float = 0.0
    failures: list[Failure] = field(default_factory=list)


def watch(kind: str, seed: str, seconds: float, most: int = 1 << 40, first: int = 0) -> Outcome:
    """At most ``seconds`` of reading, and up to copy ``most``. Behind a child that died another one goes on."""
    outcome, number = Outcome(kind), first
    while number < most and (left := seconds - outcome.seconds) > 0:
        at = _child(outcome, seed, number, most, left)
        outcome.cases += at - number
        number = at
        if len(outcome.failures) >= MOST_FAILURES:
            break
    return outcome


def _child(outcome: Outcome, seed: str, first: int, most: int, seconds: float) -> int:
    """The first number that was not read. Adds to ``outcome``."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "window"
        window = Window(path)
        window.show(first, b"", 0, 0)
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(["tests", ".", *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
            "TMPDIR": folder,
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "fuzz.child", outcome.kind, seed, str(first), str(most), str(path)]
        with (Path(folder) / "out").open("w+b") as out, (Path(folder) / "err").open("w+b") as err:
            child = subprocess.Popen(command, stdout=out, stderr=err, env=env)
            why = _wait(child, window, outcome, seconds)
            out.seek(0), err.seek(0)
            told = [json.loads(line) for line in out.read().splitlines() if line.endswith(b"}")]
            said = err.read().decode("utf-8", "replace").strip()
        outcome.failures += [Failure(each["number"], each["why"], bytes.fromhex(each["data"])) for each in told]
        number, length, taken, answers = window.head
        outcome.taken, outcome.answers = outcome.taken + taken, max(outcome.answers, answers)
        if child.returncode == 1 and not length and number == first:
            raise SystemExit(f"{outcome.kind}: the reader did not start: {said[-1_000:]}")
        if why:
            outcome.failures.append(Failure(number, f"{why} {said[-500:]}".strip(), window.data))
        window.close()
        return number + bool(why) if number < most else most


def _wait(child: subprocess.Popen[bytes], window: Window, outcome: Outcome, seconds: float) -> str:
    """Until it ends or its time is over. What went wrong, "" where nothing did."""
    began, at, since, spent = 0.0, -1, time.monotonic(), 0.0
    while child.poll() is None:
        time.sleep(LOOK_S)
        now = time.monotonic()
        number, length, *_ = window.head
        began = began or (now if length else 0.0)  # libraries are loaded before
        if number != at or _stopped(child.pid):
            at, since, spent = number, now, _cpu_s(child.pid)
        megabytes = _megabytes(child.pid)
        outcome.most_mb = max(outcome.most_mb, megabytes)
        why = ""
        if megabytes > MOST_MB:
            why = f"it took {megabytes:.0f} MB"
        elif length and (_cpu_s(child.pid) - spent > HANG_S or now - since > STILL_S):
            why = f"it took more than {HANG_S:g} s of processor time, or {STILL_S:g} s of none"
        elif now - since > START_S:
            why = f"it has not begun after {START_S:g} s"
        if why or (began and now > began + seconds):
            child.kill()
            child.wait()
            outcome.seconds += now - (began or now)
            return why
    outcome.seconds += time.monotonic() - began if began else 0.0
    return f"the process ended by signal {-child.returncode}" if child.returncode < 0 else ""


def _stopped(pid: int) -> bool:
    """By somebody else, as Ctrl-Z does."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:  # likewise
        return False


def _cpu_s(pid: int) -> float:
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    except OSError:  # likewise
        return 0.0
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):  # it has just ended, or there is no such folder
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6
