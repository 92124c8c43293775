"""The engines there are. A new one is a room beside the others and one line here, or another package's entry point.

An entry point of the group ``realtime_dub.engines`` names an :class:`~realtime_dub.mouth.engine.Engine`. Those of the
table come first: nobody takes their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.imports import installed, resolve
from realtime_dub.mouth.engine import Engine

if TYPE_CHECKING:
    from realtime_dub.mouth.contract import IdentityKind, MouthGenerator

GROUP = "realtime_dub.engines"
NOTHING = "passthrough"  # the engine that leaves every mouth as it is
DEFAULT = "mouthbank"
OF_AVATARS = "avatar"  # what shows the folder of a trained person
ENGINES = {
    "mouthbank": "realtime_dub.mouth.mouthbank:ENGINE",
    "passthrough": "realtime_dub.mouth.passthrough:ENGINE",
    "lipgan": "realtime_dub.mouth.painter:LIPGAN",
    "wav2lip": "realtime_dub.mouth.painter:WAV2LIP",
    "landmark-dub": "realtime_dub.mouth.mouthbank:LANDMARK_DUB",
    "own-texture": "realtime_dub.mouth.own_texture:ENGINE",
    "avatar": "realtime_dub.mouth.avatar:ENGINE",
}
# What the options of engines are called on the command line.
OPTIONS = {
    "bundle": "--bundle",
    "identity": "--identity",
    "strength": "--strength",
    "look_ahead_ms": "--look-ahead",
    "backend": "--backend",
    "learn": "--learn",
    "silence": "--silence",
    "quality": "--quality",
    "pads": "--pads",
    "translator": "--translator",
    "denoiser": "--denoiser",
    "head": "--head",
    "backdrop": "--backdrop",
    "size": "--size",
    "enhance": "--enhance",
    "enhancer": "--enhancer",
    "teeth_upper": "--teeth-upper",
    "teeth_lower": "--teeth-lower",
    "line_upper": "--line-upper",
    "line_lower": "--line-lower",
    "steps": "--steps",
}


def names() -> list[str]:
    """All that :func:`engine` knows: our own, then those of other packages."""
    return [*ENGINES, *sorted(set(installed(GROUP)) - set(ENGINES))]


def engine(name: str) -> Engine:
    """What engine ``name`` says of itself. Raises BundleError for a name that is none, or for a package's bad entry."""
    if name in ENGINES:
        own: Engine = resolve(ENGINES[name])
        return own
    points = installed(GROUP)
    if name not in points:
        raise BundleError("unknown engine", repr(name), f"choose one of {', '.join(names())}")
    try:
        found = points[name].load()
    except Exception as error:  # anything can be wrong with another package
        why = f"{type(error).__name__}: {error}"
        raise BundleError("cannot load engine", f"{name} of {points[name].value}: {why}", "reinstall it") from error
    if not isinstance(found, Engine) or found.name != name:
        raise BundleError("cannot load engine", f"{points[name].value}: it is no Engine {name!r}", "tell its author")
    return found


def create(name: str, **options: object) -> MouthGenerator:
    """The generator of engine ``name``; ``options`` are its own, and None stands for one that was not given.

    Raises BundleError for a name that is none, ConfigError for an option that the engine does not take.
    """
    chosen, given = engine(name), {option: value for option, value in options.items() if value is not None}
    for option in given:
        if option not in chosen.options:
            raise ConfigError(
                f"engine {name} takes no", OPTIONS.get(option, option), "leave it out or choose another --engine"
            )
    generator: MouthGenerator = resolve(chosen.make)(**given)
    return generator


def create_with_known(name: str, **options: object) -> MouthGenerator:
    """As :func:`create`; options that the engine does not take are left out. For controls that all engines share."""
    return create(name, **{option: value for option, value in options.items() if option in engine(name).options})


def identity_kind(name: str) -> IdentityKind:
    """What engine ``name`` learns of people. Raises ConfigError where it learns nothing."""
    chosen = engine(name)
    if chosen.identity is None:
        raise ConfigError("cannot learn a person for", f"engine {name}", "choose another --engine")
    kind: Any = resolve(chosen.identity)
    made: IdentityKind = kind()
    return made
