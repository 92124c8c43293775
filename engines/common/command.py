"""What the training kit's commands have in common: errors as one line, and an exit code."""

from __future__ import annotations

import sys
from typing import Any

import typer

from realtime_dub.errors import ConfigError, RealtimeDubError

INTERRUPTED = 130  # what a shell reports for Ctrl-C
USAGE_ERROR: Any = typer.BadParameter.__base__  # all that can be wrong with options and arguments


def run(app: typer.Typer, name: str, stopped: str) -> None:
    """Run a command line and leave the process. ``stopped`` is said after Ctrl-C."""
    try:
        code = app(prog_name=name, standalone_mode=False)
    except RealtimeDubError as error:
        _leave(str(error), error.exit_code)
    except USAGE_ERROR as error:
        _leave(f"{error.format_message()} See {name} --help.", ConfigError.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        _leave(stopped, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _leave(message: str, code: int) -> None:
    typer.secho(f"error: {message}", fg="red", err=True)
    sys.exit(code)
