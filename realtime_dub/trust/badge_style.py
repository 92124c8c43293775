"""How a badge is wanted; what draws it is ``badge``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

When = Literal["off", "corner", "always"]
Place = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
WORD = "dubbed"


@dataclass(frozen=True, slots=True)
class BadgeStyle:
    """When, where and how large. ``corner``: while the picture is dubbed; ``always``: in every frame."""

    when: When = "corner"
    place: Place = "top-left"
    percent: float = 5.0  # of the frame's height
    word: str = WORD

    @property
    def corner(self) -> Place | None:
        """Where it is looked for; None: nowhere."""
        return None if self.when == "off" else self.place

    def __str__(self) -> str:
        return self.when if self.when == "off" else f"{self.when}, {self.place}, {self.percent:g} % of the height"


USUAL = BadgeStyle()
