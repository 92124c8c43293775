"""What is shown on a terminal, of whatever width."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

LEAST_WIDTH = 40  # columns; rich cannot lay out a table in one


def console(stderr: bool = False) -> Console:
    """Where to print: standard output, or standard error."""
    from rich.console import Console

    out = Console(stderr=stderr)
    if out.width < LEAST_WIDTH:
        out.width = LEAST_WIDTH
    return out
