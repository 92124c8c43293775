"""At what size mouths are worked on: what may be asked for, and what is used."""

from __future__ import annotations

from typing import Literal

Quality = Literal["auto", "low", "medium", "high"]  # auto: high, and low while the machine is too slow for it
WorksAt = Literal["low", "medium", "high"]
AUTO: Quality = "auto"
HIGH: WorksAt = "high"
LOW: WorksAt = "low"


def at_first(quality: Quality) -> WorksAt:
    """What is used where nothing is too slow."""
    return HIGH if quality == "auto" else quality
