"""The command ``prepare-dataset``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engines.common import command
from engines.common.people import people_of
from engines.common.prepare.clip import process, record, record_path, stamp, track_path, write_whole
from engines.common.prepare.faces import add_faces
from engines.common.prepare.finish import Summary, finish
from engines.common.prepare.layouts import CORPORA, LAYOUTS, SPEECH, Clip, find_clips
from engines.common.prepare.report import write_report
from engines.common.prepare.segments import CROP_SIDE, FPS
from engines.common.prepare.spoken import Net, align_filmed, prepare_speech
from engines.common.prepare.vectors import add_vectors
from engines.common.prepare.workers import CRASHED, work
from engines.common.speech.corpus import ENGLISH, read_table
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.errors import ConfigError, MediaError

FORMAT = 1
SETTINGS = "dataset.json"
GENDERS = {"m": "male", "f": "female", "w": "female"}  # by the first letter of any word for it
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def prepare_dataset(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Talking videos with their sound, or speech.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The folder to write; what it has is not made again.")],
    layout: Annotated[
        str, typer.Option(help=f"How FOLDER is laid out: {', '.join(LAYOUTS)}; {SPEECH} = sound and transcripts.tsv.")
    ] = "generic",
    crops: Annotated[str, typer.Option(help="Sides of the mouth pictures, in pixels; none for none.")] = "96,128,256",
    workers: Annotated[int, typer.Option(min=1, help="Processes that read videos.")] = 2,
    min_confidence: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Drop tracks whose sound fits their lips no better than this share of wrong pairs."
        ),
    ] = 0.7,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first so many videos or clips.")] = None,
    keep_out: Annotated[
        list[str] | None, typer.Option(metavar="SPEAKER", help="For test alone; several, one option each.")
    ] = None,
    validate: Annotated[
        list[str] | None,
        typer.Option(metavar="SPEAKER", help="For validation, and all others for training; several, one option each."),
    ] = None,
    phones: Annotated[bool, typer.Option("--phones/--no-phones", help="Align English words that are known.")] = True,
    synthetic: Annotated[
        float, typer.Option(min=0, metavar="HOURS", help=f"With {SPEECH}: so much from espeak-ng and flite besides.")
    ] = 0.0,
    aligner: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help=f"With {SPEECH}: a run whose speech net aligns what no dictionary can."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="With --aligner: also what a net has aligned before.")] = False,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Also what the Whisper encoder hears of each track (fetched, 145 MB).")
    ] = False,
    faces: Annotated[
        int | None,
        typer.Option(
            min=16, max=1024, metavar="PIXELS", help="Also faces as JPEG, mels and sound, as LipGAN has them."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Turn talking videos or speech into tracks to train on. Stop it at any moment: the same command goes on."""
    console = Console(stderr=True, quiet=quiet)
    if again and not aligner:
        raise ConfigError("cannot use --again", "without a net to align with", "give --aligner RUN too")
    if layout == SPEECH:
        line = speech(folder, out, synthetic, Net(aligner, again) if aligner else None, limit, console, vectors)
        if not quiet:
            typer.echo(line)
        return
    if synthetic or aligner:  # of speech alone
        raise ConfigError("cannot use --synthetic or --aligner with", f"--layout {layout}", f"give --layout {SPEECH}")
    sizes = _sizes(crops)
    people = tuple(keep_out or ()), tuple(validate or ())
    summary = prepare(folder, out, layout, sizes, workers, min_confidence, limit, console, *people)
    aligned = _align(out, console) if phones else 0
    if vectors:
        _listen(out, console)
    if faces:
        _cut(out, faces, workers, console)
    if not quiet:
        for note in summary.notes:
            typer.echo(f"note: {note}")
        kept, dropped = len(summary.kept()), sum(bool(row.dropped) for row in summary.rows)
        typer.echo(
            f"{kept} tracks of {len({row.speaker for row in summary.kept()})} speakers, {dropped} dropped, "
            f"{aligned} with phonemes, {len(summary.bad)} files could not be used; see {out / 'report.html'}"
        )


def speech(
    folder: Path,
    out: Path,
    hours_synthetic: float,
    net: Net | None,
    limit: int | None,
    console: Console,
    vectors: bool = False,
) -> str:
    """A folder of speech. Raises UserError as :func:`prepare` does."""
    table = read_table(folder)
    _settle(out, {"format": FORMAT, "layout": SPEECH})
    with _progress(console) as progress:
        task = progress.add_task("speech", total=None)
        step = partial(progress.advance, task)
        summary = prepare_speech(folder, table, out, LogMelSpec(), hours_synthetic, net, limit, step, vectors)
    return f"{summary}; {_listen(out, console)} listened to" if vectors else summary


def _listen(out: Path, console: Console) -> int:
    with _progress(console) as progress:
        task = progress.add_task("vectors", total=None)
        return add_vectors(out, LogMelSpec(), lambda: progress.advance(task))


def _cut(out: Path, size: int, workers: int, console: Console) -> None:
    with _progress(console) as progress:
        task = progress.add_task("faces", total=None)
        add_faces(out, size, workers, lambda: progress.advance(task))


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _align(out: Path, console: Console) -> int:
    with _progress(console) as progress:
        task = progress.add_task("phonemes", total=None)
        return align_filmed(out, LogMelSpec(), lambda: progress.advance(task))


def prepare(
    folder: Path,
    out: Path,
    layout: str,
    sizes: tuple[int, ...],
    workers: int,
    min_confidence: float,
    limit: int | None,
    console: Console,
    kept_out: tuple[str, ...] = (),
    validated: tuple[str, ...] = (),
) -> Summary:
    """All of it. Raises UserError where there is nothing to work on, or ``out`` was made in another way."""
    clips = find_clips(folder, layout)[:limit]
    _settle(out, _settings(layout, sizes))
    for left in out.rglob("*.part*"):  # of a run that was killed while it wrote
        left.unlink()
    with _progress(console) as progress:
        missing = [clip for clip in clips if not _done(out, clip)]
        task = progress.add_task("videos", total=len(clips), completed=len(clips) - len(missing))
        lost = partial(_lost, out)
        for _ in work(missing, partial(process, out=out, sizes=sizes), workers, lost):
            progress.advance(task)
        people = people_of(folder)
        records = [_read(out, clip) | _about(layout, people.get(clip.speaker or "", {})) for clip in clips]
        tracks = sum(len(each["tracks"]) for each in records)
        if not tracks:
            _nothing(records)
        task = progress.add_task("offsets, speakers, sound", total=2 * tracks)
        summary = finish(out, records, min_confidence, lambda: progress.advance(task), kept_out, validated)
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


def _settings(layout: str, sizes: tuple[int, ...]) -> dict[str, object]:
    return {"format": FORMAT, "layout": layout, "crops": list(sizes), "fps": FPS, "crop_side": CROP_SIDE}


def _settle(out: Path, settings: dict[str, object]) -> None:
    """Write down how ``out`` is made, or check that it was begun in the same way."""
    path = out / SETTINGS
    if not path.exists():
        write_whole(path, (json.dumps(settings) + "\n").encode())
        return
    before = json.loads(path.read_text())
    if before != settings:
        others = ", ".join(f"{key} {before.get(key)}" for key in settings if before.get(key) != settings[key])
        raise ConfigError("was prepared in another way:", f"{out} ({others})", "choose another folder for -o")


def _about(layout: str, person: Mapping[str, str]) -> dict[str, str]:
    """Corpus and language as the layout knows them, and what ``people.tsv`` in the folder tells of a speaker."""
    gender = GENDERS.get(person.get("gender", "")[:1].lower(), "")
    language = ENGLISH if layout in CORPORA else ""
    return {"corpus": CORPORA.get(layout, ""), "language": language, "gender": gender}


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
