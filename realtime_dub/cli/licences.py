"""Whose work is in the program, on what terms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from realtime_dub.terminal import console

if TYPE_CHECKING:
    from collections.abc import Sequence

    from realtime_dub.trust.licences import Component

TITLES = {"weights": "Weights", "data": "Data that they learnt from", "library": "Libraries"}
Bundle = Annotated[
    Path | None, typer.Argument(help="A bundle's folder: what it holds, and what that learnt from.", show_default=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print it for programs.")]
Sbom = Annotated[
    Path | None, typer.Option(help="Write a bill of materials to this file: CycloneDX 1.6, JSON.", show_default=False)
]


def licences(bundle: Bundle = None, as_json: AsJson = False, sbom: Sbom = None) -> None:
    """List weights, data and libraries with their licences, and what some of them ask for."""
    from realtime_dub.trust import licences as known

    components = known.everything() if bundle is None else _of(bundle)
    if sbom is not None:
        _write_bill(sbom, components)
    elif as_json:
        typer.echo(json.dumps(known.as_json(components), indent=1))
    else:
        _show(components)


def _of(bundle: Path) -> list[Component]:
    from realtime_dub.inference.bundle import SPEC
    from realtime_dub.trust.licences import learnt_from

    return learnt_from([bundle / SPEC])


def _show(components: Sequence[Component]) -> None:
    from rich.table import Table

    for kind, title in TITLES.items():
        rows = [each for each in components if each.kind == kind]
        if not rows:
            continue
        table = Table("name", "version", "licence", "carries", title=title, title_justify="left")
        for each in rows:
            table.add_row(f"{each.name}{_brought(each)}", each.version, each.licence, _minded(each))
        console().print(table)


def _minded(of: Component) -> str:
    """Of what it carries: what asks for more than to be named."""
    from realtime_dub.trust.licences import asks

    by_licence: dict[str, list[str]] = {}
    for name, licence in of.carries.items():
        if asks(licence):
            by_licence.setdefault(licence, []).append(name)
    return "; ".join(f"{licence}: {', '.join(names)}" for licence, names in by_licence.items())


def _brought(of: Component) -> str:
    return "" if "" in of.extras else f" [dim]\\[{', '.join(of.extras)}][/dim]"


def _write_bill(path: Path, components: Sequence[Component]) -> None:
    from realtime_dub.errors import MediaError
    from realtime_dub.paths import reason
    from realtime_dub.trust.sbom import bill

    try:
        path.write_text(json.dumps(bill(components), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise MediaError("cannot write", f"{path}: {reason(error)}", "choose another file") from error
