"""Writes down which backend is the best for a network here, for ``realtime-dub --backend auto``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from export import speed
from export.bundles import sha256_of
from export.trials import Trial
from realtime_dub.inference import choice
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.choice import Choice
from realtime_dub.inference.contract import CpuSettings
from realtime_dub.inference.engine_cache import surroundings


def best(trials: Sequence[Trial]) -> Trial | None:
    """The quickest that agrees; None where none does."""
    return min((each for each in trials if each.passed), key=lambda each: each.median_ms, default=None)


def write(bundle: Bundle, found: Trial, root: Path) -> Choice:
    """Raises OSError."""
    made = Choice(
        label=bundle.net,
        backend=found.backend,
        precision=found.precision,
        settings=found.settings or CpuSettings(),
        streams=speed.pays(found.speeds),
        surroundings=surroundings(found.backend),
        median_ms=round(found.median_ms, 3),
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    choice.write(sha256_of(bundle), made, root)
    return made
