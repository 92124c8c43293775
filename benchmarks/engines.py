"""All engines side by side: `python -m benchmarks.engines --data FOLDER --page docs/engines.md`.

There is a row for every engine that the registry has, for every `--bundle NAME=FOLDER` (made by `import-engine`, say),
and for the true motion, a frozen mouth and another clip's voice. `--data` is what benchmarks/quality.py takes: a folder
of talking videos, or GRID's. The page explains rows and figures; a table comes on the way, and JSON on the last line.

With `--work FOLDER` what was measured is kept there clip by clip: the same command goes on after a stop, and other
options add to it. A row's figures count as long as it runs the same bundle. `--live SECONDS` lets every engine run live
besides, which wants a machine that does nothing else. `--page FILE` writes the page, and a picture of the first clip
beside it where `--credit` says whose pictures these are and under which licence they may be published.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import engine_page
from benchmarks.engine_cells import frame_ms, live, measure, moments, strip
from benchmarks.engine_page import FILMED, LOOKS, MOVES, Told, figures_of
from benchmarks.engine_rows import EngineRow, Kept, rows_of
from benchmarks.lip_leak import write_silence
from benchmarks.moving_face import SIZES, film
from benchmarks.output import last_line, show
from benchmarks.quality import chosen
from benchmarks.rendered import looked
from engines.common.people import speaker_of

CLIPS = 9
LIVE_SIZE, LIVE_FPS = SIZES["480p"], 25


def given(text: str) -> tuple[str, Path]:
    """``NAME=FOLDER``."""
    name, found, folder = text.partition("=")
    if not (name and found and folder):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=FOLDER")
    return name, Path(folder)


class Measurement:
    """Of ``rows`` over ``clips``, what is missing in ``kept``."""

    def __init__(self, rows: Sequence[EngineRow], clips: Sequence[Path], data: Path, kept: Kept) -> None:
        self._rows, self._clips, self._data, self._kept = rows, clips, data, kept

    def clips(self) -> None:
        """Clip by clip, so that each is tracked once."""
        with tempfile.TemporaryDirectory() as folder:
            silence = write_silence(Path(folder) / "silence.wav")
            for place, clip in enumerate(self._clips):
                for row in self._rows:
                    if row.own_voice or len(self._clips) > 1:
                        self._clip(row, place, clip, silence)

    def _clip(self, row: EngineRow, place: int, clip: Path, silence: Path) -> None:
        cells, pictured = self._kept.cells[row.name], not place
        if clip.stem in cells and (not pictured or self._kept.strip(row.name).exists()):
            return
        score, images = measure(row, self._clips, place, speaker_of(clip, self._data), silence)
        if pictured:
            at = moments(clip, engine_page.MOMENTS)
            self._kept.add_strip(row.name, strip(clip, images, at, engine_page.SIDE))
            self._kept.add_strip(FILMED, strip(clip, looked(clip, None, 1).images, at, engine_page.SIDE))
        cells[clip.stem] = score
        self._kept.write()

    def frames(self) -> None:
        """What a frame costs, on the first clip."""
        for row in self._rows:
            if row.runs_live and "frame_ms" not in self._kept.once[row.name]:
                self._add(row, {"frame_ms": frame_ms(row, self._clips[0])})

    def live(self, seconds: float) -> None:
        """At real time."""
        missing = [row for row in self._rows if row.runs_live and "fps_live" not in self._kept.once[row.name]]
        with tempfile.TemporaryDirectory() as folder:
            played = str(film(Path(folder) / "face.mp4", *LIVE_SIZE, LIVE_FPS)) if missing else ""
            for row in missing:
                self._add(row, live(row, played, seconds))

    def _add(self, row: EngineRow, figures: dict[str, float]) -> None:
        self._kept.once[row.name] = self._kept.once[row.name] | figures
        self._kept.write()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=CLIPS, help="at most so many")
    parser.add_argument("--of-each", type=int, metavar="N", help="so many of each speaker, evenly chosen (not of s1)")
    parser.add_argument("--engines", metavar="NAME,..", help="of the registry these alone")
    parser.add_argument("--bundle", type=given, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--live", type=float, default=0, metavar="SECONDS", help="of each engine; 0 = none")
    parser.add_argument("--work", type=Path, help="keep here what was measured, and go on with it")
    parser.add_argument("--page", type=Path, help="write the page here")
    parser.add_argument("--credit", default="", help="whose pictures these are, and their licence: for the picture")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    rows, left_out = rows_of(dict(args.bundle), args.engines.split(",") if args.engines else None)
    clips = chosen(args.data, "test", args.clips, args.of_each)
    with tempfile.TemporaryDirectory() as scratch:
        kept = Kept.read(args.work or Path(scratch), rows)
        measurement = Measurement(rows, clips, args.data, kept)
        measurement.clips()
        measurement.frames()
        if args.live:
            measurement.live(args.live)
        people = sorted({speaker_of(clip, args.data) for clip in clips})
        answer(args, rows, kept, Told([clip.stem for clip in clips], people, left_out, args.credit))


def answer(args: argparse.Namespace, rows: Sequence[EngineRow], kept: Kept, told: Told) -> None:
    """Table, page and last line."""
    found = {row.name: figures_of(row, kept, told.clips) for row in rows}
    columns = MOVES | LOOKS
    shown = [(name, *(each.get(figure, math.nan) for figure, _ in columns.values())) for name, each in found.items()]
    show(f"{len(told.clips)} clips, each with its own voice", ("", *columns), shown)
    if args.page:
        picture = args.page.with_suffix(".jpg")
        drawn = bool(told.credit) and engine_page.write_sheet(picture, rows, kept)
        args.page.write_text(engine_page.written(rows, kept, told, picture.name if drawn else ""), "utf-8")
    last_line({"benchmark": "engines", "clips": len(told.clips), "left_out": told.left_out, "rows": found})


if __name__ == "__main__":
    main()
