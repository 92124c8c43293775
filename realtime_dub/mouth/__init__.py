"""Mouths: the bundle reader, inference backends, the generator contract and the generators that run live."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.imports import resolve
from realtime_dub.mouth.contract import MouthGenerator

# A new engine is one file and one line here; modules are imported when used.
ENGINES = {
    "mouthbank": "realtime_dub.mouth.mouthbank:MouthbankGenerator",
    "passthrough": "realtime_dub.mouth.passthrough:PassthroughGenerator",
}


# What the options of engines are called on the command line.
OPTIONS = {"bundle": "--bundle", "identity": "--identity", "strength": "--strength", "look_ahead_ms": "--look-ahead"}


def create(name: str, **options: object) -> MouthGenerator:
    """The generator ``name``; ``options`` are its own, and None stands for one that was not given.

    Raises BundleError for a name that is not in the table, ConfigError for an option that the engine does not take.
    """
    make, given = _maker(name), {option: value for option, value in options.items() if value is not None}
    for option in given:
        if not _takes(make, option):
            raise ConfigError(
                f"engine {name} takes no", OPTIONS.get(option, option), "leave it out or choose another --engine"
            )
    generator: MouthGenerator = make(**given)
    return generator


def takes(name: str, option: str) -> bool:
    """Whether engine ``name`` has such an option. Raises BundleError for a name that is not in the table."""
    return _takes(_maker(name), option)


def _maker(name: str) -> Callable[..., MouthGenerator]:
    if name not in ENGINES:
        raise BundleError("unknown engine", repr(name), f"choose one of {', '.join(sorted(ENGINES))}")
    make: Callable[..., MouthGenerator] = resolve(ENGINES[name])
    return make


def _takes(make: Callable[..., MouthGenerator], option: str) -> bool:
    known = inspect.signature(make).parameters.values()
    return any(each.name == option or each.kind is each.VAR_KEYWORD for each in known)
