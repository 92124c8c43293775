"""Whether typed lines are understood live: `python -m benchmarks.typed`; in real time, for half a minute.

Lines of GRID's grammar are typed into a live run of the built-in face, `--mic tts:`, one every ``EVERY_S``, and the run
ends after them. Of its output: ``WER`` by pocketsphinx with that grammar, line by line; how far sound and picture are
apart (``A/V``); the longest way of a frame, which has to be within the budget; frames whose mouth is an earlier one.
``first sound``: from the line's end to the first block of 10 ms that is loud, of the voice alone.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.media import voice
from benchmarks.output import last_line, show
from benchmarks.voice import Recogniser, word_errors
from engines.common import Array
from realtime_dub.config import LiveConfig, build
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.pipeline.statistics import Report
from realtime_dub.voice.tts.live import LiveScript

LINES = (
    "bin green with u eight please",
    "place blue at f two now",
    "set red by k five again",
    "lay white in m zero soon",
    "bin blue by s nine now",
)
EVERY_S, BEGIN_S, MOST_S = 5.0, 3.0, 60.0
QUIET, PAUSE_S = 0.01, 0.8  # between lines
COLUMNS = ("voice", "WER", "first sound, ms", "budget, ms", "latency max", "A/V, ms", "lagged", "reused", "frames")


def typed_into(lines: Sequence[str], every_s: float) -> tuple[io.TextIOWrapper, threading.Thread]:
    """What stands for standard input, and who types there, still to be started."""
    reader, writer = os.pipe()

    def typing() -> None:
        time.sleep(BEGIN_S)
        for line in lines:
            os.write(writer, f"{line}.\n".encode())
            time.sleep(every_s)
        os.close(writer)

    return io.TextIOWrapper(os.fdopen(reader, "rb")), threading.Thread(target=typing, daemon=True)


def lived(by: str, out: Path) -> Report:
    """The run's report. Raises UserError."""
    before = sys.stdin
    sys.stdin, typist = typed_into(LINES, EVERY_S)
    typist.start()
    try:
        return run_live(build(LiveConfig, webcam="demo", mic=f"tts:{by}", to=(str(out),), seconds=MOST_S, quiet=True))
    finally:
        sys.stdin = before


def spoken(sound: Array, rate: int) -> list[Array]:
    """The pieces of sound (n,) between pauses."""
    loud = np.flatnonzero(np.abs(sound) > QUIET)
    if not len(loud):
        return []
    edges = np.flatnonzero(np.diff(loud) > PAUSE_S * rate)
    starts, ends = [loud[0], *loud[edges + 1]], [*loud[edges], loud[-1]]
    return [sound[max(0, start - rate // 10) : end + rate // 10] for start, end in zip(starts, ends, strict=True)]


def errors_in(sound: Array) -> int:
    """Words of all lines that are heard wrong in sound (n,) at 16 kHz; a line that is not heard is all wrong."""
    recogniser, heard = Recogniser(), [*spoken(sound, VOICE_RATE)]
    texts = [recogniser.words(each) for each in heard] + [[]] * max(0, len(LINES) - len(heard))
    return sum(word_errors(line.split(), text) for line, text in zip(LINES, texts, strict=False))


def first_sound_ms(by: str) -> float:
    """Median over the lines."""
    reader, writer = os.pipe()
    before, found = sys.stdin, []
    with io.TextIOWrapper(os.fdopen(reader, "rb")) as sys.stdin:
        source = LiveScript("-", by)
        try:
            source.open()
            for line in LINES:
                os.write(writer, f"{line}.\n".encode())
                began = time.monotonic()
                while np.abs(source.read().samples).max() <= QUIET:
                    time.sleep(0.001)
                found.append(1000 * (time.monotonic() - began))
                while np.abs(source.read().samples).max() > 0:
                    pass
        finally:
            os.close(writer)
            source.close()
            sys.stdin = before
    return float(np.median(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--by", default="en", help="what stands behind tts:, a language or a program")
    args = parser.parse_args()
    first_ms = first_sound_ms(args.by)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "live.mkv"
        report = lived(args.by, out)
        wer = errors_in(voice(str(out))) / sum(len(line.split()) for line in LINES)
    frames = report.frames
    row = (f"tts:{args.by}", wer, first_ms, report.budget_ms, report.latency_ms["max"], report.av_offset_ms["mean"])
    show("lines typed live", COLUMNS, [(*row, frames["lagged"], frames["reused"], frames["total"])])
    last_line({"wer": wer, "first_sound_ms": first_ms, "report": report.as_dict()})


if __name__ == "__main__":
    main()
