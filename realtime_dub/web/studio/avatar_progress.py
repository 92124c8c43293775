"""How far the training kit has come with an avatar, read in the folder that it works in (``docs/avatar.md``).

Nothing is asked of the kit: what it writes for those who go on later says it all. Shares are 0..1 of a stage.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from realtime_dub.paths import read_plain
from realtime_dub.web.studio.own_avatars import Finding

Stage = Literal["faces", "pictures", "expression", "head", "picture"]
MOST = 4_000_000  # bytes of a log
STRETCH_S = 20.0  # the longest that the kit writes at a time
# Of the time of a training with the profile that is made on a processor, as it was measured: who waits is told one
# share for all of it.
WEIGHTS: dict[Stage, float] = {"expression": 0.05, "head": 0.05, "picture": 0.9}


@dataclass(frozen=True)
class Progress:
    """``left_s``: of training alone, as soon as there is a pace."""

    stage: Stage
    share: float
    left_s: float | None = None


def of_preparation(folder: Path, seconds: float) -> Progress:
    """Of a film of so many ``seconds``: faces first, then the pictures and their mattes, all stretch by stretch."""
    data = folder / "data"
    tracks = _lines(data / "tracks.jsonl")
    if not tracks:
        followed = len(list((data / "tracks").glob("*.npz")))
        return Progress("faces", min(0.99, followed * STRETCH_S / max(1.0, seconds)))
    done = [path for kind in ("joints", "alpha") for path in (data / kind).glob("*.npz")]
    return Progress("pictures", min(1.0, len(done) / (2 * len(tracks))))


def of_training(folder: Path) -> Progress:
    """Of the three nets, one after another."""
    runs = {"expression": folder / "runs/expression", "head": folder / "runs/head", "picture": folder}
    done, spent_s = 0.0, 0.0
    for stage, weight in WEIGHTS.items():
        share, seconds = _of_net(runs[stage], stage)
        spent_s += seconds
        if share < 1:
            return _with_pace(stage, done + weight * share, spent_s, _planned_s(folder))
        done += weight
    return Progress("picture", 1.0, 0.0)


def newest_preview(folder: Path) -> Path | None:
    """Rows of drawings, what was painted, and what is true."""
    found = sorted((folder / "pictures").glob("preview-*.png"))
    return found[-1] if found else None


def findings(folder: Path) -> tuple[Finding, ...]:
    """What the report says of the recording, line by line."""
    with suppress(OSError, ValueError):
        lines = read_plain(folder / "report.md", MOST).decode().splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
        told = [row for row in rows if len(row) == 3 and row[2]]
        return tuple(Finding(name=n, value=v, fault="" if f == "good" else f) for n, v, f in told)
    return ()


def _with_pace(stage: Stage, share: float, spent_s: float, planned_s: float | None) -> Progress:
    """What is left, from what was needed; before that, from what is planned."""
    if share > 0.02 and spent_s > 0:
        left_s: float | None = spent_s * (1 - share) / share
        if planned_s is not None and left_s is not None:
            left_s = min(left_s, planned_s * (1 - share) / WEIGHTS["picture"])
    else:
        left_s = planned_s and planned_s * (1 - share) / WEIGHTS["picture"]
    return Progress(stage, round(share, 3), left_s and round(left_s))


def _of_net(run: Path, stage: Stage) -> tuple[float, float]:
    """The share that is done, and the seconds that it took."""
    if (run / stage / "net.safetensors").is_file():
        return 1.0, _seconds(_rows(run / stage / "log.jsonl"))
    rows = _rows(run / stage / "log.jsonl")
    seconds, plan = _seconds(rows), _plan(run, stage)
    step = max((int(row.get("step", 0)) for row in rows), default=0)
    by_step = step / max(1, int(plan.get("steps", 0) or 1)) if plan else 0.0
    minutes = float(plan.get("minutes", 0) or 0)
    by_time = seconds / (60 * minutes) if minutes else 0.0
    return min(0.999, max(by_step, by_time)), seconds


def _seconds(rows: list[dict[str, Any]]) -> float:
    """Of all stretches between two stops: each counts from its own beginning."""
    total = last = 0.0
    for row in rows:
        if "resumed" in row:
            total, last = total + last, 0.0
        last = float(row.get("seconds", last))
    return total + last


def _planned_s(folder: Path) -> float | None:
    minutes = float(_plan(folder, "picture").get("minutes", 0) or 0)
    return 60 * minutes if minutes else None


def _plan(run: Path, stage: Stage) -> dict[str, Any]:
    with suppress(OSError, ValueError, LookupError, TypeError):
        found: dict[str, Any] = json.loads(read_plain(run / "config.json", MOST))["stages"][stage]["plan"]
        return found
    return {}


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for line in _lines(path):
        with suppress(ValueError):
            row = json.loads(line)
            if isinstance(row, dict):
                rows.append(row)
    return rows


def _lines(path: Path) -> list[str]:
    with suppress(OSError, ValueError):
        return read_plain(path, MOST).decode().splitlines()
    return []
