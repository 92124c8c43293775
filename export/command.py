"""The commands. What they need is imported when they run."""

from __future__ import annotations

from engines.common import command


def export_engine() -> None:
    """The ``export-engine`` command."""
    command.run("export.cli", "export-engine", "stopped; what was built is kept", "export")


def import_engine() -> None:
    """The ``import-engine`` command."""
    command.run("export.import_cli", "import-engine", "stopped; the same command begins anew", "export")
