"""The command line of ``import-engine``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from export.importers import IMPORTERS
from realtime_dub.errors import ConfigError
from realtime_dub.imports import resolve
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import BundleSpec
from realtime_dub.paths import is_missing
from realtime_dub.terminal import console

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def import_engine(
    name: Annotated[str, typer.Argument(metavar="ENGINE", help=f"Whose weights they are: {', '.join(IMPORTERS)}.")],
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="The file, or the folder, that you have.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder of the bundle to write.")],
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
) -> int:
    """Make a bundle of weights that you have, for --bundle. Nothing in them is run; every tensor is checked."""
    if name not in IMPORTERS:
        raise ConfigError("cannot import weights of", repr(name), f"choose one of {', '.join(IMPORTERS)}")
    if is_missing(weights):
        raise ConfigError("no such file or folder:", str(weights), "name the weights that you have")
    take: Callable[[Path, Path], None] = resolve(IMPORTERS[name])
    take(weights, out)
    if not quiet:
        spec = load(out).spec
        lines = (
            f"{spec.name} {spec.version} is in {out}: {use(spec, out)}",
            f"Licence: {spec.licence}. {spec.notice}".strip(),
        )
        for line in lines:
            console().print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def use(spec: BundleSpec, out: Path) -> str:
    """The options that run a bundle."""
    return f"--enhancer {out}" if spec.task == "restore" else f"--engine {spec.engine} --bundle {out}"
