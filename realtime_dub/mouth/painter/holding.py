"""How many mouths painters can paint on this machine, for ``realtime-dub doctor``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from realtime_dub.inference import bundle as bundles
from realtime_dub.inference.bundle import Bundle
from realtime_dub.media import MS
from realtime_dub.mouth.painter.network import PainterNetwork
from realtime_dub.mouth.painter.pace import MOST_FRAMES, Pace

RATES = {1: "one in every frame", 2: "half rate, those between are faded"}


@dataclass(frozen=True)
class Holds:
    """What a painter's network was measured to take."""

    label: str
    took_ms: float
    per_second: float
    frames: int  # from one painted mouth to the next

    @property
    def live(self) -> bool:
        """It is quick enough to run live."""
        return self.frames <= MOST_FRAMES

    def __str__(self) -> str:
        rate = RATES.get(self.frames, f"one in {self.frames} frames, those between are faded")
        told = f"{self.per_second:.0f} a second live ({rate})" if self.live else "too slow to be live"
        return f"{self.label}: {self.took_ms:.0f} ms a mouth, {told}"


def holds(name: str, given: Path | None = None) -> list[Holds]:
    """Of what comes with the engine ``name``, and of the bundle ``given`` if it is for that. Raises BundleError."""
    own = [bundles.load_default(name)] if bundles.longest_look_ahead(name) is not None else []
    found = [bundles.load_shared(given)] if given is not None and bundles.engine_of(given) == name else []
    return [_measured(each) for each in own + found]


def _measured(bundle: Bundle) -> Holds:
    took_ns = PainterNetwork(bundle, bundle.spec.engine).took_ns
    pace = Pace(took_ns)
    return Holds(bundle.label, took_ns / MS, pace.per_second, pace.frames)
