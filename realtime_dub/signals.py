"""The signals that ask a program to end: Ctrl-C, a polite kill, a terminal that was closed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

POLITE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

AGAIN_S = 0.02


class Terminated(SystemExit):
    """What SIGTERM and SIGHUP raise in the main thread, so that a file is finished as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.exit_code = 128 + number  # as a shell reports it
        super().__init__(self.exit_code)


def polite() -> list[signal.Signals]:
    """Those of POLITE that are not ignored: under ``nohup`` SIGHUP is, and stays so."""
    return [each for each in POLITE if signal.getsignal(each) is not signal.SIG_IGN]


def heard() -> list[signal.Signals]:
    """Those that end this program: a shell's background job does not hear Ctrl-C."""
    return [*polite(), *([signal.SIGINT] if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN else [])]


def raised() -> contextlib.AbstractContextManager[None]:
    """A polite signal raises Terminated while this is entered, Ctrl-C KeyboardInterrupt; never within an import."""
    return _handled(heard(), _raise)


def held_off() -> contextlib.AbstractContextManager[None]:
    """Nobody asks twice while this is entered, for what is finished there is short: Ctrl-C does nothing either."""
    return _handled([signal.SIGINT, *polite()], lambda number, frame: None)


def only_in_a_run() -> None:
    """For the rest of the process: before and after a run, which hears them itself, nothing is said twice."""
    for each in heard():
        signal.signal(each, lambda number, frame: None)


def at_once(code: int) -> None:
    """For the rest of the process, when all is said: whoever asks once more ends it at once, with ``code``."""
    for each in heard():
        signal.signal(each, lambda number, frame: os._exit(code))


def never_lost() -> None:
    """For the rest of the process: what a signal raises while Python frees something is dropped there, so the signal is
    sent once more.
    """
    before = sys.unraisablehook

    def hook(args: Any) -> None:
        if (number := _number(args.exc_value)) is None:
            before(args)
        else:
            _again(number)

    sys.unraisablehook = hook


def _again(number: int) -> None:
    """Send the signal once more, a little later."""
    again = threading.Timer(AGAIN_S, os.kill, (os.getpid(), number))
    again.daemon = True
    with contextlib.suppress(RuntimeError):  # at Python's end there is nothing to stop
        again.start()


def _number(error: BaseException | None) -> int | None:
    """The signal that raised ``error``."""
    if isinstance(error, Terminated):
        return error.exit_code - 128
    return signal.SIGINT if isinstance(error, KeyboardInterrupt) else None


@contextlib.contextmanager
def _handled(numbers: list[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Where signals can be had: in the main thread."""
    held: dict[signal.Signals, Any] = {}
    with contextlib.suppress(ValueError):
        for each in numbers:
            held[each] = signal.signal(each, handler)
    try:
        yield
    finally:
        for each, before in held.items():
            signal.signal(each, before)


def _raise(number: int, frame: FrameType | None) -> None:
    if _imports(frame):  # a library in C prints a traceback of its own, and says that it cannot be loaded
        _again(number)
    elif number == signal.SIGINT:
        raise KeyboardInterrupt
    else:
        raise Terminated(number)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None
