"""Whose work is in the program, and on what terms: weights, the data that they learnt from, and libraries.

Weights and data say it in each bundle's ``spec.json``; libraries in the metadata that they were installed with
(``License-Expression``, else classifiers, else the old ``License``), and in what their wheels carry (``native``).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import realtime_dub
from realtime_dub.trust.native import UNKNOWN, carried

Kind = Literal["weights", "data", "library"]
PROGRAM = "realtime-dub"
BASE = ""  # the extra that is none

# What comes with the program and has no spec: where it lies, what it is, its licence, whom to name.
OWN = (
    ("realtime_dub/face/descriptor.npz", "whose face it is", "Apache-2.0", "learnt from GRID (CC BY 4.0)"),
    ("realtime_dub/assets/demo_voice.opus", "the demo's speech", "Apache-2.0", "made with flite's voice rms"),
    ("engines/avatar_expression/general.safetensors", "how avatars' faces move", "Apache-2.0", "GRID (CC BY 4.0)"),
)
# What libraries bring that is seen or runs here: the library, what it is, its licence.
WITHIN = (
    ("mediapipe", "MediaPipe face mesh and face detection, networks", "Apache-2.0"),
    ("matplotlib", "portrait of Grace Hopper, the demo's face", "public domain"),
)
# Words of metadata -> SPDX's.
SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "mit": "MIT",
    "mit license": "MIT",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license (iscl)": "ISC",
    "isc license": "ISC",
    "python software foundation license": "PSF-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "freely distributable": "Unlicense",
}
NOT_A_LICENCE = ("dfsg approved", "osi approved")
COPYLEFT = re.compile(r"\b(?:A|L)?GPL\b|\bMPL\b|\bEPL\b|\bEUPL\b|\bCDDL\b|\bSSPL\b|\bBY-SA\b|\bSA-\d", re.IGNORECASE)
NON_COMMERCIAL = re.compile(r"\bNC\b|non-?commercial|research[ -]only|academic", re.IGNORECASE)
EXCEPTION = "WITH GCC-exception"  # of a compiler's run-time library: it asks nothing of what is built with it


@dataclass(frozen=True, slots=True)
class Component:
    """One work of somebody's."""

    kind: Kind
    name: str
    version: str
    licence: str  # in SPDX's words where there are any, else as its owner says it
    notice: str = ""  # whom to name, what must be said
    extras: tuple[str, ...] = (BASE,)  # of ours that bring it; "" is the base install
    carries: dict[str, str] = field(default_factory=dict)  # in machine code: library -> licence
    data: tuple[str, ...] = ()  # of weights: what they learnt from

    @property
    def terms(self) -> set[str]:
        """All licences under which something of it is."""
        return {self.licence, *self.carries.values()}


def root() -> Path:
    """Where ``realtime_dub`` and ``engines`` lie."""
    return Path(realtime_dub.__file__).parents[1]


def everything() -> list[Component]:
    """Weights, data and libraries, as they are installed here."""
    ours = learnt_from(sorted(root().glob("engines/*/bundle*/spec.json")))
    return sorted([*ours, *_own(), *_within()], key=lambda each: each.kind == "data") + libraries()


def learnt_from(specs: Iterable[Path]) -> list[Component]:
    """What the bundles with these ``specs`` hold, and what they learnt from. Raises BundleError."""
    from realtime_dub.inference.bundle import read_spec

    made, data = [], {}
    for path in specs:
        spec = read_spec(path)
        learnt = tuple(each.name for each in spec.training_data)
        name = f"{spec.name} ({path.parent.parent.name}/{path.parent.name})"
        made.append(Component("weights", name, spec.version, spec.licence, spec.notice, data=learnt))
        for each in spec.training_data:
            data[each.name] = Component("data", each.name, "", each.licence, each.citation)
    return [*made, *(data[name] for name in sorted(data))]


def _own() -> Iterator[Component]:
    for path, what, licence, notice in OWN:
        if (root() / path).exists():
            yield Component("weights", f"{what} ({path})", realtime_dub.__version__, licence, notice)


def _within() -> Iterator[Component]:
    for library, what, licence in WITHIN:
        yield Component("weights", what, metadata.version(library), licence, f"comes with {library}")


def libraries(program: str = PROGRAM) -> list[Component]:
    """What ``program`` needs and what its extras would, as far as it is installed; its own name is left out."""
    there = {str(canonicalize_name(each.name)): each for each in metadata.distributions()}
    asked = functools.cache(lambda name: [Requirement(text) for text in there[name].requires or []])
    ours, wanted = str(canonicalize_name(program)), dict[str, set[str]]()
    for extra in (BASE, *(there[ours].metadata.get_all("Provides-Extra") or [])):
        for name in _needed((ours, extra), there, asked):
            wanted.setdefault(name, set()).add(extra)
    return [_library(there[name], wanted[name]) for name in sorted(wanted) if name != ours]


def _needed(program: tuple[str, str], there: Container[str], asked: Callable[[str], Iterable[Requirement]]) -> set[str]:
    """Names of those that are ``there`` of all that ``program`` with this extra asks for, over however many others."""
    found: set[tuple[str, str]] = set()
    waiting = {program}
    while waiting:
        name, extra = each = waiting.pop()
        if each in found or name not in there:
            continue
        found.add(each)
        for needed in asked(name):
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                waiting |= {(str(canonicalize_name(needed.name)), more) for more in (BASE, *needed.extras)}
    return {name for name, _ in found}


def _library(of: metadata.Distribution, extras: set[str]) -> Component:
    brought = (BASE,) if BASE in extras else tuple(sorted(extras))
    files = (line.partition(",")[0] for line in (of.read_text("RECORD") or "").splitlines())
    return Component("library", of.name, of.version, licence_in(of), extras=brought, carries=carried(files))


def licence_in(of: metadata.Distribution) -> str:
    """What its metadata says; ``unknown`` where it says nothing that can be told."""
    said: Any = of.metadata
    if expression := said.get("License-Expression"):
        return str(expression)
    named = [each.rpartition("::")[2].strip() for each in said.get_all("Classifier") or [] if each.startswith("Lic")]
    found = dict.fromkeys(_spdx(each) for each in named if each.lower() not in NOT_A_LICENCE)
    if found:
        return " OR ".join(found) if len(found) > 1 else next(iter(found))
    first = next((line.strip() for line in (said.get("License") or "").splitlines() if line.strip()), "")
    return _spdx(first) if first else UNKNOWN


def _spdx(words: str) -> str:
    return SPDX.get(words.lower(), words)


def asks(licence: str) -> list[str]:
    """What is to be minded about a ``licence``: ``copyleft``, ``non-commercial``, ``unknown``. Of several that one may
    choose from, the mildest counts.

    >>> asks("MIT"), asks("LGPL-2.1-or-later"), asks("MIT OR GPL-2.0-only"), asks("CC BY-NC 4.0"), asks("unknown")
    ([], ['copyleft'], [], ['non-commercial'], ['unknown'])
    """
    return min((_asks(choice) for choice in licence.split(" OR ")), key=len)


def _asks(licence: str) -> list[str]:
    if licence == UNKNOWN:
        return [UNKNOWN]
    freed = " AND ".join(part for part in licence.split(" AND ") if EXCEPTION not in part)
    found = {"copyleft": COPYLEFT.search(freed), "non-commercial": NON_COMMERCIAL.search(freed)}
    return [name for name, match in found.items() if match]


def to_mind(components: Iterable[Component]) -> dict[str, list[str]]:
    """Names of those that ask more than to be named -> each such licence, with the library in machine code that has
    it."""
    found: dict[str, list[str]] = {}
    for each in components:
        told = [each.licence] if asks(each.licence) else []
        told += [f"{library}: {licence}" for library, licence in each.carries.items() if asks(licence)]
        if told:
            found[each.name] = told
    return found


def as_json(components: Iterable[Component]) -> list[dict[str, Any]]:
    """Plain values, with what each asks."""
    return [asdict(each) | {"asks": sorted({ask for term in each.terms for ask in asks(term)})} for each in components]
