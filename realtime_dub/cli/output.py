"""What the commands print."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from realtime_dub.errors import LostOutput, one_line
from realtime_dub.terminal import console
from realtime_dub.trust import rule

if TYPE_CHECKING:
    from realtime_dub.pipeline.statistics import Report


EVERY_S = 0.1  # between two drawings of a bar


class ProgressBar:
    """A progress bar on standard error, called with (done, total); total is None where it is unknown.

    It is drawn when it is called, ten times a second at most: with a thread of its own no process could begin as a copy
    of this one.
    """

    def __init__(self, what: str, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        terminal = console(stderr=True)
        # Where nobody watches it, all that a bar leaves is an empty line.
        unseen = quiet or not terminal.is_terminal
        self._bar = Progress(*columns, console=terminal, disable=unseen, transient=True, auto_refresh=False)
        self._drawn_s = 0.0
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def called(self, what: str) -> Callable[[int, int | None], None]:
        """The same bar under another name, from the first call on."""

        def go_on(done: int, total: int | None) -> None:
            self._bar.update(self._task, description=what)
            self(done, total)

        return go_on

    def __call__(self, done: int, total: int | None) -> None:
        now_s = time.monotonic()
        due = now_s - self._drawn_s >= EVERY_S
        self._drawn_s = now_s if due else self._drawn_s
        self._bar.update(self._task, completed=done, total=total, refresh=due)


def show(report: Report, quiet: bool) -> None:
    if not quiet:
        console().print(report.table())
    if report.lost:
        raise LostOutput("; ".join(report.lost))


def state_rule(quiet: bool) -> None:
    """On the first run of somebody at a terminal: whom to ask, and whom to tell."""
    if quiet or not rule.due():
        return
    console(stderr=True).print(rule.RULE, markup=False, highlight=False, soft_wrap=True)
    rule.told()


def say(message: str) -> None:
    """One red line on standard error; plain where even that cannot be had."""
    line = f"error: {one_line(message)}"
    try:
        from rich.text import Text

        console(stderr=True).print(Text(line, style="red"), soft_wrap=True)
    except Exception:
        print(line, file=sys.stderr)
