"""Whatever is done to a bundle's spec, its network or a bank: one line or a good run: `python -m benchmarks.mutations`.

Each of a number of broken copies is loaded as a user's would be, and where it is taken, heard with and drawn with, in a
process that is watched from outside. Counted are those refused in one line, those that ran, and what must not be: other
errors, crashes, more than 10 s, more than 512 MB with all the processes that it began.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import socket
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import networks
from benchmarks.broken import broken_archive, broken_bytes, broken_json, broken_message
from benchmarks.networks import write_bundle
from benchmarks.output import last_line, show
from realtime_dub.errors import BundleError
from realtime_dub.inference.sandbox import process as sandbox_process
from realtime_dub.inference.sandbox import session as sandbox

KINDS = ("spec", "graph", "bank")
MOST_S, MOST_MB = 10.0, 512.0
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_SOUND_S = 0.1
_FORKED_RUN_S = 0.7  # many of the broken networks have no end: two seconds for each of them are long
_TOLD_EVERY = 500
_SHIPPED = 0.2  # of the networks are broken copies of the one that comes with the program, which take a while to load


def run_all(
    kind: str, count: int, workers: int, first: int, keep: Path | None = None, fork: bool = True
) -> Counter[str]:
    """How often what happened. What must not be is kept in ``keep``."""
    counts: Counter[str] = Counter()
    watched = [_Watched(kind, fork) for _ in range(workers)]
    waiting = iter(range(first, first + count))
    try:
        busy = [each for each in watched if each.begin(next(waiting, None))]
        while busy:
            for each in busy:
                if (outcome := each.outcome()) is None:
                    continue
                counts[outcome] += 1
                if counts.total() % _TOLD_EVERY == 0:
                    print(kind, dict(counts), flush=True)
                if keep is not None and outcome not in ("refused", "ran"):
                    keep.mkdir(parents=True, exist_ok=True)
                    (keep / f"{kind}-{each.seed}.txt").write_text(f"{outcome}\n{each.said}")
                each.begin(next(waiting, None))
            busy = [each for each in busy if each.seed is not None]
            time.sleep(0.002)
    finally:
        for each in watched:
            each.end()
    return counts


class _Watched:
    """A process that loads one broken copy after another; begun anew after each that ended it."""

    def __init__(self, kind: str, fork: bool) -> None:
        self._kind, self._fork = kind, fork
        self.seed: int | None = None
        self.said = ""
        self.peak_mb = 0.0
        self._process: Any = None

    def begin(self, seed: int | None) -> bool:
        self.seed, self._since_s, self.peak_mb = seed, time.monotonic(), 0.0
        if seed is None:
            return False
        if self._process is None:
            self._channel, theirs = multiprocessing.Pipe()
            context = multiprocessing.get_context("spawn")
            self._process = context.Process(target=_serve, args=(self._kind, theirs, self._fork))
            self._process.start()
            theirs.close()
            self._channel.recv()  # loaded
            self._since_s = time.monotonic()
        self._channel.send(seed)
        return True

    def outcome(self) -> str | None:
        """What happened, once it has."""
        self.peak_mb = max(self.peak_mb, _tree_mb(self._process.pid))
        late = time.monotonic() - self._since_s > MOST_S
        if self.peak_mb > MOST_MB or late:
            self.end()
            return "over 10 s" if late else "over 512 MB"
        if not self._channel.poll():
            return None
        try:
            outcome, self.said = self._channel.recv()
        except EOFError:
            self.end()
            return "crashed"
        return str(outcome)

    def end(self) -> None:
        if self._process is not None:
            for pid in _children(self._process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.kill()
            self._process.join()
            self._process = None


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(each) for task in tasks for each in (task / "children").read_text().split()]
    except OSError:
        return []


def _tree_mb(pid: int) -> float:
    total = 0.0
    for each in (pid, *_children(pid)):
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE_MB
    return total


class _Forked:
    """The process of a network, as a copy of this one: as what is started anew, in a thousandth of the time."""

    def __init__(self, channel: socket.socket) -> None:
        parent = os.getpid()
        self.pid = os.fork()
        if not self.pid:
            with contextlib.suppress(BaseException):
                sandbox_process.main(channel.detach(), parent)
            os._exit(0)
        self.returncode: int | None = None

    def kill(self) -> None:
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 0.0) -> int:
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode


def _start_forked() -> tuple[_Forked, socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        return _Forked(theirs), ours


def _serve(kind: str, channel: Connection, fork: bool) -> None:
    """In the watched process."""
    os.nice(10)
    if fork:
        sandbox._start = _start_forked  # type: ignore[assignment]
        sandbox.RUN_S = _FORKED_RUN_S
    with tempfile.TemporaryDirectory() as folder:
        attempt = ATTEMPTS[kind](Path(folder))
        channel.send("loaded")
        while True:
            seed = channel.recv()
            channel.send(_outcome(attempt, seed))


def _outcome(attempt: Callable[[random.Random], None], seed: int) -> tuple[str, str]:
    try:
        attempt(random.Random(seed))
    except BundleError as error:
        return ("several lines" if "\n" in str(error) else "refused"), str(error)
    except BaseException:
        return "another error", traceback.format_exc()
    return "ran", ""


# What is tried. Each is made once per process, with a folder of its own.


def _try_spec(folder: Path) -> Callable[[random.Random], None]:
    bundle = _copy_of_the_bundle(folder)
    whole = (bundle / "spec.json").read_bytes()

    def attempt(dice: random.Random) -> None:
        broken = broken_json(whole, dice) if dice.random() < 0.8 else broken_bytes(whole, dice)
        (bundle / "spec.json").write_bytes(broken)
        _use_bundle(bundle)

    return attempt


def _try_graph(folder: Path) -> Callable[[random.Random], None]:
    """Of the network that comes with the program, and of small ones. The hash fits: somebody made it so."""
    bundle = _copy_of_the_bundle(folder / "shipped")
    spec = json.loads((bundle / "spec.json").read_text())
    shipped = (bundle / "motion.onnx").read_bytes()

    def attempt(dice: random.Random) -> None:
        large = dice.random() < _SHIPPED
        whole = shipped if large else dice.choice(small)
        broken = broken_message(whole, dice) if dice.random() < 0.8 else broken_bytes(whole, dice)
        if large:
            (bundle / "motion.onnx").write_bytes(broken)
            spec["sha256"] = {"motion.onnx": hashlib.sha256(broken).hexdigest()}
            (bundle / "spec.json").write_text(json.dumps(spec))
        _use_bundle(bundle if large else write_bundle(folder / "small", broken))

    small = (networks.lively(), networks.mouth_net())
    return attempt


def _try_bank(folder: Path) -> Callable[[random.Random], None]:
    from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator

    tracked = _portrait()
    path, generator = folder / "me.bank", MouthbankGenerator()
    generator.observe(tracked)
    generator.identity.save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def attempt(dice: random.Random) -> None:
        path.write_bytes(broken_archive(members, dice) if dice.random() < 0.7 else broken_bytes(whole, dice))
        drawn = MouthbankGenerator(identity=path)
        person = drawn.people.current
        drawn.observe(tracked)
        for share in (0.5, 1.0):
            moved = np.zeros((168, 3), np.float32)
            moved[:, 1] = 0.1 * share
            person.renderer.render(tracked, moved, share, 0)

    return attempt


ATTEMPTS: dict[str, Callable[[Path], Callable[[random.Random], None]]] = {
    "spec": _try_spec,
    "graph": _try_graph,
    "bank": _try_bank,
}


def _copy_of_the_bundle(folder: Path) -> Path:
    from realtime_dub.inference.bundle import load_default

    return Path(shutil.copytree(load_default("mouthbank").folder, folder / "bundle"))


def _use_bundle(bundle: Path) -> None:
    """Loads it and hears a little."""
    from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator

    generator = MouthbankGenerator(bundle=bundle)
    noise = 0.1 * np.random.default_rng(0).standard_normal(int(_SOUND_S * 16_000))
    generator.hear(noise.astype(np.float32), 0)


def _portrait() -> Any:
    from benchmarks.media import frames
    from realtime_dub.face.tracker import MediaPipeTracker

    tracker = MediaPipeTracker()
    try:
        return tracker.track(next(iter(frames("demo", 640, 480, 25))))
    finally:
        tracker.close()


def _rows(kinds: tuple[str, ...], args: argparse.Namespace) -> Iterator[tuple[str, Counter[str]]]:
    for kind in kinds:
        yield kind, run_all(kind, args.count, args.workers, args.first, args.keep, not args.anew)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", default=KINDS, help=f"of {', '.join(KINDS)}")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--keep", type=Path, help="a folder for what must not be")
    parser.add_argument("--anew", action="store_true", help="a process started anew for each network, as a user's is")
    args = parser.parse_args()
    found = dict(_rows(tuple(args.kinds), args))
    outcomes = sorted({outcome for counts in found.values() for outcome in counts}, key=lambda each: each != "refused")
    rows = [(kind, *(float(counts[each]) for each in outcomes)) for kind, counts in found.items()]
    show(f"{args.count} broken copies of each", ("of", *outcomes), rows)
    last_line({"benchmark": "mutations", "count": args.count, "outcomes": {k: dict(v) for k, v in found.items()}})


if __name__ == "__main__":
    main()
