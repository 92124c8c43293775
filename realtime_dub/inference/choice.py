"""Which backend was measured to be the best for a network on this machine: what ``--backend auto`` takes.

``export-engine --backend auto`` writes it down. It counts on the machine, with the driver and the libraries, that it
was measured on, and no further.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from realtime_dub.inference.contract import CpuSettings, Precision
from realtime_dub.inference.engine_cache import Surroundings, default_root, surroundings

FILE = "choices.json"


class Choice(BaseModel):
    """For one network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    backend: str
    precision: Precision = "fp32"
    settings: CpuSettings = CpuSettings()
    streams: int = 1  # that go through one call together; 1: measured to gain nothing
    surroundings: Surroundings = Surroundings()
    median_ms: float = 0.0  # of one call
    made: str = ""


_CHOICES = TypeAdapter(dict[str, Choice])


def chosen(network: str, root: Path | None = None) -> Choice | None:
    """What was chosen for the network with this sha256; None where nothing was, or not on a machine like this one."""
    choice = choices(root).get(network)
    if choice is None or choice.surroundings.unlike(surroundings(choice.backend)):
        return None
    return choice


def choices(root: Path | None = None) -> dict[str, Choice]:
    """All, by their network's sha256; none where they cannot be read."""
    try:
        return _CHOICES.validate_json((_place(root)).read_bytes())
    except (OSError, ValidationError):
        return {}


def write(network: str, choice: Choice, root: Path | None = None) -> None:
    """Beside the others. Raises OSError."""
    place = _place(root)
    place.parent.mkdir(parents=True, exist_ok=True)
    with (place.parent / f".lock-{FILE}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kept = {**choices(root), network: choice}
        part = place.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            json.dump({name: each.model_dump(mode="json") for name, each in kept.items()}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        part.replace(place)


def _place(root: Path | None) -> Path:
    return (root or default_root()) / FILE
