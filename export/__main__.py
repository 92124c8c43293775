"""``python -m export``: the command ``export-engine``."""

from __future__ import annotations

from export.command import export_engine

export_engine()
