"""The training kit's commands. What they need is imported when they run; an error is one line and an exit code."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer

from realtime_dub.errors import ConfigError, DependencyError, RealtimeDubError

INTERRUPTED = 130  # what a shell reports for Ctrl-C
USAGE_ERROR: Any = typer.BadParameter.__base__  # all that can be wrong with options and arguments


def prepare_dataset() -> None:
    """The ``prepare-dataset`` command."""
    run("engines.common.prepare.cli", "prepare-dataset", "stopped; the same command goes on from here")


def train_engine() -> None:
    """The ``train-engine`` command."""
    run("engines.common.train_engine", "train-engine", "stopped; --resume goes on from the last checkpoint")


def run(module: str, name: str, stopped: str, extra: str = "train") -> None:
    """Run the command line ``app`` of ``module`` and leave the process. ``stopped`` is said after Ctrl-C.

    ``extra``: what has to be installed for it.
    """
    try:
        code = import_module(module).app(prog_name=name, standalone_mode=False)
    except RealtimeDubError as error:
        _leave(str(error), error.exit_code)
    except USAGE_ERROR as error:
        _leave(f"{error.format_message()} See {name} --help.", ConfigError.exit_code)
    except ImportError as error:
        missing = DependencyError("cannot load", error.name or str(error), f'run: pip install "realtime-dub[{extra}]"')
        _leave(str(missing), missing.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    if code == INTERRUPTED:
        _leave(stopped, INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _leave(message: str, code: int) -> None:
    typer.secho(f"error: {message}", fg="red", err=True)
    sys.exit(code)
