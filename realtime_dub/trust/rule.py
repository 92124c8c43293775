"""The rule that everybody who uses the program is told, once."""

from __future__ import annotations

import contextlib
import sys

from realtime_dub.paths import state_folder

RULE = (
    "Dub only faces and voices whose owners agree, and tell those who watch: the badge does it, unless you switch it "
    "off. (This is said once.)"
)
TOLD = "told"


def due() -> bool:
    """Somebody sits at a terminal, and was not told before."""
    return sys.stderr is not None and sys.stderr.isatty() and not (state_folder() / TOLD).exists()


def told() -> None:
    """Remember it. Where that cannot be, it is said again the next time."""
    with contextlib.suppress(OSError):
        state_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        (state_folder() / TOLD).touch(mode=0o600)
