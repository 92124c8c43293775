"""The command ``prepare-dataset``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engines.common import command
from engines.common.prepare.clip import process, record, record_path, stamp, track_path, write_whole
from engines.common.prepare.finish import Summary, finish
from engines.common.prepare.layouts import LAYOUTS, Clip, find_clips
from engines.common.prepare.report import write_report
from engines.common.prepare.segments import CROP_SIDE, FPS
from engines.common.prepare.workers import CRASHED, work
from realtime_dub.errors import ConfigError, MediaError

FORMAT = 1
SETTINGS = "dataset.json"
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def prepare_dataset(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Talking videos, with their sound.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The folder to write; what it has is not made again.")],
    layout: Annotated[str, typer.Option(help=f"How FOLDER is laid out: {', '.join(LAYOUTS)}.")] = "generic",
    crops: Annotated[str, typer.Option(help="Sides of the mouth pictures, in pixels; none for none.")] = "96,128,256",
    workers: Annotated[int, typer.Option(min=1, help="Processes that read videos.")] = 2,
    min_confidence: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Drop tracks whose sound fits their lips no better than this share of wrong pairs."
        ),
    ] = 0.7,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first so many videos.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Turn talking videos into tracks to train on. Stop it at any moment: the same command goes on where it was."""
    console = Console(stderr=True, quiet=quiet)
    summary = prepare(folder, out, layout, _sizes(crops), workers, min_confidence, limit, console)
    kept, dropped = len(summary.kept()), sum(bool(row.dropped) for row in summary.rows)
    if not quiet:
        for note in summary.notes:
            typer.echo(f"note: {note}")
        typer.echo(
            f"{kept} tracks of {len({row.speaker for row in summary.kept()})} speakers, {dropped} dropped, "
            f"{len(summary.bad)} files could not be used; see {out / 'report.html'}"
        )


def prepare(
    folder: Path,
    out: Path,
    layout: str,
    sizes: tuple[int, ...],
    workers: int,
    min_confidence: float,
    limit: int | None,
    console: Console,
) -> Summary:
    """All of it. Raises UserError where there is nothing to work on, or ``out`` was made in another way."""
    clips = find_clips(folder, layout)[:limit]
    _settle(out, layout, sizes)
    for left in out.rglob("*.part*"):  # of a run that was killed while it wrote
        left.unlink()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        missing = [clip for clip in clips if not _done(out, clip)]
        task = progress.add_task("videos", total=len(clips), completed=len(clips) - len(missing))
        lost = partial(_lost, out)
        for _ in work(missing, partial(process, out=out, sizes=sizes), workers, lost):
            progress.advance(task)
        records = [_read(out, clip) for clip in clips]
        tracks = sum(len(each["tracks"]) for each in records)
        if not tracks:
            _nothing(records)
        task = progress.add_task("offsets, speakers, sound", total=2 * tracks)
        summary = finish(out, records, min_confidence, lambda: progress.advance(task))
    write_report(out, summary, f"{folder.name}: {layout}")
    return summary


def _sizes(text: str) -> tuple[int, ...]:
    """
    >>> _sizes("256,96"), _sizes("none")
    ((96, 256), ())
    """
    if text == "none":
        return ()
    try:
        sizes = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        sizes = (0,)
    if sizes[0] < 16 or sizes[-1] > 1024:
        raise ConfigError("cannot use --crops", repr(text), "give sides from 16 to 1024, such as 96,128,256, or none")
    return sizes


def _settle(out: Path, layout: str, sizes: tuple[int, ...]) -> None:
    """Write down how ``out`` is made, or check that it was begun in the same way."""
    settings = {"format": FORMAT, "layout": layout, "crops": list(sizes), "fps": FPS, "crop_side": CROP_SIDE}
    path = out / SETTINGS
    if not path.exists():
        write_whole(path, (json.dumps(settings) + "\n").encode())
        return
    before = json.loads(path.read_text())
    if before != settings:
        others = ", ".join(f"{key} {before.get(key)}" for key in settings if before.get(key) != settings[key])
        raise ConfigError("was prepared in another way:", f"{out} ({others})", "choose another folder for -o")


def _done(out: Path, clip: Clip) -> bool:
    """Whether a clip was read before, as it is now."""
    path = record_path(out, clip.name)
    if not path.exists():
        return False
    row = json.loads(path.read_text())
    return row["stamp"] == stamp(clip.path) and all(track_path(out, each["name"]).exists() for each in row["tracks"])


def _lost(out: Path, clip: Clip) -> None:
    record(clip, out, [], CRASHED)


def _read(out: Path, clip: Clip) -> dict[str, Any]:
    """The record of a clip, with what the layout says of it today."""
    row: dict[str, Any] = json.loads(record_path(out, clip.name).read_text())
    return {**row, "speaker": clip.speaker, "words": clip.words, "text": clip.text}


def _nothing(records: list[dict[str, Any]]) -> None:
    first = next((each["error"] for each in records if each["error"]), "")
    raise MediaError("none of the videos can be used:", f"{len(records)} were read", f"the first one: {first}")


if __name__ == "__main__":
    command.prepare_dataset()
