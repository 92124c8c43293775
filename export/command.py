"""The command. What it needs is imported when it runs."""

from __future__ import annotations

from engines.common import command


def export_engine() -> None:
    """The ``export-engine`` command."""
    command.run("export.cli", "export-engine", "stopped; what was built is kept", "export")
