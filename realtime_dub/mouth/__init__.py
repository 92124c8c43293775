"""Mouths: the bundle reader, inference backends, the generator contract and the generators that run live."""

from __future__ import annotations

from importlib import import_module

from realtime_dub.errors import BundleError
from realtime_dub.mouth.contract import MouthGenerator

# A new engine is one file and one line here; modules are imported when used.
ENGINES = {
    "mouthbank": "realtime_dub.mouth.mouthbank:MouthbankGenerator",
    "passthrough": "realtime_dub.mouth.passthrough:PassthroughGenerator",
}


def create(name: str, **options: object) -> MouthGenerator:
    """The generator ``name``; ``options`` are its own. Raises BundleError for a name that is not in the table."""
    if name not in ENGINES:
        raise BundleError("unknown engine", repr(name), f"choose one of {', '.join(sorted(ENGINES))}")
    module, attribute = ENGINES[name].split(":")
    generator: MouthGenerator = getattr(import_module(module), attribute)(**options)
    return generator
