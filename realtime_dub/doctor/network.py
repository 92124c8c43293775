"""How visitors reach the studio, really tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from realtime_dub.finding import Finding
from realtime_dub.imports import resolve

if TYPE_CHECKING:
    from realtime_dub.web.config import ServeConfig


def examine_network(config: ServeConfig) -> list[Finding]:
    """What ``realtime-dub serve`` is to be reached by, really tried."""
    try:
        found: list[Finding] = resolve("realtime_dub.web.http.reach:examine")(config)
    except ModuleNotFoundError as error:
        return [Finding("browser studio", "fail", f"{error.name} is missing", "run: pip install 'realtime-dub[web]'")]
    return found
