"""One JSON object per line, with the session it is about. No address, no token, no session description.

What a library logs may quote what a visitor sent, and so may what an exception says. Of both only kind and place in the
source are told; the whole of a fault goes into the report, which nobody else reads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import Full, Queue
from types import TracebackType
from typing import Any

from realtime_dub import faults
from realtime_dub.errors import RealtimeDubError
from realtime_dub.web import limits
from realtime_dub.web.http.callers import CallerRates

OURS = "realtime_dub"
FIELDS = ("session", "role", "why", "note", "stuck_threads", "path", "left_out", "worker", "to", "seal", "what")
SHORT_ID = 6  # characters of a session's id: the whole would let a reader of the log end it
OURS_IN_REPORT = " (this is a fault of ours"
TEMPORARY = re.compile(r"\S*realtime-dub-\S+")  # its name is what a visitor's page asks for a file by


class JsonLines(logging.Formatter):
    """``worker``: whose process this is, where there are several."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._always = {} if worker is None else {"worker": worker}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": _event(record),
        }
        line |= self._always
        for name in FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if "session" in line:
            line["session"] = line["session"][:SHORT_ID]
        if "note" in line:
            line["note"] = TEMPORARY.sub("a file", faults.without_secrets(line["note"]))
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line["error"] = _described(error, record)
        return json.dumps(line, default=str)  # in ASCII: a terminal obeys nothing of it


class Seldom(logging.Filter):
    """What comes again and again, because somebody means it to, is left out and counted."""

    def __init__(self) -> None:
        super().__init__()
        self._bucket = CallerRates(limits.LINES_PER_S, limits.LINES_BURST)
        self._left_out: Counter[str] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        kind = f"{record.name}:{record.lineno}"
        if not self._bucket.take(kind, time.monotonic()):
            self._left_out[kind] += 1
            return False
        if left_out := self._left_out.pop(kind, 0):
            record.left_out = left_out
        return True


class Aside(QueueHandler):
    """To a thread of its own: whoever reads the log slowly, or a report of a fault, holds no visitor up."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record  # as it is: the formatter decides what of an exception is told

    def handleError(self, record: logging.LogRecord) -> None:
        """What does not fit is left out."""


def _event(record: logging.LogRecord) -> str:
    if (record.name or OURS).partition(".")[0] == OURS:
        return record.getMessage()
    return f"{record.name} tells of something at {record.module}:{record.lineno}"


def _described(error: BaseException, record: logging.LogRecord) -> str:
    """One line; a fault's traceback goes where nobody else reads it."""
    if isinstance(error, RealtimeDubError):
        return TEMPORARY.sub("a file", faults.without_secrets(str(error)))
    short = f"{type(error).__name__} at {_where(error.__traceback__)}"
    if record.levelno < logging.ERROR:
        return short
    _, begins, report = (faults.OURS.line(error, _event(record), fatal=False) or "").rpartition(OURS_IN_REPORT)
    return short + begins + report


def _where(at: TracebackType | None) -> str:
    """The innermost place of a traceback."""
    if at is None:
        return "an unknown place"
    while at.tb_next is not None:
        at = at.tb_next
    return f"{Path(at.tb_frame.f_code.co_filename).stem}:{at.tb_lineno}"


def unheard(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """For ``set_exception_handler``: asyncio's own describes sockets, data and whom they came from."""
    error = context.get("exception")
    if not isinstance(error, OSError | None):  # a connection that breaks is no fault
        logging.getLogger("realtime_dub.web").error("a background task failed", exc_info=error)


@contextmanager
def structured(quiet: bool, worker: int | None = None) -> Iterator[None]:
    """Send what is logged to standard error while entered: all of this server, of libraries what they warn of."""
    written = logging.StreamHandler(sys.stderr)
    written.setFormatter(JsonLines(worker))
    handler = Aside(Queue(limits.LINES_WAITING))
    handler.addFilter(Seldom())
    writer = QueueListener(handler.queue, written)
    root = logging.getLogger()
    levels = {"": logging.WARNING, "realtime_dub.web": logging.WARNING if quiet else logging.INFO,
              "aiortc": logging.ERROR, "aioice": logging.ERROR, "aiohttp": logging.ERROR}  # fmt: skip
    before = {name: logging.getLogger(name).level for name in levels}
    root.addHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    writer.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        with suppress(Full):  # nobody reads it
            writer.stop()
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
