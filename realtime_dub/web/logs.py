"""One JSON object per line, with the session it is about. No address, no token, no session description."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from realtime_dub import faults
from realtime_dub.errors import RealtimeDubError

FIELDS = ("session", "role", "why", "note", "stuck_threads", "path", "address")
SHORT_ID = 6  # characters of a session's id: the whole would let a reader of the log end it


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": self.formatTime(record), "level": record.levelname.lower(), "event": record.getMessage()}
        for name in FIELDS:
            if hasattr(record, name):
                line[name] = getattr(record, name)
        if "session" in line:
            line["session"] = line["session"][:SHORT_ID]
        if record.exc_info and (error := record.exc_info[1]) is not None:
            line["error"] = _told(error, record)
        return json.dumps(line, ensure_ascii=False, default=str)


def _told(error: BaseException, record: logging.LogRecord) -> str:
    """One line; a fault's traceback goes where nobody else reads it."""
    short = faults.without_secrets(f"{type(error).__name__}: {error}")
    if record.levelno < logging.ERROR or isinstance(error, RealtimeDubError):
        return short
    return faults.OURS.line(error, record.getMessage(), fatal=False) or short


@contextmanager
def structured(quiet: bool) -> Iterator[None]:
    """Send this server's log to standard error while entered; other libraries' from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    loggers = {"realtime_dub.web": logging.WARNING if quiet else logging.INFO, "aiortc": logging.ERROR,
               "aioice": logging.ERROR, "aiohttp": logging.ERROR}  # fmt: skip
    for name, level in loggers.items():
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(level)
    try:
        yield
    finally:
        for name in loggers:
            logging.getLogger(name).removeHandler(handler)
