"""The last line of defence: what nobody foresaw is one line for the user and a report for those who can mend it.

A traceback tells a user nothing and may tell others too much. It goes into a file that only the user may read, without
passwords, tokens, stream keys and the paths of addresses.
"""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

from realtime_dub import __version__
from realtime_dub.errors import RealtimeDubError, one_line

EXIT_CODE = 1
HIDDEN = "***"
SECRET_OPTIONS = ("--token", "--turn-password", "--turn-user")
SECRET_VARIABLES = "REALTIME_DUB_"  # what their names begin with
SHORTEST_SECRET = 4  # less would blacken half the report
# Of an address only the host is shown: the path may be a stream's key, the query a token, before the @ is a password.
ADDRESS = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://)(?:[^\s/?#'\"@]*@)?([^\s/?#'\"@]*)([^\s'\"]*)")
LIBRARIES = ("aiortc", "av", "mediapipe", "numpy", "onnxruntime", "opencv-contrib-python", "pydantic", "rich", "typer")
MOST = 20  # kept of one run: a fault in every tick would fill the disk


class Faults:
    """Those of a process. All go into one report; the first is told, the others would say the same again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._path: str | None = None
        self._count = 0
        self.fatal = False  # something that the user asked for was not done

    def line(self, error: BaseException, where: str, fatal: bool = True) -> str | None:
        """Put ``error`` into the report. What to tell the user; None where that was told before."""
        with self._lock:
            self.fatal = self.fatal or fatal
            self._count += 1
            kept = self._keep(error, where) if self._count <= MOST else ""
            first = self._count == 1
        said = one_line(without_secrets(": ".join(part for part in (type(error).__name__, str(error)) if part)))
        return f"{said} (this is a fault of ours; {kept})" if first else None

    def _keep(self, error: BaseException, where: str) -> str:
        try:
            if self._path is None:
                descriptor, self._path = tempfile.mkstemp(".txt", "realtime-dub-fault-")
                os.close(descriptor)
                _append(self._path, header(sys.argv[1:]))
            _append(self._path, "".join([f"\n{where}\n", *traceback.format_exception(error)]))
        except OSError as failed:
            return f"a report of it could not be written: {failed.strerror or failed}"
        return f"a report was written to {self._path}"


OURS = Faults()  # of this process


def header(arguments: Sequence[str]) -> str:
    """What was called, and on what."""
    versions = "\n".join(f"{name} {_version(name)}" for name in LIBRARIES)
    called = " ".join(shown(arguments))
    return f"realtime-dub {__version__} {called}\n{platform.platform()}\nPython {sys.version}\n{versions}\n"


def shown(arguments: Sequence[str]) -> list[str]:
    """The arguments as they may be shown."""
    secrets = set(_given(arguments))
    return [HIDDEN if each in secrets else without_secrets(each, arguments) for each in arguments]


def without_secrets(text: str, arguments: Sequence[str] | None = None) -> str:
    """``text`` without what the command or the environment gave as a secret, and with no more of an address than its
    host."""
    given = [*_given(sys.argv[1:] if arguments is None else arguments), *_variables()]
    for secret in sorted((each for each in given if len(each) >= SHORTEST_SECRET), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return ADDRESS.sub(lambda found: found[1] + found[2] + (f"/{HIDDEN}" if found[3] else ""), text)


def _given(arguments: Sequence[str]) -> Iterator[str]:
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        option, equals, value = argument.partition("=")
        if option in SECRET_OPTIONS:
            yield value if equals else following
        for found in ADDRESS.finditer(argument):
            yield from re.split(r"[/?#&=]", found[3])
            yield from re.split(r"[:@]", found[0][len(found[1]) : found.start(2) - found.start()])


def _variables() -> Iterator[str]:
    return (value for name, value in os.environ.items() if name.startswith(SECRET_VARIABLES))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is not installed"


def _append(path: str, text: str) -> None:
    with open(path, "a", encoding="utf-8", errors="backslashreplace") as report:
        report.write(without_secrets(text))


def catch_everything(faults: Faults, say: Callable[[str], None]) -> None:
    """For the rest of the process: whatever Python would print a traceback for goes to ``faults``, and one line to
    ``say``. In a thread, in a task that nobody waits for, in a finaliser, at exit.
    """

    def report(error: BaseException | None, where: str, fatal: bool) -> None:
        if isinstance(error, RealtimeDubError):
            faults.fatal = faults.fatal or fatal
            say(str(error))
        elif error is not None and (line := faults.line(error, where, fatal)) is not None:
            say(line)

    class Last(logging.Handler):
        """Where no other handler is: what a task raised, which asyncio logs, and what we ourselves have to tell at
        once. What other libraries warn of is for those who write programs.
        """

        def emit(self, record: logging.LogRecord) -> None:
            error = record.exc_info[1] if record.exc_info else None
            report(error, f"{record.name}: {record.getMessage()}", fatal=True)
            if error is None and record.name.partition(".")[0] == __name__.partition(".")[0]:
                print(one_line(record.getMessage()), file=sys.stderr, flush=True)

    def unraisable(args: Any) -> None:
        report(args.exc_value, args.err_msg or "in a finaliser", fatal=False)  # nothing that was asked for is missing

    sys.excepthook = lambda kind, error, at: report(error, "outside the command", fatal=True)
    threading.excepthook = lambda args: report(args.exc_value, f"thread {getattr(args.thread, 'name', '')}", fatal=True)
    sys.unraisablehook = unraisable
    logging.raiseExceptions = False
    logging.lastResort = Last(logging.WARNING)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they are for those who write programs
