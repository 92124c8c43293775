"""The command line of ``export-engine``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.table import Table

from export import bundles, choosing, forms, report
from export.trials import BACKENDS, Asked, Trial, trial
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference import AUTO, libraries
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import Precision, Progress
from realtime_dub.inference.engine_cache import EngineCache
from realtime_dub.paths import WholeFile
from realtime_dub.terminal import console

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
OTHER_NAMES = {"ort": "cpu"}
WIDE = 140  # columns of a table that goes into a file
FAILED = 1  # exit code where something does not agree


@app.command()
def export_engine(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The engine: a folder in engines/.")] = None,
    run: Annotated[Path | None, typer.Option(help="A run of train-engine, in place of what ships.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="One bundle's folder, in place of all.")] = None,
    backend: Annotated[
        str, typer.Option(help=f"What to build for: {', '.join(BACKENDS)}, or {AUTO}: all that can run here.")
    ] = "cpu",
    precision: Annotated[str, typer.Option(help="The width of the network's numbers: fp32, fp16 or int8.")] = "fp32",
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write the bundles, in this precision, into a folder.")
    ] = None,
    device: Annotated[str, typer.Option(help="The number of the GPU.")] = "",
    calls: Annotated[int, typer.Option(min=20, help="Calls of a stream that are compared.")] = forms.CALLS,
    report_to: Annotated[
        Path | None, typer.Option("--report", help="Write the report: an .html or a .json file.")
    ] = None,
    show: Annotated[bool, typer.Option("--list", help="List what is built already, and whether it fits here.")] = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Print errors only.")] = False,
) -> int:
    """Make an engine's networks ready for what runs them, and check that they still agree with what was trained."""
    cache = EngineCache()
    if show:
        entries = cache.entries()
        _print(report.listing(entries), report.refusals(entries))
        return 0
    if name is None:
        raise ConfigError("no engine:", "NAME is missing", "name one, such as mouthbank, or give --list")
    width, backends = _precision(precision), _backends(backend)
    written = None if report_to is None else _report_file(report_to)
    found = bundles.of(name, run, bundle)
    with _progress(quiet) as progress:
        asked = Asked(width, device, cache, calls, progress)
        trials = [each for one in found for each in _tried(one, backends, backend == AUTO, asked)]
        if out is not None:
            _write(found, asked, out)
    if not quiet:  # first: what took an hour to find is not lost with a report that cannot be written
        _print(report.table(trials), report.reasons(trials))
    if written is not None:
        text = report.as_json(trials) if written.path.suffix == ".json" else report.as_html(trials)
        written.write(text.encode())
    return _code(trials, backend)


def _print(table: Table, lines: list[str]) -> None:
    out = console()
    if not out.is_terminal:
        out.width = max(out.width, WIDE)
    out.print(table)
    for line in lines:
        out.print(line, markup=False, highlight=False, soft_wrap=True)


def _tried(bundle: Bundle, backends: tuple[str, ...], auto: bool, asked: Asked) -> list[Trial]:
    found = [trial(bundle, backend, asked) for backend in backends]
    best = choosing.best(found) if auto else None
    if best is not None:
        choosing.write(bundle, best, asked.cache.root)
    return found


def _write(found: list[Bundle], asked: Asked, out: Path) -> None:
    for bundle in found:
        bundles.write(bundle, forms.made(bundle, asked.precision, asked.cache, asked.calls).model, out)


def _code(trials: list[Trial], backend: str) -> int:
    """Raises BundleError where the backend that was asked for cannot be had at all."""
    if backend != AUTO and (refused := next((each for each in trials if each.state == "refused"), None)):
        raise BundleError("cannot export", f"{refused.bundle} for {refused.backend}: {refused.why}")
    return 0 if all(each.passed for each in trials if each.state == "ran") else FAILED


def _precision(text: str) -> Precision:
    if text not in get_args(Precision):
        raise ConfigError("unknown precision", repr(text), f"choose one of {', '.join(get_args(Precision))}")
    found: Precision = text  # type: ignore[assignment]
    return found


def _backends(text: str) -> tuple[str, ...]:
    """Raises ConfigError for an unknown one, DependencyError where what it needs is missing."""
    if text == AUTO:
        return BACKENDS
    name = OTHER_NAMES.get(text, text)
    if name not in BACKENDS:
        raise ConfigError("unknown backend", repr(text), f"choose {AUTO} or one of {', '.join(BACKENDS)}")
    libraries.require(name)
    return (name,)


def _report_file(path: Path) -> WholeFile:
    if path.suffix not in (".html", ".json"):
        raise ConfigError("cannot write the report", str(path), "name a file that ends in .html or .json")
    return WholeFile(path)


@contextmanager
def _progress(quiet: bool) -> Iterator[Progress]:
    """A bar on standard error, which says what is being done; nothing where nobody watches."""
    from rich import progress as bars
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    terminal = console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bar = bars.Progress(*columns, console=terminal, disable=quiet or not terminal.is_terminal, transient=True)
    with bar:
        task = bar.add_task("comparing", total=1.0)

        def show(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield show
