"""The files of the page. Nothing else is ever opened for a visitor, whatever he asks for."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parents[1] / "static"
INDEX = "index.html"
PAGES = {"operator": "operator.html", "inspect": "inspect.html"}  # by the role that the address names
FILES = {path.relative_to(STATIC).as_posix(): path for path in STATIC.rglob("*") if path.is_file()}


def page_of(role: str | None) -> str:
    """The page for whoever opens the server's address."""
    return PAGES.get(role or "", INDEX)
