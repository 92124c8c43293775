"""What was found, for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime_dub import __version__
from realtime_dub.finding import Finding

if TYPE_CHECKING:
    from rich.table import Table

COLORS = {"ok": "green", "warn": "yellow", "fail": "red"}


def table(checks: list[Finding]) -> Table:
    """The checks for a terminal."""
    from rich.table import Table
    from rich.text import Text

    out = Table(title=f"realtime-dub {__version__}", title_justify="left")
    for heading in ("", "", "found", "what to do"):
        out.add_column(heading, overflow="fold")
    for check in checks:
        state = Text(check.state, style=COLORS[check.state])
        out.add_row(state, Text(check.name), Text(check.detail), Text(check.advice))
    return out
