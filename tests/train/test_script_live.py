"""Lines that are typed into a live run: a recogniser understands them, they come soon and in step."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soxr

pytest.importorskip("pocketsphinx")

from media_files import sound_of

from benchmarks.voice import Recogniser, word_errors
from realtime_dub.config import LiveConfig, build
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.live.run import run_live

LINE = "bin green with u eight please"


@pytest.mark.slow
def test_typed_lines_are_understood_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D comes right after the line: the run ends by itself, when all of it was heard."""
    reader, writer = os.pipe()

    def typed() -> None:
        time.sleep(2)
        os.write(writer, f"{LINE}.\n".encode())
        os.close(writer)

    with io.TextIOWrapper(os.fdopen(reader, "rb")) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        typing = threading.Thread(target=typed)
        typing.start()
        out = tmp_path / "live.mkv"
        report = run_live(build(LiveConfig, webcam="demo", mic="tts:en", to=(str(out),), seconds=30, quiet=True))
        typing.join()
    sound, rate, _ = sound_of(out)
    heard = np.asarray(soxr.resample(np.asarray(sound, np.float32).reshape(len(sound), -1)[:, 0], rate, VOICE_RATE))
    assert word_errors(LINE.split(), Recogniser().words(heard)) <= 2
    assert report.frames["total"] < 25 * 15
    assert abs(report.av_offset_ms["mean"]) < 40
