"""What was found out about one thing that a machine or a network needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of ``realtime-dub doctor``. ``advice`` is empty where nothing need be done."""

    name: str
    state: State
    detail: str
    advice: str = ""
