"""What programs call: a file dubbed, a live run, and the parts to embed (``pipeline/dubber.py``)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.pipeline.dubber import DubbedFrame, Dubber
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.live import run as live
from realtime_dub.pipeline.statistics import Report

__all__ = ["DubbedFrame", "Dubber", "Report", "dub_file", "run_live"]


def dub_file(
    input: str | Path,
    output: str | Path,
    *,
    mic: str | Path = "video",
    progress: Callable[[int, int | None], None] | None = None,
    **options: Any,
) -> Report:
    """Dub the film or picture ``input`` with the voice ``mic`` into ``output``; blocks until it is written.

    ``mic``: a sound file, ``"video"`` for the film's own, ``"demo"``. ``progress(done, total)`` is called per frame,
    total None where it is not known. ``options`` are those of ``realtime-dub file``, as ``config.FileConfig`` has them:
    ``engine``, ``bundle``, ``identity``, ``strength`` 0..2, ``look_ahead`` in ms, ``seconds``, ``extend`` ...

    Returns what was measured; ``report.lost`` tells of outputs that could not be finished. Raises UserError, a tree of
    one-line errors: ``realtime_dub.errors``.
    """
    return run_file(build(FileConfig, input=str(input), output=output, mic=str(mic), **_quiet(options)), progress)


def run_live(
    *,
    webcam: str | int = 0,
    mic: str = "default",
    to: str | Iterable[str] = (),
    stop: threading.Event | None = None,
    **options: Any,
) -> Report:
    """Dub a camera live until the video ends, ``stop`` is set or, in the main thread, Ctrl-C; blocks until then.

    ``webcam``: a camera's number, a file, an address, ``"demo"``. ``mic``: a microphone, a sound file, ``"demo"``.
    ``to``: one output or several, as ``--to`` has them; none = the virtual camera, or else a window. ``options`` are
    those of the command line, as ``config.LiveConfig`` has them: ``budget_ms``, ``seconds``, ``speaker``, ``fps`` ...

    Returns what was measured. Raises UserError; BudgetError where ``budget_ms`` cannot hold what the parts need.
    """
    outputs = (to,) if isinstance(to, str) else tuple(to)
    return live.run_live(build(LiveConfig, webcam=str(webcam), mic=mic, to=outputs, **_quiet(options)), stop)


def _quiet(options: dict[str, Any]) -> dict[str, Any]:
    """A program's terminal is its own."""
    return {"quiet": True, **options}
