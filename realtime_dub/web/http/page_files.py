"""The files of the page. Nothing else is ever opened for a visitor, whatever he asks for."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[1] / "static"
INDEX = "index.html"
FILES = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}
