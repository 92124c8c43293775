"""A bill of materials in CycloneDX 1.6 (ECMA-424): what a release is made of, for programs that look for known faults.

Libraries are components with their package URL, and hold what their wheels carry in machine code; weights are
components of the type ``machine-learning-model``, data sets of the type ``data``. Nothing in it differs from one call
to the next but the serial number and the time.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from realtime_dub import __version__
from realtime_dub.trust.licences import PROGRAM, Component

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
TYPES = {"weights": "machine-learning-model", "data": "data", "library": "library"}
EXPRESSION = re.compile(r"^[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*$")


def bill(components: Sequence[Component], at: datetime | None = None) -> dict[str, Any]:
    """The document, to be written as JSON; ``at``: when it was made, now by default."""
    made = [_component(each) for each in components]
    ours: dict[str, Any] = {"type": "application", "bom-ref": PROGRAM, "name": PROGRAM, "version": __version__}
    ours |= {"purl": _purl(PROGRAM, __version__), "licenses": _licence("Apache-2.0")}
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.uuid4().urn,
        "version": 1,
        "metadata": {"timestamp": (at or datetime.now(UTC)).isoformat(timespec="seconds"), "component": ours},
        "components": made,
        "dependencies": [{"ref": PROGRAM, "dependsOn": sorted(each["bom-ref"] for each in made)}],
    }


def _component(of: Component) -> dict[str, Any]:
    made: dict[str, Any] = {"type": TYPES[of.kind], "bom-ref": f"{of.kind}:{of.name}", "name": of.name}
    made |= {"version": of.version} if of.version else {}
    made["licenses"] = _licence(of.licence)
    if of.notice:
        made["copyright"] = of.notice
    if of.kind == "library":
        made |= {"purl": _purl(of.name, of.version), "scope": "required" if "" in of.extras else "optional"}
    if of.data:
        made["properties"] = [{"name": f"{PROGRAM}:learnt-from", "value": name} for name in of.data]
    if of.carries:
        made["components"] = [_carried(of, name, licence) for name, licence in of.carries.items()]
    return made


def _carried(of: Component, name: str, licence: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": f"in:{of.name}:{name}", "name": name, "licenses": _licence(licence)}


def _licence(licence: str) -> list[dict[str, Any]]:
    """An expression where it is one in SPDX's words, else a name."""
    plain = licence in ("unknown", "CC0", "Dual") or not EXPRESSION.match(licence)
    return [{"license": {"name": licence}}] if plain else [{"expression": licence}]


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
